"""API keys: a file of their hashes, read again when it changes.

Keys are random and long, so that a plain SHA-256 of one tells nothing about it; a key itself stands in no file. A new
file that cannot be used, an empty one among them, leaves the last good one in force; `keys = []` revokes all.
"""

import hashlib
import secrets
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from console.errors import SettingsError
from console.port.rate import RateLimit
from console.port.roles import Role

_LOOK_EVERY_S: Final = 1.0
_KEY_BYTES: Final = 32

log = structlog.get_logger()


KEY_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class KeyEntry(BaseModel):
    """One key of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=KEY_NAME)] = Field(
        description="Whose it is: stands in logs and metrics."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    conversations_per_s: float | None = Field(default=None, gt=0)
    burst: float | None = Field(default=None, gt=0, description="Conversations at once; by default those of 2 s.")
    role: Role = Field(default=Role.CLIENT, description="What its holder may do besides asking the classifier.")


class KeyFileContent(BaseModel):
    """The file: `[[keys]]` tables, or `keys = []` where no key is good."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[KeyEntry, ...]

    @model_validator(mode="after")
    def _hashes_differ(self) -> Self:
        if len({entry.sha256 for entry in self.keys}) < len(self.keys):
            raise ValueError("two entries have the same sha256; expected each key once")
        return self


@dataclass
class Caller:
    """Who asks."""

    name: str
    """Of a key or a person: an opaque id, which logs, metrics and decisions name."""
    limit: RateLimit | None
    role: Role = Role.CLIENT


def new_key() -> tuple[str, str]:
    """Return a new key and its hash."""
    key = f"vs-{secrets.token_urlsafe(_KEY_BYTES)}"
    return key, hash_of(key)


def hash_of(key: str) -> str:
    """Return what the file holds of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def limit_of(
    per_s: float | None, burst: float | None = None, clock: Callable[[], float] = time.monotonic
) -> RateLimit | None:
    """Return a rate limit, None where there is no rate."""
    return None if per_s is None else RateLimit(per_s, burst if burst is not None else max(1.0, 2 * per_s), clock)


class Keys:
    """The keys of a file, as it stands.

    Args:
        path: The file.
        default_per_s: Rate limit of entries that name none.
        on_state: Told after each change whether the last good file is still in force instead (1), or not (0).
        clock: Monotonic seconds.

    Raises:
        SettingsError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        default_per_s: float | None = None,
        on_state: Callable[[float], None] = lambda _is_outdated: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._default_per_s = default_per_s
        self._clock = clock
        self._signature = _signature(path)
        self._entries: dict[str, KeyEntry] = {}
        self._callers: dict[str, Caller] = {}
        self._take(read_keys(path))
        self._looked_s = clock()
        self._on_state = on_state

    def caller(self, key: str) -> Caller | None:
        """Return whose key it is; None for nobody's."""
        self._look()
        return self._callers.get(hash_of(key))

    def caller_named(self, is_it: Callable[[str], bool]) -> Caller | None:
        """Return whose key it is by its hash; None where no key of the file is the one.

        Args:
            is_it: Told the hashes of the file, one by one.
        """
        self._look()
        return next((caller for digest, caller in self._callers.items() if is_it(digest)), None)

    def _look(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._take(read_keys(self._path))
        except SettingsError as error:
            self._on_state(1)
            log.error(  # noqa: TRY400  (the error's text says it all)
                "keys_refused",
                error=str(error),
                still_good=sorted(entry.name for entry in self._entries.values()),
                remedy="mend the file; to revoke every key, let it hold the line keys = [] and nothing else",
            )
            return
        self._on_state(0)
        log.info("keys_taken_over", n_keys=len(self._entries))

    def _take(self, content: KeyFileContent) -> None:
        entries = {entry.sha256: entry for entry in content.keys}
        # An entry that stays keeps its limit's state: to rewrite the file must not give everyone a fresh burst.
        self._callers = {
            digest: self._callers[digest] if self._entries.get(digest) == entry else self._caller_of(entry)
            for digest, entry in entries.items()
        }
        self._entries = entries

    def _caller_of(self, entry: KeyEntry) -> Caller:
        per_s = entry.conversations_per_s or self._default_per_s
        return Caller(entry.name, limit_of(per_s, entry.burst, self._clock), entry.role)


def read_keys(path: Path) -> KeyFileContent:
    """Read a file of keys.

    Raises:
        SettingsError: it cannot be read or is not understood. The text quotes nothing of the file.
    """
    expected = (
        "expected [[keys]] tables with name and sha256; `python -m console key NAME` makes one; keys = [] revokes all"
    )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); {expected}") from None
    except ValueError:
        raise SettingsError(f"{path}: not a TOML file in UTF-8; {expected}") from None
    try:
        return KeyFileContent.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise SettingsError(f"{path}: {faults}; {expected}") from None


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, links followed; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

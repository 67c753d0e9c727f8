"""API keys: a file of their hashes, read again when it changes.

Keys are random and long, so that a plain SHA-256 of one tells nothing about it; a key itself stands in no file. A new
file that cannot be used, an empty one among them, leaves the last good one in force; `keys = []` revokes all.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from console.port.rate import RateLimit
from console.port.roles import Role
from console.port.watched import FileForm, WatchedFile

_KEY_BYTES: Final = 32

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
    queues: frozenset[str] | None = None
    """Review queues that are theirs; None: all."""
    login: Literal["cookie", "proxy"] | None = None
    """How a person came in; None: with a key, or at the machine."""


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
        self._default_per_s = default_per_s
        self._clock = clock
        self._entries: dict[str, KeyEntry] = {}
        self._callers: dict[str, Caller] = {}
        self._file = WatchedFile(path, _FORM, take=self._take, on_state=on_state, clock=clock)

    def caller(self, key: str) -> Caller | None:
        """Return whose key it is; None for nobody's."""
        self._file.look()
        return self._callers.get(hash_of(key))

    def binding(self, key: str) -> str | None:
        """Return what a login with a key is bound to; None for nobody's."""
        self._file.look()
        entry = self._entries.get(hash_of(key))
        return None if entry is None else binding_of(entry)

    def logins(self) -> Iterator[tuple[str, Caller]]:
        """Yield what a login is bound to, and whose it is: it ends where its entry changes or goes."""
        self._file.look()
        for digest, entry in self._entries.items():
            yield binding_of(entry), self._callers[digest]

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


def binding_of(entry: BaseModel) -> str:
    """Return the digest of an entry, in which every field counts; two kinds of entries never share one."""
    content = f"{type(entry).__name__} {entry.model_dump_json()}"
    return hashlib.sha256(content.encode()).hexdigest()


def read_keys(path: Path) -> KeyFileContent:
    """Read a file of keys; raises SettingsError as `FileForm.read` does."""
    return _FORM.read(path)


_FORM: Final = FileForm(
    refused="keys_refused",
    taken_over="keys_taken_over",
    counted="n_keys",
    model=KeyFileContent,
    expected="expected [[keys]] tables with name and sha256; `python -m console key NAME` makes one; "
    "keys = [] revokes all",
    remedy="mend the file; to revoke every key, let it hold the line keys = [] and nothing else",
    names=lambda content: [entry.name for entry in content.keys],
)

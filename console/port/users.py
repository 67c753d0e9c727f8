"""Local users: names and salted hashes of passwords in a file, read again when it changes.

People choose passwords, and so their hashes are slow: scrypt at a cost that each entry states.
Invariant: a name that is not in the file costs its guesser as much time as one that is.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from console.errors import SettingsError
from console.port.keys import Caller, Keys, binding_of, limit_of
from console.port.roles import Role
from console.port.watched import FileForm, WatchedFile

USER_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}$"
"""An address of mail is one; a name stands in decisions as their actor."""
LEAST_CHARACTERS: Final = 12
"""Of a password that the command takes."""
_SCHEME: Final = "scrypt"
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_LEAST_LOG_N, _MOST_LOG_N = 14, 17
_MOST_R, _MOST_P = 16, 8
_MEMORY_BYTES: Final = 320 << 20
"""OpenSSL refuses to take more; the largest cost that an entry may state needs 256 MiB."""


class Cost(NamedTuple):
    """What one guess takes: 128 * 2**log_n * r bytes of memory, p times."""

    log_n: int
    r: int
    p: int


COST: Final = Cost(log_n=15, r=8, p=3)
"""32 MiB and some 0.2 s a guess; one of the equal choices of OWASP's password storage sheet."""


class PasswordHash(NamedTuple):
    """`scrypt$LOG_N$R$P$SALT$HASH`, the last two in base64."""

    cost: Cost
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, cost: Cost = COST) -> Self:
        """Hash a password with a new salt."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(cost, salt, _scrypt(password, salt, cost))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form in which a file holds it.

        Raises:
            ValueError: it is another one, or its cost is out of bounds.
        """
        form = f"expected {_SCHEME}$LOG_N$R$P$SALT$HASH; `python -m console user NAME` makes one"
        scheme, *numbers, salt, digest = text.split("$") if text.count("$") == 5 else [""] * 6  # noqa: PLR2004
        if scheme != _SCHEME or not all(part.isascii() and part.isdecimal() and len(part) < 3 for part in numbers):  # noqa: PLR2004
            raise ValueError(f"is no password hash that is known here; {form}")
        cost = Cost(*map(int, numbers))
        if not (_LEAST_LOG_N <= cost.log_n <= _MOST_LOG_N and 1 <= cost.r <= _MOST_R and 1 <= cost.p <= _MOST_P):
            raise ValueError(
                f"states the cost {cost.log_n}, {cost.r}, {cost.p}; expected LOG_N of {_LEAST_LOG_N} to {_MOST_LOG_N}, "
                f"R up to {_MOST_R} and P up to {_MOST_P}; make the entry anew"
            )
        raw_salt, raw_digest = _decoded(salt), _decoded(digest)
        if len(raw_salt) != _SALT_BYTES or len(raw_digest) != _HASH_BYTES:
            raise ValueError(f"holds a salt or a hash of another length, or no base64; {form}")
        return cls(cost, raw_salt, raw_digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"{_SCHEME}${self.cost.log_n}${self.cost.r}${self.cost.p}${salt}${digest}"

    def is_of(self, password: str) -> bool:
        """Say whether a password is the one; takes as long as `cost` says, with the GIL released."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost), self.digest)


class UserEntry(BaseModel):
    """One user of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=USER_NAME)] = Field(
        description="Whose it is: the actor of their decisions; stands in logs."
    )
    password: str
    role: Role
    queues: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] | None = Field(
        default=None, description="Review queues that are theirs; left out: all."
    )

    @field_validator("password")
    @classmethod
    def _is_a_hash(cls, text: str) -> str:
        PasswordHash.parse(text)
        return text


class UserFileContent(BaseModel):
    """The file: `[[users]]` tables, or `users = []` where nobody may log in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    users: tuple[UserEntry, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({entry.name for entry in self.users}) < len(self.users):
            raise ValueError("two entries have the same name; expected each person once")
        return self


class Users:
    """The users of a file, as it stands.

    Args:
        path: The file.
        default_per_s: Rate limit of each user's questions to the classifier; None: none.
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
        self._entries: dict[str, UserEntry] = {}
        self._logins: dict[str, tuple[str, Caller]] = {}
        self._hashes: dict[str, PasswordHash] = {}
        self._nobodys = _nobodys(COST)
        self._file = WatchedFile(path, _FORM, take=self._take, on_state=on_state, clock=clock)

    def hash_of(self, name: str) -> PasswordHash:
        """Return the hash of a user's password; of a name that is not there one that no password has."""
        self._file.look()
        return self._hashes.get(name, self._nobodys)

    def binding(self, name: str) -> str | None:
        """Return what a login of a user is bound to; None where there is none of the name."""
        found = self._logins.get(name)
        return None if found is None else found[0]

    def logins(self) -> Iterator[tuple[str, Caller]]:
        """Yield what a login is bound to, and whose it is: it ends where its entry changes or goes."""
        self._file.look()
        yield from self._logins.values()

    def _take(self, content: UserFileContent) -> None:
        entries = {entry.name: entry for entry in content.users}
        # An entry that stays keeps its limit's state: to rewrite the file must not give everyone a fresh burst.
        self._logins = {
            name: self._logins[name]
            if self._entries.get(name) == entry
            else (binding_of(entry), self._caller_of(entry))
            for name, entry in entries.items()
        }
        self._entries = entries
        self._hashes = {name: PasswordHash.parse(entry.password) for name, entry in entries.items()}
        costs = [found.cost for found in self._hashes.values()]
        self._nobodys = _nobodys(max(costs, key=lambda cost: (cost.r * cost.p) << cost.log_n, default=COST))

    def _caller_of(self, entry: UserEntry) -> Caller:
        queues = None if entry.queues is None else frozenset(entry.queues)
        return Caller(entry.name, limit_of(self._default_per_s, clock=self._clock), entry.role, queues)


def read_users(path: Path) -> UserFileContent:
    """Read a file of users; raises SettingsError as `FileForm.read` does."""
    return _FORM.read(path)


def check_names(keys: Keys | None, users: Users | None) -> None:
    """Refuse a name that a key and a user share: decisions would not tell whose they are.

    Raises:
        SettingsError: names it.
    """
    if keys is None or users is None:
        return
    of_keys, of_users = ({caller.name for _, caller in entries.logins()} for entries in (keys, users))
    if shared := sorted(of_keys & of_users):
        raise SettingsError(
            f"a key and a user are both named {', '.join(shared)}; expected names that differ, since decisions name "
            "who took them; rename one in its file"
        )


_FORM: Final = FileForm(
    refused="users_refused",
    taken_over="users_taken_over",
    counted="n_users",
    model=UserFileContent,
    expected="expected [[users]] tables with name, password and role; `python -m console user NAME` makes one; "
    "users = [] ends all",
    remedy="mend the file; to end every login, let it hold the line users = [] and nothing else",
    names=lambda content: [entry.name for entry in content.users],
)


def _nobodys(cost: Cost) -> PasswordHash:
    return PasswordHash(cost, secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES))


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=1 << cost.log_n,
        r=cost.r,
        p=cost.p,
        maxmem=_MEMORY_BYTES,
        dklen=_HASH_BYTES,
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""

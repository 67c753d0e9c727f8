"""Settings of the verdict cache; `worker.cache.connection` makes a Redis client of them."""

from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.cache.address import address_parts
from worker.settings.key_lines import KeyLines, keys_of
from worker.settings.section import MAX_S, Section

_TLS = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location", "ssl_key_password")

_MAX_TTL_S: Final = 10 * 365 * 86_400
"""Ten years. A moment so long ago is still one that Kafka can be asked for."""


class OnRejected(StrEnum):
    """What a rejected event does to the verdict before it."""

    EVICT = "evict"
    """A marker takes its place, so that no older write brings it back."""
    KEEP = "keep"
    """It stays until its TTL ends."""


class RedisSettings(Section):
    """The verdict cache. Without a url the worker runs without one."""

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset({"signing_key"})

    url: SecretStr | None = Field(default=None, description="redis://, rediss:// (TLS) or unix:// address.")
    url_file: Path | None = Field(default=None, description="File that holds url.")
    username: str | None = Field(
        default=None, min_length=1, description="ACL user; by default the url's, else Redis' default user."
    )
    password: SecretStr | None = Field(default=None, description="Password; by default the url's.")
    password_file: Path | None = Field(default=None, description="File that holds password.")
    ssl_ca_location: Path | None = Field(
        default=None, description="CA certificates (PEM) of a rediss:// server; by default the system's."
    )
    ssl_certificate_location: Path | None = Field(default=None, description="Client certificate (PEM).")
    ssl_key_location: Path | None = Field(default=None, description="Client key (PEM).")
    ssl_key_password: SecretStr | None = Field(default=None, description="Password of the client key.")
    ssl_key_password_file: Path | None = Field(default=None, description="File that holds ssl_key_password.")
    key_prefix: str = Field(
        default="verdict:",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        json_schema_extra={"form": "1 to 64 ASCII letters, digits, `_`, `.`, `:` and `-`, such as verdict:"},
        description="What precedes the chat_id in a key; keeps two models with other categories apart.",
    )
    signing_key: KeyLines | None = Field(
        default=None,
        description="Key that signs cached values, at least 32 characters; a second line is accepted, too.",
    )
    signing_key_file: Path | None = Field(default=None, description="File that holds signing_key.")
    ttl_s: int = Field(default=7 * 86_400, gt=0, le=_MAX_TTL_S, description="How long a verdict stays.")
    on_rejected: OnRejected = Field(
        default=OnRejected.EVICT,
        description="Whether a rejected event takes the chat's verdict out of the cache; a tombstone always does.",
    )
    timeout_s: float = Field(default=0.1, gt=0, le=5, description="Longest wait for one Redis answer.")
    n_decoded: int = Field(
        default=2_000,
        ge=0,
        description="Written verdicts kept decoded (about 12 kB each, 30 kB with 256 categories), which are cheap to "
        "read again.",
    )
    breaker_failures: int = Field(default=3, gt=0, description="Failures in a row that open the circuit breaker.")
    breaker_open_s: float = Field(
        default=2.0, gt=0, le=MAX_S, description="How long Redis is left alone before the next try."
    )
    owed_max_bytes: int = Field(
        default=16_000_000,
        ge=0,
        description="Memory of writes that Redis has not taken; beyond it a chat is owed a marker, which takes its "
        "older verdict away.",
    )
    owed_max_chats: int = Field(
        default=20_000,
        ge=0,
        description="Chats whose write is owed; beyond them input offsets are kept, and read again later.",
    )
    resend_s: float = Field(
        default=60.0,
        ge=0,
        le=MAX_S,
        description="Writes of so long ago are made again where Redis lost them: a promoted replica may never have got "
        "them.",
    )
    resend_max_bytes: int = Field(
        default=16_000_000, ge=0, description="Memory of those; of older ones input offsets are kept."
    )

    @field_validator("url")
    @classmethod
    def _url_is_understood(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        address_parts(url.get_secret_value())
        return url

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys of cached values: the first signs, each is accepted; none: nothing is signed."""
        return keys_of(self.signing_key)

    @model_validator(mode="after")
    def _settings_match_the_url(self) -> Self:
        given = [name for name in ("username", "password", *_TLS) if getattr(self, name) is not None]
        if self.url is None:
            if given:
                raise ValueError(f"{', '.join(given)}: set without url; expected the address they belong to; set url")
            return self
        address = self.url.get_secret_value()
        in_url = address_parts(address)
        if twice := [name for name in ("username", "password") if name in given and in_url.get(name)]:
            raise ValueError(f"{', '.join(twice)}: set, and the url holds one too; expected one of them; drop one")
        if (self.username or in_url.get("username")) and self.password is None and not in_url.get("password"):
            raise ValueError(
                "username is set without password; expected both; set password or password_file; a url's password "
                "alone stands behind a colon: redis://:password@host"
            )
        tls = [name for name in given if name in _TLS]
        if tls and not address.startswith("rediss://"):
            raise ValueError(f"{', '.join(tls)}: set, but only rediss:// would use it; expected rediss://… in url")
        if (self.ssl_certificate_location is None) != (self.ssl_key_location is None):
            raise ValueError("ssl_certificate_location and ssl_key_location belong together; set both or neither")
        if self.ssl_key_password is not None and self.ssl_key_location is None:
            raise ValueError("ssl_key_password is set without ssl_key_location; expected the key it opens; set both")
        return self

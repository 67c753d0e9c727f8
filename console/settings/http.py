"""Where the console listens, who may ask, and how much."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from console.settings.section import MAX_S, Section, check_networks

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
"""Hosts under which a loopback port is asked for; a page of another site that was made to resolve to it is not."""

_ALL_ADDRESSES: Final = ("0.0.0.0", "[::]")  # noqa: S104  (to be told from an address that a browser can ask)


class HttpSettings(Section):
    """The port. Beyond loopback it needs host names, and keys, users or a proxy (`ConsoleSettings`)."""

    comma_lists: ClassVar[frozenset[str]] = frozenset({"allowed_hosts", "allowed_origins", "forwarded_from"})

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 in a pod.")
    port: int = Field(default=8088, ge=0, le=65_535, description="Port; 0 picks a free one.")
    keys_file: Path | None = Field(
        default=None, description="TOML file of hashed API keys; `python -m console key` makes an entry."
    )
    users_file: Path | None = Field(
        default=None, description="TOML file of local users of the pages; `python -m console user` makes an entry."
    )
    session_secret_file: Path | None = Field(
        default=None,
        description="At least 32 random bytes that sign the pages' logins, the same for all processes behind one name; "
        "unset: made anew at each start.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Names under which clients reach the port, separated by commas; * for any. On loopback its own "
        "names are allowed besides.",
    )
    allowed_origins: str = Field(
        default="",
        description="Origins of web pages that may ask besides the port's own, by commas: https://a.example.",
    )
    forwarded_from: str = Field(
        default="",
        description="Networks of proxies, by commas: the last X-Forwarded-For of theirs is the client's address, for "
        "the limit on failed logins alone.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+$",
        description="Address that clients see, for the discovery document; unset: what each request names.",
    )
    max_body_bytes: int = Field(default=8_000_000, ge=1_000, description="Largest body of a request.")
    max_held_bytes: int = Field(
        default=64_000_000, ge=1_000, description="Bodies of all requests in hand together; beyond it 429."
    )
    body_timeout_s: float = Field(
        default=10.0, gt=0, le=MAX_S, description="A body that takes longer to arrive is refused: 408."
    )
    conversations_per_s: float | None = Field(
        default=None, gt=0, description="Rate limit of each key that names none, and of a port without keys."
    )
    stop_within_s: float = Field(
        default=10.0, gt=0, le=MAX_S, description="After SIGTERM: time for the requests in hand."
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the port."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def host_names(self) -> frozenset[str]:
        """Names that a request's Host may have, in lower case, without a port; `*` for any."""
        return frozenset(_listed(self.allowed_hosts)) | (frozenset(LOOPBACK_NAMES) if self.is_loopback else frozenset())

    def address_to_ask(self, listening: str) -> str:
        """Return an address under which the port answers people.

        Args:
            listening: Where it listens, `http://HOST:PORT`.
        """
        if self.public_url is not None:
            return self.public_url
        host, _, port = listening.removeprefix("http://").rpartition(":")
        if host in self.host_names or (host not in _ALL_ADDRESSES and "*" in self.host_names):
            return listening
        named = next((name for name in _listed(self.allowed_hosts) if name != "*"), "127.0.0.1")
        return f"http://{named}:{port}"

    @property
    def origins(self) -> frozenset[str]:
        """Origins of foreign pages that may ask, in lower case."""
        return frozenset(_listed(self.allowed_origins))

    @property
    def forwarders(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `forwarded_from`."""
        return tuple(ip_network(part) for part in _listed(self.forwarded_from))

    @model_validator(mode="after")
    def _networks_are_networks(self) -> Self:
        check_networks("forwarded_from", _listed(self.forwarded_from))
        return self

    @model_validator(mode="after")
    def _strangers_know_a_name(self) -> Self:
        if self.is_loopback:
            return self
        if not self.host_names:
            raise ValueError(
                f"host={self.host} is open to other machines, and allowed_hosts is empty; expected the names "
                "under which clients reach it, or * for any"
            )
        return self

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Self:
        for origin in self.origins:
            scheme, separator, rest = origin.partition("://")
            if scheme not in {"http", "https"} or not separator or not rest or "/" in rest or "*" in rest:
                raise ValueError(
                    f"allowed_origins names {origin!r}; expected scheme, host and port alone, as in https://a.example"
                )
        return self


def _listed(text: str) -> list[str]:
    return [part for one in text.lower().split(",") if (part := one.strip())]

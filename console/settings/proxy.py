"""A proxy in front of the pages that knows who asks: oauth2-proxy and its like."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from console.settings.section import Section, check_networks

ROLES: Final = ("client", "viewer", "reviewer", "admin")
"""Names of `console.port.roles.Role`, which stands above the settings."""
_HEADER: Final = r"^[A-Za-z0-9-]{1,64}$"


class ProxySettings(Section):
    """Whose headers name people. Unset: nobody's."""

    comma_lists: ClassVar[frozenset[str]] = frozenset({"addresses", "roles"})

    secret_file: Path | None = Field(
        default=None,
        description="At least 32 random bytes that the proxy sends in secret_header with each request.",
    )
    addresses: str = Field(
        default="", description="Networks from which the proxy asks, by commas: 10.0.0.0/8, or one address."
    )
    secret_header: str = Field(
        default="x-verdictstream-proxy-secret", pattern=_HEADER, description="Header of the shared secret."
    )
    user_header: str = Field(default="x-forwarded-user", pattern=_HEADER, description="Header of the person's name.")
    groups_header: str = Field(
        default="x-forwarded-groups", pattern=_HEADER, description="Header of the person's groups, by commas."
    )
    roles: str = Field(
        default="",
        description="Roles of groups, by commas: moderators=reviewer, leads=admin. Of several the highest counts; "
        "whoever is in none is refused.",
    )
    logout_url: str | None = Field(
        default=None,
        pattern=r"^(/|https://)[^\s]*$",
        description="Where a person of the proxy logs out: /oauth2/sign_out.",
    )

    @property
    def is_on(self) -> bool:
        """Whether a proxy names people."""
        return self.secret_file is not None

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `addresses`."""
        return tuple(ip_network(part) for part in _parts(self.addresses))

    @property
    def role_of_group(self) -> dict[str, str]:
        """The roles of `roles`, each one of ROLES."""
        pairs = (part.rpartition("=") for part in _parts(self.roles))
        return {group.strip(): role.strip() for group, _, role in pairs}

    @model_validator(mode="after")
    def _lists_are_read(self) -> Self:
        check_networks("addresses", _parts(self.addresses))
        for part in _parts(self.roles):
            group, _, role = part.rpartition("=")
            if not group.strip() or role.strip() not in ROLES:
                raise ValueError(
                    f"roles names {part!r}; expected GROUP=ROLE, the role one of {', '.join(ROLES)}, as in "
                    "moderators=reviewer"
                )
        return self

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        found = {"secret_file": self.secret_file, "addresses": self.addresses, "roles": self.roles}
        missing = [name for name, value in found.items() if not value]
        if 0 < len(missing) < len(found):
            raise ValueError(
                f"{' and '.join(missing)} is unset; expected secret_file, addresses and roles, or none of them: "
                "headers are believed only from known addresses with the secret"
            )
        return self


def _parts(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]

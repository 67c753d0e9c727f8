"""The part of the Kafka settings that says how to connect: transport, authentication, certificates.

Invariant: what is set is used. A credential that the chosen protocol would pass over in silence is refused, because
whoever set it believes that the connection is safer than it is.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.settings.section import Section

_PASSWORD = ("sasl_username", "sasl_password")
_OAUTH = ("oauth_token_url", "oauth_client_id", "oauth_client_secret")
_OAUTH_OPTIONAL = ("oauth_scope", "oauth_ca_location")
_TLS = (
    "ssl_ca_location",
    "ssl_certificate_location",
    "ssl_key_location",
    "ssl_key_password",
)
_ADDRESS: Final = re.compile(
    r"(?:(?P<protocol>[A-Za-z_]+)://)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\])(?::(?P<port>[0-9]{1,5}))?"
)
_LAST_PORT: Final = 65_535


class KafkaConnection(Section):
    """How a connection to a broker is made and proved."""

    bootstrap_servers: str = Field(min_length=1, description="host:port, comma-separated.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Transport and authentication."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="SASL mechanism; OAUTHBEARER takes its tokens from oauth_token_url."
    )
    sasl_username: str | None = Field(default=None, min_length=1, description="User of PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(default=None, description="Password of PLAIN and SCRAM.")
    sasl_password_file: Path | None = Field(default=None, description="File that holds sasl_password.")
    oauth_token_url: str | None = Field(
        default=None, min_length=1, description="OAUTHBEARER: token endpoint of the OIDC issuer (client credentials)."
    )
    oauth_client_id: str | None = Field(default=None, min_length=1, description="OAUTHBEARER: client id.")
    oauth_client_secret: SecretStr | None = Field(default=None, description="OAUTHBEARER: client secret.")
    oauth_client_secret_file: Path | None = Field(default=None, description="File that holds oauth_client_secret.")
    oauth_scope: str | None = Field(default=None, min_length=1, description="OAUTHBEARER: scope that is asked for.")
    oauth_ca_location: Path | None = Field(
        default=None, description="OAUTHBEARER: CA certificates (PEM) of the token endpoint; by default the system's."
    )
    ssl_ca_location: Path | None = Field(
        default=None, description="CA certificates (PEM) of the brokers; by default the system's."
    )
    ssl_certificate_location: Path | None = Field(default=None, description="Client certificate with its chain (PEM).")
    ssl_key_location: Path | None = Field(default=None, description="Client key (PEM).")
    ssl_key_password: SecretStr | None = Field(default=None, description="Password of the client key.")
    ssl_key_password_file: Path | None = Field(default=None, description="File that holds ssl_key_password.")

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses_are_addresses(cls, servers: str) -> str:
        """Refuse what the client passes over in silence, or reads as another port: it would wait for ever."""
        addresses = [address for part in servers.split(",") if (address := part.strip())]
        # Never quoted: a password may stand in it, which the client's log would show.
        if "@" in servers:
            raise ValueError("holds an @; expected host:port alone; user and password are sasl_username, sasl_password")
        for number, address in enumerate(addresses or [""], start=1):
            found = _ADDRESS.fullmatch(address)
            if found is None or not 0 < int(found["port"] or 1) <= _LAST_PORT:
                raise ValueError(
                    f"address {number} of {max(1, len(addresses))} is not understood; expected host:port, several with "
                    "commas, an IPv6 address in brackets, ports from 1 to 65535"
                )
        return ",".join(addresses)

    @field_validator("oauth_token_url")
    @classmethod
    def _secrets_go_to_the_issuer_encrypted(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        # Not quoted: a url with a password in it is what this refuses.
        if parts.username is not None or parts.password is not None:
            raise ValueError("the url holds credentials; expected none; use oauth_client_id and oauth_client_secret")
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ValueError("not a token endpoint; expected https://host/path")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(
                f"http to {parts.hostname} would send the client secret in the clear; expected https://…; plain http "
                "is for loopback addresses only"
            )
        return url

    @model_validator(mode="after")
    def _addresses_have_the_protocol(self) -> Self:
        for number, address in enumerate(self.bootstrap_servers.split(","), start=1):
            protocol, separator, _ = address.partition("://")
            if separator and protocol.upper() != self.security_protocol:
                raise ValueError(
                    f"bootstrap_servers: the protocol of address {number} is not security_protocol="
                    f"{self.security_protocol}, so that the Kafka client would leave it out; expected host:port alone"
                )
        return self

    @model_validator(mode="after")
    def _sasl_settings_match(self) -> Self:
        if not self.security_protocol.startswith("SASL"):
            self._refuse_unused(("sasl_mechanism", *_PASSWORD, *_OAUTH, *_OAUTH_OPTIONAL), "SASL_SSL or SASL_PLAINTEXT")
            return self
        if self.sasl_mechanism is None:
            raise ValueError(
                f"security_protocol={self.security_protocol} needs sasl_mechanism; expected PLAIN, SCRAM-SHA-256, "
                "SCRAM-SHA-512 or OAUTHBEARER; set it"
            )
        is_oauth = self.sasl_mechanism == "OAUTHBEARER"
        needed, foreign = (_OAUTH, _PASSWORD) if is_oauth else (_PASSWORD, (*_OAUTH, *_OAUTH_OPTIONAL))
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(
                f"sasl_mechanism={self.sasl_mechanism} needs {', '.join(needed)}; found no {', '.join(missing)}; set "
                "what is missing (a secret may come from a file: …_file)"
            )
        if unused := self._set_of(foreign):
            raise ValueError(
                f"{', '.join(unused)}: set, but sasl_mechanism={self.sasl_mechanism} would not use it; expected "
                f"{', '.join(needed)}; leave it out or choose the mechanism that takes it"
            )
        return self

    @model_validator(mode="after")
    def _tls_settings_match(self) -> Self:
        if not self.security_protocol.endswith("SSL"):
            self._refuse_unused(_TLS, "SSL or SASL_SSL")
        if (self.ssl_certificate_location is None) != (self.ssl_key_location is None):
            raise ValueError(
                "ssl_certificate_location and ssl_key_location belong together; found one of them; set both or neither"
            )
        if self.ssl_key_password is not None and self.ssl_key_location is None:
            raise ValueError("ssl_key_password is set without ssl_key_location; expected the key it opens; set both")
        return self

    def _set_of(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self, name) is not None]

    def _refuse_unused(self, names: tuple[str, ...], expected: str) -> None:
        if unused := self._set_of(names):
            raise ValueError(
                f"{', '.join(unused)}: set, but security_protocol={self.security_protocol} would not use it; "
                f"expected {expected}, or leave it out"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""A broker with TLS, SASL and ACLs, and the ways to connect to it.

The plaintext listener stays, for the test itself: its user is anonymous and a superuser. Everybody else may do what an
ACL says and nothing more.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from uuid import uuid4

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.kafka.apply import create_acls
from deploy.kafka.rights import Right, rights_by_role
from deploy.local import BrokerOptions, LocalStack
from tests.integration.certificates import Certificates
from tests.integration.token_server import AUDIENCE, ISSUER, TokenServer
from worker.settings.kafka import KafkaSettings

WAYS: Final = ("scram", "plain", "mtls", "oauth")
SECRET: Final = "hunter2-canary-7f3a"  # noqa: S105  every password of a test begins like this
PLAIN_USER: Final = "plain-worker"

_SECURITY: Final = "org.apache.kafka.common.security"


def broker_options(certificates: Certificates, tokens: TokenServer) -> BrokerOptions:
    """Return a broker with a listener for each way."""
    scram = f"{_SECURITY}.scram.ScramLoginModule required;"
    plain = f'{_SECURITY}.plain.PlainLoginModule required user_{PLAIN_USER}="{SECRET}-plain";'
    bearer = f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule required;"
    return BrokerOptions(
        listeners={"SASL": "SASL_SSL", "MTLS": "SSL", "OAUTH": "SASL_SSL"},
        jvm_flags=(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={tokens.jwks_url}",),
        settings={
            "group.min.session.timeout.ms": "1000",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates.server_store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates.ca),
            "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl.plain.sasl.jaas.config": plain,
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": bearer,
            "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": (
                f"{_SECURITY}.oauthbearer.OAuthBearerValidatorCallbackHandler"
            ),
            "sasl.oauthbearer.jwks.endpoint.url": tokens.jwks_url,
            "sasl.oauthbearer.expected.audience": AUDIENCE,
            "sasl.oauthbearer.expected.issuer": ISSUER,
        },
    )


def token_server(certificates: Certificates) -> TokenServer:
    """Return an issuer that knows no client yet."""
    return TokenServer({}, certificates.server_context())


class Connection(NamedTuple):
    """A user and how it connects."""

    principal: str
    settings: dict[str, str]
    """Of the worker, without the prefix."""


class SecuredKafka:
    """Users, rights and settings on a running broker.

    Args:
        stack: With `broker_options`.
        certificates: What its listeners use.
        tokens: The issuer its OAUTH listener trusts.
    """

    def __init__(self, stack: LocalStack, certificates: Certificates, tokens: TokenServer) -> None:
        self.stack = stack
        self.certificates = certificates
        self.tokens = tokens
        self.admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers, "log_level": 0})

    def connection(self, way: str, *, user: str = "") -> Connection:
        """Make a user and return how it connects."""
        name = PLAIN_USER if way == "plain" else user or f"{way}-{uuid4().hex[:8]}"
        secret = f"{SECRET}-{way}"
        kafka = {
            "SECURITY_PROTOCOL": "SSL" if way == "mtls" else "SASL_SSL",
            "SSL_CA_LOCATION": str(self.certificates.ca),
        }
        if way == "mtls":
            pair = self.certificates.client(name, password=secret)
            kafka |= {"SSL_CERTIFICATE_LOCATION": str(pair.certificate), "SSL_KEY_LOCATION": str(pair.key)}
            kafka |= {"SSL_KEY_PASSWORD": secret}
        elif way == "oauth":
            self.tokens.clients[name] = secret
            kafka |= {"SASL_MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN_URL": self.tokens.token_url}
            kafka |= {"OAUTH_CLIENT_ID": name, "OAUTH_CLIENT_SECRET": secret, "OAUTH_SCOPE": "verdicts"}
            kafka |= {"OAUTH_CA_LOCATION": str(self.certificates.ca)}
        else:
            kafka |= {"SASL_MECHANISM": "SCRAM-SHA-512" if way == "scram" else "PLAIN"}
            kafka |= {"SASL_USERNAME": name, "SASL_PASSWORD": secret}
        if way == "scram":
            self.set_password(name, secret)
        listener = {"mtls": "MTLS", "oauth": "OAUTH"}.get(way, "SASL")
        kafka["BOOTSTRAP_SERVERS"] = self.stack.kafka.servers_of(listener)
        return Connection(f"User:{name}", {f"KAFKA__{key}": value for key, value in kafka.items()})

    def set_password(self, user: str, password: str) -> None:
        """Create a SCRAM user, or change its password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
        upsertion = UserScramCredentialUpsertion(user, info, password.encode())
        for future in self.admin.alter_user_scram_credentials([upsertion]).values():
            future.result(10)

    def allow(self, acls: Iterable[AclBinding]) -> None:
        """Give rights."""
        create_acls(self.admin, acls)

    def disallow(self, principal: str) -> None:
        """Take every right of a principal away."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            principal,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for future in self.admin.delete_acls([everything]).values():
            future.result(10)


def kafka_settings(environment: Mapping[str, str]) -> KafkaSettings:
    """Return the Kafka section of the worker's environment."""
    prefix = "MODERATION_KAFKA__"
    names = {name.removeprefix(prefix).lower(): value for name, value in environment.items() if prefix in name}
    return KafkaSettings.model_validate(names)


def role_rights(environment: Mapping[str, str], role: str, **others: str) -> list[Right]:
    """Return the least rights of a role under these settings of a worker."""
    return rights_by_role(kafka_settings(dict(environment)), **others)[role]

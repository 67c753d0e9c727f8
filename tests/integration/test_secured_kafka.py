"""The worker on a broker with TLS and SASL: over each kind of connection it works, and a refusal ends it in seconds."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from deploy.kafka.rights import bindings
from deploy.local import LocalStack
from deploy.local.ports import free_ports
from testkit.records import InputRecord
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples, status_of
from tests.integration.secured_kafka import SECRET, WAYS, SecuredKafka, kafka_settings, role_rights
from worker.errors import Fatal
from worker.kafka.probe import open_admin

pytestmark = pytest.mark.services

EXIT_FATAL = 3
Changed = Callable[[SecuredKafka], dict[str, str]]


@pytest.fixture(scope="module")
def stack(secured: SecuredKafka) -> LocalStack:
    """Put the secured broker in the place of the open one."""
    return secured.stack


@pytest.mark.parametrize("way", WAYS)
def test_the_worker_judges_over_an_encrypted_and_authenticated_connection(  # noqa: PLR0917  fixtures
    way: str,
    secured: SecuredKafka,
    ledger: LiveLedger,
    settings: Settings,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Verdicts and dead letters, exactly once, with the least rights; and no secret in the most talkative log."""
    connection = secured.connection(way)
    secured.allow(bindings(role_rights(settings, "worker"), connection.principal))
    worker = start_worker(**connection.settings, LOG__LEVEL="debug")
    ledger.send(sample_chats[:40])
    ledger.send_raw([InputRecord(b"bad", b"{")])
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    assert len(ledger.dead_letters()) == 1
    assert SECRET not in worker.log_path.read_text()


def wrong_password(secured: SecuredKafka) -> dict[str, str]:
    """Return a known user with another password."""
    return secured.connection("scram").settings | {"KAFKA__SASL_PASSWORD": f"{SECRET}-wrong"}


def unknown_user(secured: SecuredKafka) -> dict[str, str]:
    """Return a user that the broker has never heard of."""
    return secured.connection("plain").settings | {"KAFKA__SASL_USERNAME": "nobody"}


def mechanism_that_is_off(secured: SecuredKafka) -> dict[str, str]:
    """Return a mechanism that the listener does not offer."""
    return secured.connection("scram").settings | {"KAFKA__SASL_MECHANISM": "SCRAM-SHA-256"}


def another_ca(secured: SecuredKafka) -> dict[str, str]:
    """Return a worker that trusts somebody else."""
    return secured.connection("scram").settings | {"KAFKA__SSL_CA_LOCATION": str(secured.certificates.other_ca)}


def stranger(secured: SecuredKafka) -> dict[str, str]:
    """Return a client certificate of another CA."""
    pair = secured.certificates.client("stranger", known=False)
    return _with_certificate(secured, str(pair.certificate), str(pair.key))


def expired(secured: SecuredKafka) -> dict[str, str]:
    """Return a client certificate that ran out yesterday."""
    pair = secured.certificates.client("late", expired=True)
    return _with_certificate(secured, str(pair.certificate), str(pair.key))


def no_certificate(secured: SecuredKafka) -> dict[str, str]:
    """Return a client that shows none where one is asked for."""
    without = ("CERTIFICATE_LOCATION", "KEY_LOCATION", "KEY_PASSWORD")
    return {key: value for key, value in secured.connection("mtls").settings.items() if not key.endswith(without)}


def wrong_client_secret(secured: SecuredKafka) -> dict[str, str]:
    """Return a client that the token endpoint turns away."""
    return secured.connection("oauth").settings | {"KAFKA__OAUTH_CLIENT_SECRET": f"{SECRET}-wrong"}


def issuer_of_another_ca(secured: SecuredKafka) -> dict[str, str]:
    """Return a worker that does not trust the token endpoint."""
    return secured.connection("oauth").settings | {"KAFKA__OAUTH_CA_LOCATION": str(secured.certificates.other_ca)}


def _with_certificate(secured: SecuredKafka, certificate: str, key: str) -> dict[str, str]:
    return no_certificate(secured) | {"KAFKA__SSL_CERTIFICATE_LOCATION": certificate, "KAFKA__SSL_KEY_LOCATION": key}


CREDENTIALS = "check MODERATION_KAFKA__SASL_USERNAME"
CERTIFICATES = "check the certificates"


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        (wrong_password, CREDENTIALS),
        (unknown_user, CREDENTIALS),
        (mechanism_that_is_off, CREDENTIALS),
        (another_ca, CERTIFICATES),
        (stranger, CERTIFICATES),
        (expired, CERTIFICATES),
        (no_certificate, CERTIFICATES),
        (wrong_client_secret, CREDENTIALS),
        (issuer_of_another_ca, CREDENTIALS),
    ],
)
def test_a_refused_connection_is_an_error_that_says_what_to_check(
    changed: Changed, remedy: str, secured: SecuredKafka, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client would try again without end and call it a time-out; nobody waits for a certificate to become valid."""
    wrong = changed(secured)
    with pytest.raises(Fatal, match=remedy) as caught:
        open_admin(kafka_settings({f"MODERATION_{name}": value for name, value in wrong.items()}))
    assert "no answer within" not in str(caught.value)
    assert wrong["KAFKA__BOOTSTRAP_SERVERS"] in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize(("changed", "remedy"), [(wrong_password, CREDENTIALS), (stranger, CERTIFICATES)])
def test_a_refused_worker_ends_with_3(
    changed: Changed, remedy: str, secured: SecuredKafka, start_worker: StartWorker
) -> None:
    """As operators see it: one line, no traceback, no secret, long before `unreachable_exit_s`."""
    worker = start_worker(**changed(secured), LOG__LEVEL="debug")
    assert worker.wait_exit() == EXIT_FATAL
    (line,) = worker.events("worker_fatal")
    assert remedy in line["error"]
    assert "Traceback" not in worker.tail()
    assert SECRET not in worker.log_path.read_text()


def test_a_password_that_changes_ends_the_worker_when_it_has_to_connect_again(
    secured: SecuredKafka, settings: Settings, start_worker: StartWorker
) -> None:
    """F19: credentials revoked while it runs; the broker's restart is what breaks the connections here."""
    connection = secured.connection("scram")
    secured.allow(bindings(role_rights(settings, "worker"), connection.principal))
    worker = start_worker(**connection.settings)
    worker.wait_joined()
    secured.set_password(connection.principal.removeprefix("User:"), f"{SECRET}-changed")
    secured.stack.kafka.stop_broker(0)
    secured.stack.kafka.start_broker(0)
    assert worker.wait_exit() == EXIT_FATAL
    (line,) = worker.events("worker_fatal")
    assert CREDENTIALS in line["error"]
    assert SECRET not in worker.log_path.read_text()


def test_the_end_of_the_certificates_is_shown(
    secured: SecuredKafka, settings: Settings, start_worker: StartWorker
) -> None:
    """Librdkafka reads them once: before they end somebody has to restart the workers."""
    connection = secured.connection("mtls")
    secured.allow(bindings(role_rights(settings, "worker"), connection.principal))
    (port,) = free_ports(1)
    worker = start_worker(**connection.settings, HTTP__PORT=str(port))
    wait_until(lambda: status_of(port, "/readyz") == 200, timeout_s=60, what=worker.tail)
    ends = samples(port, "moderation_certificate_expiry_timestamp_seconds")
    assert ends.keys() == {(("file", "kafka_ca"),), (("file", "kafka_certificate"),)}
    assert min(ends.values()) > time.time()

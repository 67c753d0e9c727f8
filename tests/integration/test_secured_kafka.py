"""The worker on a broker with TLS, SASL and ACLs: with the least rights it works, and a refusal ends it in seconds."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.kafka.rights import bindings, rights_by_role
from deploy.local import LocalStack
from tests.integration.certificates import Certificates
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import Ledger, Sent
from tests.integration.secured_kafka import SECRET, WAYS, SecuredKafka, broker_options, token_server
from worker.settings import KafkaSettings

pytestmark = pytest.mark.services

EXIT_FATAL = 3
REFUSED_S = 30.0
"""A refusal must end the worker long before `unreachable_exit_s` (300 s); its start alone takes seconds here."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return the certificates of this file."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(certificates: Certificates) -> Iterator[tuple[LocalStack, SecuredKafka]]:
    """Return a broker with every kind of listener."""
    tokens = token_server(certificates)
    with LocalStack(broker_options=broker_options(certificates, tokens)) as running:
        yield running, SecuredKafka(running, certificates, tokens)
    tokens.close()


@pytest.fixture(scope="module")
def stack(secured: tuple[LocalStack, SecuredKafka]) -> LocalStack:
    """Put the secured broker in the place of the open one."""
    return secured[0]


@pytest.fixture
def kafka(secured: tuple[LocalStack, SecuredKafka]) -> SecuredKafka:
    """Return users and rights."""
    return secured[1]


def worker_rights(settings: Settings) -> list[Any]:
    """Return the rights of a worker with these settings."""
    prefix = "MODERATION_KAFKA__"
    names = {key.removeprefix(prefix).lower(): value for key, value in settings.items() if key.startswith(prefix)}
    kafka = KafkaSettings.model_validate(names)
    return [right for right in rights_by_role(kafka)["worker"]]


def overrides(settings: Settings) -> dict[str, str]:
    """Return settings as `start_worker` takes them."""
    return {key.removeprefix("MODERATION_"): value for key, value in settings.items()}


@pytest.mark.parametrize("way", WAYS)
def test_the_worker_judges_with_the_least_rights_over(
    way: str,
    kafka: SecuredKafka,
    ledger: Ledger,
    settings: Settings,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Verdicts and dead letters, exactly once, over every kind of connection; and no secret in the most talkative log."""
    principal, connection = kafka.connection(way)
    kafka.allow(bindings(worker_rights(settings), principal))
    worker = start_worker(**overrides(connection), LOG__LEVEL="debug")
    ledger.send(sample_chats[:40])
    ledger.send_raw([Sent(b"bad", b"{")])
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    assert len(ledger.dead_letters()) == 1
    assert not worker.events("topic_limit_unknown")
    assert SECRET not in worker.log_path.read_text()
    kafka.disallow_all(principal)

"""Real Kafka, real Redis, real worker processes. Where one of them cannot start, the tests fail."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from deploy.local import BrokerOptions, LocalStack
from deploy.local.redis_server import bundled_redis_server, redis_servers
from testkit.topics import Topics
from testkit.worker_process import WorkerProcess
from tests.brokers import QUICK_SESSIONS
from tests.integration.certificates import Certificates
from tests.integration.ledger import LiveLedger
from tests.integration.replay_rig import ReplayRig
from tests.integration.secured_kafka import SecuredKafka, broker_options, token_server
from tests.integration.workers import worker_process

Settings = dict[str, str]

both_group_protocols = pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
"""Marks a test that is run under the classic group protocol and under KIP-848."""

_REDIS_SERVERS = redis_servers(os.environ, bundled=bundled_redis_server())

every_redis = (
    pytest.mark.usefixtures("redis_binary"),
    pytest.mark.parametrize("redis_binary", _REDIS_SERVERS.values(), ids=_REDIS_SERVERS, indirect=True),
)
"""Marks tests that are run on the bundled Redis and, where PATH has one, on another Redis and on a Valkey."""

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalStack]:
    """Three brokers, each in a rack of its own, and one Redis; topics get three copies, two of them in sync."""
    selector = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
    options = BrokerOptions(heap="256m", settings=QUICK_SESSIONS | selector, racks=("zone-a", "zone-b", "zone-c"))
    with LocalStack(n_brokers=3, broker_options=options) as running:
        yield running


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One broker with TLS, SASL and ACLs for all tests that put it in the place of the open one."""
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    tokens = token_server(certificates)
    with LocalStack(broker_options=broker_options(certificates, tokens)) as running:
        yield SecuredKafka(running, certificates, tokens)
    tokens.close()


@pytest.fixture
def n_partitions() -> int:
    """Return the partitions of a test's topics; overridden where a test needs more."""
    return 4


@pytest.fixture
def topics(stack: LocalStack, n_partitions: int) -> Topics:
    """Create topics that no other test knows."""
    mark = uuid4().hex[:8]
    found = Topics(
        stack.bootstrap_servers,
        f"chat-events-{mark}",
        f"verdicts-{mark}",
        f"chat-events.dlq-{mark}",
        f"group-{mark}",
        n_partitions,
    )
    stack.kafka.create_topics(dict.fromkeys(found.names, n_partitions))
    return found


@pytest.fixture
def ledger(topics: Topics) -> Iterator[LiveLedger]:
    """Return the oracle of this test."""
    book = LiveLedger(topics)
    yield book
    book.close()


@pytest.fixture
def redis_binary(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the Redis of the stack be the server that `every_redis` names, for one test."""
    usual = stack.redis.binary
    wanted: Path = getattr(request, "param", usual)
    _serve_with(stack, wanted)
    yield
    _serve_with(stack, usual)


def _serve_with(stack: LocalStack, binary: Path) -> None:
    if binary != stack.redis.binary:
        stack.redis.stop()
        stack.redis.binary = binary
        stack.redis.start()


@pytest.fixture
def cache(stack: LocalStack, redis_binary: None) -> Iterator["redis.Redis"]:  # noqa: ARG001  the server in use
    """Return a client of the Redis that the workers use; it starts empty."""
    client = redis.Redis.from_url(stack.redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def group_protocol() -> str:
    """Return the workers' group protocol; `both_group_protocols` overrides it."""
    return "classic"


@pytest.fixture
def settings(
    stack: LocalStack,
    topics: Topics,
    cache: "redis.Redis",  # noqa: ARG001
    bundle_path: Path,
    group_protocol: str,
) -> Settings:
    """Return the settings of this test's workers: topics and group of their own, an empty cache, the shipped bundle."""
    return {
        **topics.worker_settings(),
        "MODERATION_KAFKA__GROUP_PROTOCOL": group_protocol,
        "MODERATION_KAFKA__SESSION_TIMEOUT_S": "3",
        "MODERATION_KAFKA__TRANSACTION_TIMEOUT_S": "3",
        # No test waits for a scrape of a worker that ends.
        "MODERATION_HTTP__EXIT_LINGER_S": "0",
        "MODERATION_REDIS__URL": stack.redis_url,
        "MODERATION_MODEL__PATH": str(bundle_path),
        "MODERATION_MODEL__N_THREADS": "1",
    }


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Return a function that starts a worker; keyword arguments are settings laid over the test's own."""
    started: list[WorkerProcess] = []

    def start(**overrides: str) -> WorkerProcess:
        changed = {f"MODERATION_{name}": value for name, value in overrides.items()}
        worker = worker_process(settings | changed, tmp_path / f"worker-{len(started)}.log")
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
        # Shown by pytest where the test failed, and only there.
        sys.stderr.write(f"{worker.log_path.name}: {worker.tail()}\n")


@pytest.fixture
def replays(stack: LocalStack, topics: Topics, settings: Settings, tmp_path: Path) -> Iterator[ReplayRig]:
    """Return what starts replays over this test's topics."""
    rig = ReplayRig(stack, topics, settings, tmp_path)
    yield rig
    rig.close()

"""A real Kafka and a real Redis behind fault proxies, and the fixtures of the integration tests on top of them.

The harness speaks to the services directly, the workers through the proxies.
"""

from collections.abc import Iterator

import pytest

from deploy.local import BrokerOptions, LocalStack
from deploy.local.proxied_stack import ProxiedStack
from tests.brokers import QUICK_SESSIONS
from tests.integration import conftest as integration

Settings = integration.Settings
StartWorker = integration.StartWorker

cache = integration.cache
group_protocol = integration.group_protocol
ledger = integration.ledger
n_partitions = integration.n_partitions
redis_binary = integration.redis_binary
start_worker = integration.start_worker
topics = integration.topics
direct_settings = integration.settings


@pytest.fixture(scope="session")
def one_broker() -> Iterator[ProxiedStack]:
    """One broker and one Redis, each behind a proxy."""
    with ProxiedStack(broker_options=BrokerOptions(settings=QUICK_SESSIONS)) as running:
        yield running


@pytest.fixture(scope="session")
def three_brokers() -> Iterator[ProxiedStack]:
    """Three brokers and one Redis, each behind a proxy; topics get three copies, two of them in sync."""
    with ProxiedStack(3, broker_options=BrokerOptions(heap="256m", settings=QUICK_SESSIONS)) as running:
        yield running


@pytest.fixture
def proxied(one_broker: ProxiedStack) -> Iterator[ProxiedStack]:
    """Return the services of a test; its lines are whole again afterwards."""
    yield one_broker
    one_broker.heal()


@pytest.fixture
def stack(proxied: ProxiedStack) -> LocalStack:
    """Return the services themselves."""
    return proxied.stack


@pytest.fixture
def settings(direct_settings: Settings, proxied: ProxiedStack) -> Settings:
    """Return the settings of this test's workers, which reach Kafka and Redis through the proxies."""
    return direct_settings | {
        "MODERATION_KAFKA__BOOTSTRAP_SERVERS": proxied.bootstrap_servers,
        "MODERATION_REDIS__URL": proxied.redis_url,
    }

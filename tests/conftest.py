"""Fixtures of every folder: bundle, sample chats, brokers; kinds of tests, profiles of Hypothesis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings

from deploy.local import BrokerOptions, LocalStack
from model import DEFAULT_BUNDLE_PATH
from tests.broker_twin.broker import TwinBroker
from tests.brokers import QUICK_SESSIONS, Broker, RealBroker
from tests.markers import mark_all

SAMPLE_PATH = Path(__file__).parents[1] / "data" / "sample" / "chats.jsonl"

# An example that takes long on a busy machine is no fault. `make test-unit` takes the quick one, by its option.
settings.register_profile("busy_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("busy_machine"), max_examples=25)
settings.load_profile("busy_machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its kinds, before `-m` chooses among them."""
    mark_all(items)


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    """Return the folder of the bundle that ships with the project."""
    return DEFAULT_BUNDLE_PATH


@pytest.fixture(scope="session")
def sample_chats() -> list[dict[str, Any]]:
    """Return the shipped sample chats as upstream would send them: chat_id and messages."""
    rows = [orjson.loads(line) for line in SAMPLE_PATH.read_bytes().splitlines()]
    return [{"chat_id": row["chat_id"], "messages": row["messages"]} for row in rows]


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """One broker and one Redis for all tests, which use topics and groups of their own."""
    with LocalStack(broker_options=BrokerOptions(settings=QUICK_SESSIONS)) as running:
        yield running


@pytest.fixture
def twin() -> TwinBroker:
    """Return a broker in memory."""
    return TwinBroker()


@pytest.fixture(params=["twin", pytest.param("kafka", marks=pytest.mark.services)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Return a broker: the test runs once in memory and once on the real one."""
    if request.param == "twin":
        yield TwinBroker()
        return
    real = RealBroker(request.getfixturevalue("stack").bootstrap_servers)
    yield real
    real.close()

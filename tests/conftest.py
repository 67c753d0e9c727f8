"""Fixtures of every folder: the shipped bundle and the shipped sample chats; kinds of tests, profiles of Hypothesis."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings

from model import DEFAULT_BUNDLE_PATH
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

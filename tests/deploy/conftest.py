"""The pinned tools: built once through the Go module proxy, then kept in the user's cache folder."""

from pathlib import Path

import pytest

from deploy.go_tools import HELM, PROMTOOL, ensure_tool
from tests.deploy.chart import Helm

_BUILD_LIMIT_S = 1_600
"""The first run on a machine builds the tools, inside the first test that needs one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that may build a tool the time for it."""
    for item in items:
        if {"helm", "promtool"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(_BUILD_LIMIT_S))


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Return helm."""
    return Helm(ensure_tool(HELM))


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Return the path of promtool."""
    return ensure_tool(PROMTOOL)

"""Which topics a console reads into its database."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from console.intake.intake import Intake
from console.intake.policies import PolicyCodes
from console.settings.console import ConsoleSettings
from console.store.store import open_store
from testkit.waiting import wait_until
from tests.console.operations import worker_settings
from worker.errors import Degraded
from worker.kafka.places_follower import PlacesFollower

LETTERS = "chat-events.dlq"


class AskedFollower:
    """Notes which topics it is asked for, and knows none of them."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []

    def limits(self, topics: Iterable[str]) -> dict[Any, Any]:
        """Note the topics."""
        self.asked.append(set(topics))
        raise Degraded("none is there")

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("api_only", [False, True])
def test_dead_letters_are_read_for_the_pages_alone(tmp_path: Path, *, api_only: bool) -> None:
    """They hold chats as they came, and a console that serves no page shows none of them."""
    store, follower = open_store(f"sqlite:///{tmp_path / 'console.sqlite3'}"), AskedFollower()
    intake = Intake(
        store,
        ConsoleSettings(api_only=api_only),
        worker_settings(),
        open_follower=lambda: cast("PlacesFollower", follower),
        open_policies=lambda: PolicyCodes(None),
    )
    intake.start()
    wait_until(lambda: follower.asked)
    intake.close()
    store.close()
    assert (LETTERS in follower.asked[0]) != api_only
    assert {"verdict-reviews", "verdicts", "verdict-erasures"} <= follower.asked[0]

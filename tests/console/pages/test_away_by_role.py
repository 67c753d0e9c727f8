"""Kafka away: everybody is told that it is, and admins what it says, which names addresses of the cluster."""

from typing import Any

import pytest

from console.pipeline.history import shown_to
from console.port.roles import Role
from console.store.outbox_rows import failed
from tests.console.outbox.parts import block, put_row
from tests.console.pages.following import KEYS, Follow, Followed
from tests.console.server import Answer

ADDRESS = "kafka-0.internal:9092"
PATHS = ("/chat/history?id=chat-1", "/live/state", "/live/figures")


def asked(followed: Followed, role: str, path: str) -> Answer:
    """Ask a route of a page with a role's key."""
    return followed.console.ask("GET", path, headers={"authorization": f"Bearer {KEYS[role]}"})


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("admin", True)])
def test_addresses_of_the_cluster_are_for_admins(follow: Follow, role: str, *, sees: bool) -> None:
    """A viewer reads that Kafka is away and whom to ask, on each page that shows it."""
    followed = follow(with_keys=True)
    followed.away["kafka"] = f"{ADDRESS}: no broker answers"
    followed.live._fault = f"{ADDRESS}: no broker answers"
    followed.histories.is_away = True
    followed.histories.cause = f"{ADDRESS}: no broker answers"
    followed.look()
    for path in PATHS:
        text = asked(followed, role, path).raw.decode()
        assert (ADDRESS in text) == sees, path
        assert ("an admin sees why" in text) != sees, path


def test_who_waits_for_a_decision_to_be_sent_reads_no_address(follow: Follow) -> None:
    """What the last try met is kept with the row, and told to admins by GET /v1/outbox."""
    followed, decision_id = follow(with_keys=True), "0f" * 16
    row = put_row(followed.operations.store, block(actor="reviewer"), decision_id)
    with followed.operations.store.writing() as connection:
        failed(connection, row, 1, f"{ADDRESS}: no broker answers")
    answer = asked(followed, "reviewer", f"/chat/sent?decision_id={decision_id}&kind=override_set")
    assert (answer.json["state"], answer.json["error"]) == ("waiting", None)


def test_overrides_that_cannot_be_read_are_told_likewise() -> None:
    """They are beside the verdicts of a chat, on its page and over the API."""
    found: dict[str, Any] = {"overrides": None, "overrides_unknown": "unread", "overrides_fault": ADDRESS}
    assert shown_to(Role.VIEWER, found) == {
        "overrides": None,
        "overrides_unknown": "the overrides cannot be read; an admin sees why",
    }
    assert shown_to(Role.ADMIN, found)["overrides_unknown"] == f"the overrides cannot be read: {ADDRESS}"
    unset = {"overrides": None, "overrides_unknown": "the pipeline has no topic of overrides"}
    assert shown_to(Role.VIEWER, unset) == unset

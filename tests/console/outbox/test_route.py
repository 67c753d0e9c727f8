"""The routes by which an admin deals with what was refused for good."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console.metrics import Metrics
from console.outbox.assembly import open_outbox
from console.service import Service
from console.settings.operations import AppealSettings
from console.store.access import accesses
from console.store.outbox_rows import Kind, refused, sending
from console.store.store import Store
from tests.console.operations import operations_at
from tests.console.outbox.parts import NOW, block, put_row
from tests.console.roles import bearer, keys_of_roles
from tests.console.server import Answer, RunningConsole


@pytest.fixture
def console(service: Service, tmp_path: Path) -> Iterator[RunningConsole]:
    """Return a console with a database and an outbox that sends nothing, and a key of each role."""
    operations = operations_at(f"sqlite:///{tmp_path / 'outbox.sqlite3'}")
    outbox = open_outbox(operations.store, operations.worker, AppealSettings(), Metrics())
    running = RunningConsole(replace(service, operations=replace(operations, outbox=outbox)), keys_of_roles(tmp_path))
    yield running
    running.close()
    operations.close()


def store_of(console: RunningConsole) -> Store:
    """Return the console's database."""
    return console.service.following().store


def refused_row(console: RunningConsole) -> int:
    """Put a row that was refused for good; return its number."""
    row = put_row(store_of(console), block(), "d1")
    with store_of(console).writing() as connection:
        refused(connection, row, NOW, "the topic is not there")
    return row


def ask(console: RunningConsole, row: int | str, what: str, role: str = "admin") -> Answer:
    """Ask one of the routes."""
    return console.ask("POST", f"/v1/outbox/{row}/{what}", b"", bearer(role))


@pytest.mark.parametrize(("action", "state"), [("dismiss", "refused"), ("again", "waiting")])
def test_what_an_admin_does_with_a_refused_row_ends_the_count_and_is_in_the_log(
    console: RunningConsole, action: str, state: str
) -> None:
    """The alert looks at the count. The log names who, which row and which decision, and no chat."""
    row = refused_row(console)
    assert console.ask("GET", "/v1/outbox", None, bearer("admin")).json["n_refused"] == 1
    assert ask(console, row, action).status == 202
    outbox = console.ask("GET", "/v1/outbox", None, bearer("admin")).json
    assert (outbox["n_refused"], outbox["refused"]) == (0, [])
    with store_of(console).reading() as connection:
        (found,) = accesses(connection, [action])
        row_state = sending(connection, "d1", Kind.OVERRIDE_SET)
    assert row_state is not None
    assert row_state.state == state
    assert (found.actor, found.detail) == ("admin", {"id": row, "kind": "override_set", "decision_id": "d1"})
    again = ask(console, row, action)
    assert (again.status, again.error["code"]) == (404, "unknown_row")


def test_nobody_below_an_admin_may(console: RunningConsole) -> None:
    """Nor is a row dealt with that is none, or that waits."""
    row = refused_row(console)
    assert ask(console, row, "dismiss", "reviewer").status == 403
    waiting = put_row(store_of(console), block("chat-8"), "d2")
    for none in (waiting, 99, "x", "1" * 30):
        assert ask(console, none, "dismiss").status == 404
    with store_of(console).reading() as connection:
        assert accesses(connection, ["dismiss"]) == []

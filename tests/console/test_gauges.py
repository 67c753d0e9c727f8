"""What the database says of queue and outbox, as gauges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from structlog.testing import capture_logs

from console.gauges import Gauges
from console.metrics import Metrics
from console.operations import Operations, _checks
from console.pipeline.behind import Behind
from console.pipeline.errors import PipelineAway
from console.store.store import StoreAway, open_store
from console.store.tables import access_log, items, offsets, outbox
from tests.console.operations import operations_on_sqlite, worker_settings

__all__ = ["operations_on_sqlite"]

NOW = 1_700_000_000_000
HOUR = 3_600_000


@dataclass
class Ends(Behind):
    """Brokers that say what the test says."""

    found: dict[str, int] | None = field(default_factory=dict)

    def records(self, next_offsets: Mapping[tuple[str, int], int]) -> dict[str, int]:
        """Answer, or be away."""
        if self.found is None:
            raise PipelineAway("nobody answers")
        assert set(next_offsets) == {("verdict-reviews", 0)}
        return self.found


def _item(verdict_id: str, *, kind: str = "review", queue: str = "default", age_ms: int = 0) -> dict[str, Any]:
    return {
        "kind": kind,
        "queue": queue,
        "state": "open",
        "verdict_id": verdict_id,
        "policies": [],
        "taxonomy": {},
        "category": "D",
        "evidence": {},
        "unevaluated": [],
        "model": {},
        "risk": 0.5,
        "decided_ms": NOW - age_ms,
        "arrived_ms": NOW - age_ms,
        "order_ms": NOW - age_ms,
        "n_wanted": 1,
    }


def _row(
    decision_id: str,
    *,
    due_ms: int,
    kind: str = "feedback",
    sent: bool = False,
    cancelled: bool = False,
    refused: bool = False,
    n_tries: int = 0,
) -> dict[str, Any]:
    return {
        "decision_id": decision_id,
        "kind": kind,
        "body": b"{}",
        "created_ms": NOW,
        "not_before_ms": due_ms,
        "sent_ms": NOW if sent else None,
        "cancelled_ms": NOW if cancelled else None,
        "refused_ms": NOW if refused else None,
        "n_tries": n_tries,
    }


def _values(metrics: Metrics) -> dict[str, float]:
    return {
        sample.name.removeprefix("moderation_console_")
        + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


@pytest.fixture
def ends() -> Ends:
    """Return brokers that answer."""
    return Ends({"verdict-reviews": 7})


@pytest.fixture
def metrics() -> Metrics:
    """Return metrics of this test's own."""
    return Metrics()


@pytest.fixture
def gauges(operations_on_sqlite: Operations, ends: Ends, metrics: Metrics) -> Gauges:
    """Return gauges of a database with one offset."""
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(offsets).values(topic="verdict-reviews", partition=0, next_offset=3))
    return Gauges(operations_on_sqlite.store, ends, metrics, answer_within_s=3_600, clock=lambda: NOW)


def test_open_late_and_oldest_items_are_told_by_queue_and_kind(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """And a queue that is done is 0, as is what was answered."""
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(
            insert(items),
            [
                _item("a", age_ms=2 * HOUR),
                _item("b"),
                _item("c", queue="brand", age_ms=1_000),
                _item("d", kind="gold", age_ms=9 * HOUR),
                _item("e", age_ms=10 * HOUR) | {"state": "done"},
            ],
        )
    gauges.look()
    found = _values(metrics)
    assert {name: value for name, value in found.items() if name.startswith("review_")} == {
        "review_open_items default review": 2,
        "review_open_items brand review": 1,
        "review_open_items default gold": 1,
        "review_late_items default review": 1,
        "review_late_items default gold": 1,
        "review_oldest_seconds default review": 7_200,
        "review_oldest_seconds brand review": 1,
        "review_oldest_seconds default gold": 9 * 3_600,
    }
    assert found["intake_lag_records verdict-reviews"] == 7
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(update(items).values(state="done"))
    gauges.look()
    assert not [name for name in _values(metrics) if name.startswith("review_")]
    assert metrics.review_open_items.labels("default", "review")._value.get() == 0


def test_a_row_of_the_outbox_waits_from_when_it_is_due(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """Not while it can be taken back, nor once it was, is sent, or is refused for good."""
    rows = [
        _row("due", due_ms=NOW - 30_000),
        _row("undo", due_ms=NOW + 5_000),
        _row("sent", due_ms=NOW - 90_000, sent=True),
        _row("back", due_ms=NOW - 90_000, cancelled=True),
        _row("over", due_ms=NOW - 90_000, refused=True),
    ]
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(outbox), rows)
    gauges.look()
    assert _values(metrics)["outbox_waiting_rows"] == 1
    assert _values(metrics)["outbox_oldest_seconds"] == 30
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(delete(outbox))
    gauges.look()
    assert "outbox_oldest_seconds" not in _values(metrics)


def test_what_was_refused_for_good_waits_no_longer(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """Nobody sends it: else VerdictstreamOutboxStuck would fire for ever, and hide what truly hangs."""
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(outbox), [_row("never", due_ms=NOW - 900_000, refused=True, n_tries=5)])
    gauges.look()
    found = _values(metrics)
    assert found["outbox_refused_rows"] == 1
    assert "outbox_waiting_rows" not in found
    assert "outbox_oldest_seconds" not in found


def test_an_answer_that_its_host_did_not_take_is_no_outbox_that_hangs(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """It rests up to four minutes between tries; one that was never tried, or a decision that failed, counts."""
    rows = [
        _row("tried", kind="webhook", due_ms=NOW - 420_000, n_tries=4),
        _row("untried", kind="webhook", due_ms=NOW - 60_000),
        _row("failed", due_ms=NOW - 90_000, n_tries=4),
    ]
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(outbox), rows)
    gauges.look()
    found = _values(metrics)
    assert (found["outbox_waiting_rows"], found["outbox_oldest_seconds"]) == (3, 90)


def test_reveals_are_counted_of_all_and_of_whoever_saw_most(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """No name is a label."""
    rows = [
        {"actor": actor, "action": action, "detail": {}, "at_ms": NOW - ago_ms}
        for actor, action, ago_ms in (
            ("anna", "reveal", 1),
            ("anna", "reveal", 2),
            ("ben", "reveal", 3),
            ("ben", "claim", 3),
            ("ben", "reveal", HOUR + 1),
        )
    ]
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(access_log), rows)
    gauges.look()
    found = _values(metrics)
    assert (found["reveals_last_hour all"], found["reveals_last_hour most"]) == (3, 2)
    assert "anna" not in str(found)


def test_brokers_that_are_away_are_said_so_and_the_rest_goes_on(
    gauges: Gauges, ends: Ends, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """The lag stays as it was: nobody knows better."""
    gauges.look()
    ends.found = None
    with operations_on_sqlite.store.writing() as connection:
        connection.execute(insert(outbox), [_row("due", due_ms=NOW - 30_000)])
    with capture_logs() as lines:
        gauges.look()
    found = _values(metrics)
    assert (found["pipeline_away"], found["intake_lag_records verdict-reviews"], found["outbox_waiting_rows"]) == (
        1,
        7,
        1,
    )
    assert lines[0]["event"] == "pipeline_away"
    ends.found = {"verdict-reviews": 0}
    gauges.look()
    assert "pipeline_away" not in _values(metrics)
    assert "intake_lag_records verdict-reviews" not in _values(metrics)


def test_a_database_that_is_away_is_said_so_until_it_is_back(metrics: Metrics, ends: Ends, tmp_path: Any) -> None:
    """The file is put away under an open console, and back."""
    folder = tmp_path / "there"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'console.sqlite3'}")
    ends.found = {}
    with store.writing() as connection:
        connection.execute(insert(offsets).values(topic="verdict-reviews", partition=0, next_offset=3))
    store.close()
    gauges = Gauges(store, ends, metrics, answer_within_s=1)
    folder.rename(tmp_path / "away")
    gauges.look()
    assert _values(metrics)["store_away"] == 1
    store.close()
    (tmp_path / "away").rename(folder)
    gauges.look()
    assert "store_away" not in _values(metrics)
    store.close()


def test_the_thread_looks_at_once_and_ends_when_told(gauges: Gauges, metrics: Metrics) -> None:
    """A closed console waits for no interval."""
    gauges.start()
    gauges.close()
    assert _values(metrics)["intake_lag_records verdict-reviews"] == 7


def test_brokers_that_nobody_reaches_are_away() -> None:
    """After a bounded time."""
    with pytest.raises(PipelineAway, match="asking where topics end"):
        Behind(worker_settings()).records({("verdict-reviews", 0): 3})
    assert Behind(worker_settings()).records({}) == {}


def test_a_database_that_answers_and_takes_nothing_is_away(
    gauges: Gauges, operations_on_sqlite: Operations, metrics: Metrics
) -> None:
    """A full disk, or a server that is read-only: the page's banner says so, too, until something is written again."""
    store = operations_on_sqlite.store
    asked = _checks(operations_on_sqlite.worker, store, None)["database"]
    with store.writing() as connection:
        n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {n_pages}")
    assert asked() is None
    with pytest.raises(StoreAway), store.writing() as connection:
        connection.execute(insert(access_log), [{"actor": "anna" * 5_000, "action": "a", "detail": {}, "at_ms": NOW}])
    with capture_logs() as lines:
        gauges.look()
    assert _values(metrics)["store_away"] == 1
    assert lines[0]["event"] == "store_takes_no_changes"
    assert asked() == "the database takes no changes (OperationalError)"
    with store.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    gauges.look()
    assert "store_away" not in _values(metrics)
    assert asked() is None

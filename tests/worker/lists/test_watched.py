"""Lists bear on decisions, and follow their file."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from model.policies.context import NO_CONTEXT
from schemas import DecidedBy, Decision, Verdict
from tests.worker.payloads import builder, classification, event, kafka_settings, record
from tests.worker.test_verdict_builder import strict
from worker.decide import ContextSource, decide
from worker.errors import SettingsError
from worker.lists.source import ListSource
from worker.lists.watched import WatchedLists, follow_lists
from worker.process.metrics import Metrics
from worker.record import Row
from worker.settings.lists import ListSettings
from worker.settings.worker import WorkerSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = ListSettings(user_field="context.user_id", user_field_chosen_by="platform")
Write = Callable[[str], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the lists are."""
    return tmp_path / "lists.toml"


@pytest.fixture
def write(path: Path) -> Write:
    """Return a function that replaces the file, as an editor or Kubernetes does."""

    def replace_file(text: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    replace_file('[deny]\nchat_ids = ["chat-1"]\n[allow]\nchat_ids = ["chat-2"]')
    return replace_file


def gauge(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return a metric's value."""
    return metrics.registry.get_sample_value(f"moderation_{name}", labels)


def judged(sources: list[ContextSource], offset: int, **fields: Any) -> Verdict:
    """Return the verdict on an event that the model finds harmless."""
    one = event(offset, **fields)
    row = Row(one.record, one, reading=classification())
    decide([row], strict(), sources, NOW)
    assert row.verdict is not None
    return row.verdict


def source_of(watched: WatchedLists, metrics: Metrics) -> ListSource:
    """Return what asks the lists."""
    return ListSource(watched.newest, metrics, user_field=SETTINGS.user_field)


@pytest.mark.usefixtures("write")
def test_a_denied_chat_is_blocked_with_the_models_own_decision_beside(path: Path) -> None:
    """Under an id of its own; taken off the list, it gets the verdict of before."""
    metrics = Metrics()
    watched = WatchedLists(SETTINGS, path, metrics)
    lists = source_of(watched, metrics)
    denied = judged([lists], 1)
    assert (denied.decision, denied.decided_by, denied.model_decision) == (
        Decision.BLOCK,
        DecidedBy.DENY_LIST,
        Decision.ALLOW,
    )
    free = judged([], 1)
    assert (free.decision, free.model_decision, free.actor) == (Decision.ALLOW, None, None)
    assert denied.verdict_id != free.verdict_id
    assert strict().verdict(event(1), denied, NOW).verdict_id == free.verdict_id
    assert gauge(metrics, "list_matches_total", list="deny") == 1
    assert gauge(metrics, "list_entries", list="deny") == 1


@pytest.mark.usefixtures("write")
def test_an_allowed_chat_is_allowed_and_others_are_not_touched(path: Path) -> None:
    """The others have the very context that says nothing."""
    metrics = Metrics()
    lists = source_of(WatchedLists(SETTINGS, path, metrics), metrics)
    context = lists.bear(event(2), builder(), NO_CONTEXT)
    assert (context.is_allowed, context.is_denied) == (True, False)
    assert lists.bear(event(3), builder(), NO_CONTEXT) is NO_CONTEXT
    held = replace(NO_CONTEXT, held=frozenset({"p"}))
    assert lists.bear(event(1), builder(), held) == replace(held, is_denied=True)


def test_a_user_is_found_by_the_field_that_the_settings_name(path: Path, write: Write) -> None:
    """A text or a number; where the field is missing or something else, there is no user."""
    write('[deny]\nusers = ["17", "spammer"]')
    metrics = Metrics()
    lists = source_of(WatchedLists(SETTINGS, path, metrics), metrics)
    for context, is_denied in (
        ({"user_id": "spammer"}, True),
        ({"user_id": 17}, True),
        ({"user_id": "other"}, False),
        ({"user_id": True}, False),
        ({"user_id": ["spammer"]}, False),
        ({}, False),
        ("spammer", False),
    ):
        one = event(5, context=context)
        assert lists.bear(one, builder(), NO_CONTEXT).is_denied is is_denied, context
    raw = orjson.loads(record(5).value or b"")
    assert "context" not in raw
    assert lists.bear(event(5), builder(), NO_CONTEXT) is NO_CONTEXT


def test_a_change_counts_from_the_next_batch_on_and_a_bad_file_changes_nothing(path: Path, write: Write) -> None:
    """One log line and a gauge say so until the file is right again."""
    metrics = Metrics()
    watched = WatchedLists(SETTINGS, path, metrics)
    lists = source_of(watched, metrics)
    write('[deny]\nchat_ids = ["chat-3"]')
    watched.look()
    assert lists.bear(event(3), builder(), NO_CONTEXT) is NO_CONTEXT
    assert judged([lists], 3).decided_by is DecidedBy.DENY_LIST
    assert judged([lists], 1).decision is Decision.ALLOW
    write('[deny]\nchat_ids = [""]')
    with capture_logs() as logged:
        for _ in range(3):
            watched.look()
    assert [one["event"] for one in logged] == ["lists_refused"]
    assert gauge(metrics, "lists_failed") == 1
    assert judged([lists], 3).decided_by is DecidedBy.DENY_LIST
    path.unlink()
    watched.look()
    assert judged([lists], 3).decided_by is DecidedBy.DENY_LIST
    write("")
    watched.look()
    assert gauge(metrics, "lists_failed") == 0
    assert judged([lists], 3).decision is Decision.ALLOW


def test_a_file_that_could_not_be_read_for_a_moment_is_read_all_the_same(
    path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that fails changes no time of the file: a chat would stay off the deny list until the next edit."""
    metrics = Metrics()
    watched = WatchedLists(SETTINGS, path, metrics)
    lists = source_of(watched, metrics)
    write('[deny]\nchat_ids = ["chat-3"]')

    def fails(*_: object) -> Any:
        raise SettingsError("lists.toml: cannot be read (EIO)")

    with monkeypatch.context() as broken:
        broken.setattr("worker.lists.watched.read_lists", fails)
        watched.look()
    assert gauge(metrics, "lists_failed") == 1
    watched.look()
    assert gauge(metrics, "lists_failed") == 0
    assert judged([lists], 3).decided_by is DecidedBy.DENY_LIST


def test_a_worker_does_not_start_without_its_lists(path: Path) -> None:
    """A missing deny list would let ads through; without the setting there is nothing to follow."""
    with ExitStack() as stack:
        assert follow_lists(WorkerSettings(kafka=kafka_settings()), Metrics(), stack) is None
        with pytest.raises(SettingsError):
            follow_lists(WorkerSettings(kafka=kafka_settings(), lists=ListSettings(path=path)), Metrics(), stack)


def test_a_list_that_decided_for_another_policy_alone_is_asked_anew() -> None:
    """The floor has decided for the default policy; the verdict kept in the cache must not keep the list's word."""
    of = strict()
    denied = of.fresh(event(1), classification(), NOW, replace(NO_CONTEXT, is_denied=True))
    floor_first = denied.model_copy(update={"decided_by": DecidedBy.FLOOR})
    assert of.verdict(event(1), floor_first, NOW).decision is Decision.ALLOW

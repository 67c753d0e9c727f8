"""Parts of a replay apart from Kafka: old verdicts, changes, throttles, progress lines, the report."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from confluent_kafka import KafkaError
from rich.console import Console

from model import BundleError, PolicyError
from schemas import CHAT_13, DecidedBy, Decision, PolicyRef, Source, Verdict, category_label, encode_verdict
from tests.bundles import key_pair
from tests.schemas.payloads import make_verdict
from tests.tiny_bundle import tiny_bundle
from tests.tiny_taxonomies import PETS
from tests.worker.kafka.faults import kafka_failure
from tests.worker.payloads import kafka_settings
from worker.errors import SettingsError
from worker.kafka.partition_range import PartitionRange
from worker.moves.counts import MOST_CATEGORY_MOVES, Outcomes
from worker.outcome_encoding import OutgoingMessage
from worker.process.lifecycle import EXIT_NOT_BALANCED, EXIT_RECORDS_LOST, EXIT_STOPPED_EARLY, Lifecycle
from worker.replay.plan.planning import Choices, redriven, replay_settings, writes_cache
from worker.replay.plan.replay_plan import ReplayPlan, StoredReplay
from worker.replay.plan.request import ReplayRequest, differences
from worker.replay.report.account import Report
from worker.replay.report.html import render_html
from worker.replay.report.tally import Reading, Tally
from worker.replay.run.assembly import prepare
from worker.replay.run.group_state import GroupState, finished_state
from worker.replay.run.monitor import Lines
from worker.replay.run.old_verdicts import MOST_CATEGORIES, OldVerdicts
from worker.replay.run.publisher import ChangeFinder
from worker.replay.run.throttle import LagGuard, RateLimit
from worker.settings.model import ModelSettings
from worker.settings.redis import OnRejected
from worker.settings.worker import WorkerSettings

SPAN = PartitionRange(topic="chat-events", partition=0, start=10, end=20)


def verdict_on(offset: int, *, code: str = "F", decision: Decision = Decision.ALLOW, **fields: Any) -> Verdict:
    """Return a verdict on the record at this offset."""
    source = Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=1)
    return make_verdict(source=source, category=category_label(code, CHAT_13), decision=decision, **fields)


def verdict_bytes(offset: int, **fields: Any) -> bytes:
    """Return an encoded verdict on the record at this offset."""
    return encode_verdict(verdict_on(offset, **fields))


def raw_verdict(offset: int, **fields: Any) -> bytes:
    """Return as much of a verdict as is read of an old one, for any taxonomy."""
    source = {"topic": "chat-events", "partition": 0, "offset": offset, "timestamp_ms": 1}
    return orjson.dumps({"source": source, "decision": "allow", "replay_id": None, **fields})


def request(**fields: Any) -> ReplayRequest:
    """Return a request."""
    complete = {
        "topics": ("chat-events",),
        "verdict_topic": "verdicts",
        "dead_letter_topic": "dlq",
        "model_digest": "sha256:x",
        "policy": PolicyRef(name="p", version="1"),
    }
    return ReplayRequest.model_validate(complete | fields)


def plan(**fields: Any) -> ReplayPlan:
    """Return the plan of one partition."""
    complete = {
        "replay_id": "r<1>",
        "request": request(changes_topic="verdict-changes"),
        "ranges": (SPAN,),
        "topic_ids": {"chat-events": "id-1"},
        "planned_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return ReplayPlan.model_validate(complete | fields)


def test_a_replay_asks_for_the_signature_that_the_live_worker_asks_for(bundle_path: Path, tmp_path: Path) -> None:
    """With --bundle, too, and before it asks Kafka for anything."""
    _, public = key_pair(tmp_path)
    live = WorkerSettings(kafka=kafka_settings(), model=ModelSettings(public_key_file=public))
    choices = Choices(replay_id="r1", bundle=bundle_path)
    with pytest.raises(BundleError, match="expected a registry"):
        prepare(live, choices, Lifecycle(grace_s=1), Console())


def test_a_bundle_that_the_policy_is_not_for_is_refused_with_both_names(tmp_path: Path) -> None:
    """With --bundle of another taxonomy the live policy file does not fit, and that is told before Kafka is asked."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'name = "strict"\nversion = "1"\nbanned = ["D"]\nmax_banned_to_safe_rate = 0.1\nmax_safe_to_banned_rate = 0.1\n'
    )
    live = WorkerSettings(kafka=kafka_settings(), model=ModelSettings(policy_path=policy))
    choices = Choices(replay_id="r1", bundle=tiny_bundle(tmp_path / "pets", PETS))
    with pytest.raises(PolicyError, match=r"'chat-13'.*'pets'"):
        prepare(live, choices, Lifecycle(grace_s=1), Console())


@pytest.mark.parametrize("decision", list(Decision))
def test_every_category_of_the_largest_taxonomy_is_remembered(decision: Decision) -> None:
    """256 categories and three decisions, with their names; another taxonomy's of the same codes beside them."""
    span = SPAN.model_copy(update={"start": 0, "end": 300})
    labels = [{"code": f"c-{i}", "name": f"category {i}"} for i in range(256)]
    old = OldVerdicts([span], "r1")
    for offset, label in enumerate(labels):
        old.add(
            raw_verdict(offset, category=label, decision=decision.value, taxonomy={"name": "large", "version": "1"})
        )
    old.add(raw_verdict(299, category=labels[7], decision=decision.value, taxonomy={"name": "other", "version": "1"}))
    for offset, label in enumerate(labels):
        found = old.of(("chat-events", 0, offset))
        assert found is not None
        assert (found.taxonomy, found.category.model_dump(), found.decision) == ("large", label, decision)
    other = old.of(("chat-events", 0, 299))
    assert other is not None
    assert (other.taxonomy, other.category.code) == ("other", "c-7")
    assert (old.of(("chat-events", 0, 256)), old.n_known) == (None, 257)


def test_more_categories_than_two_bytes_hold_are_passed_over() -> None:
    """Whoever writes nonsense into the verdict topic costs the comparison of that nonsense, and no memory."""
    old = OldVerdicts([SPAN.model_copy(update={"start": 0, "end": MOST_CATEGORIES + 2})], "r1")
    with structlog.testing.capture_logs() as lines:
        for offset in range(MOST_CATEGORIES + 2):
            old.add(raw_verdict(offset, category={"code": f"c{offset}", "name": "x"}))
    assert old.n_known == MOST_CATEGORIES
    last = old.of(("chat-events", 0, MOST_CATEGORIES - 1))
    assert last is not None
    assert last.category.code == f"c{MOST_CATEGORIES - 1}"
    assert [line["event"] for line in lines] == ["old_categories_full"]


def test_the_last_old_verdict_counts_and_the_replays_own_and_foreign_ones_do_not() -> None:
    """After a restart the verdict topic holds the replay's own verdicts, too."""
    old = OldVerdicts([SPAN], "r1")
    old.add(verdict_bytes(12, code="A"))
    old.add(verdict_bytes(12, code="B", replay_id="r0"))
    old.add(verdict_bytes(12, code="C", replay_id="r1"))
    for foreign in (verdict_bytes(9), verdict_bytes(20), None, b"{", b"[]", b'{"source":{}}'):
        old.add(foreign)
    found = old.of(("chat-events", 0, 12))
    assert found is not None
    assert (found.category.code, old.n_known) == ("B", 1)
    assert old.of(("other", 0, 12)) is None


@pytest.mark.parametrize(
    ("fields", "compared"),
    [
        ({"decided_by": DecidedBy.OVERRIDE, "override_revision": 7}, Decision.REVIEW),
        ({"decided_by": DecidedBy.HOLD}, Decision.REVIEW),
        ({"decided_by": DecidedBy.OVERRIDE}, Decision.BLOCK),
        ({"decided_by": DecidedBy.DENY_LIST}, Decision.BLOCK),
        ({"decided_by": DecidedBy.FLOOR}, Decision.BLOCK),
    ],
)
def test_what_a_replay_does_not_ask_is_compared_by_the_rules_own_decision(
    fields: dict[str, Any], compared: Decision
) -> None:
    """People and holds: else each overruled chat would look like a change. Lists and the floor it asks itself."""
    old = OldVerdicts([SPAN], "r1")
    old.add(verdict_bytes(12, decision=Decision.BLOCK, model_decision=Decision.REVIEW, **fields))
    found = old.of(("chat-events", 0, 12))
    assert found is not None
    assert found.decision is compared


def test_a_verdict_that_says_something_else_is_counted_and_becomes_a_change() -> None:
    """A move of the decision alone, of the category alone, of both; and what stays the same is no change."""
    old = OldVerdicts([SPAN], "r1")
    for offset in range(10, 14):
        old.add(verdict_bytes(offset, code="F", decision=Decision.ALLOW))
    comparison = ChangeFinder(old, "verdict-changes")
    total, changes = Outcomes(), []
    for offset, code, decision in [
        (10, "F", Decision.ALLOW),
        (11, "F", Decision.BLOCK),
        (12, "G", Decision.ALLOW),
        (13, "M", Decision.BLOCK),
        (14, "M", Decision.BLOCK),
    ]:
        verdict = verdict_on(offset, code=code, decision=decision, replay_id="r1")
        # What was encoded is not what is read: a verdict that was just made is at hand as such.
        message = OutgoingMessage("v", b"chat-1", b"", [("traceparent", b"%d" % offset)], ("chat-events", 0, offset))
        found, change = comparison.compare(message, verdict)
        total += found
        changes += [change] if change else []
    assert total == Outcomes(5, 0, 4, 3, {("F", "G"): 1, ("F", "M"): 1}, {("allow", "block"): 2})
    told = [orjson.loads(change.value or b"") for change in changes]
    assert [(one["old"]["category"]["code"], one["new"]["category"]["code"]) for one in told] == [
        ("F", "F"), ("F", "G"), ("F", "M")
    ]  # fmt: skip
    assert {(change.topic, change.key) for change in changes} == {("verdict-changes", b"chat-1")}
    assert [dict(change.headers)["traceparent"] for change in changes] == [b"11", b"12", b"13"]


def test_an_old_verdict_of_another_taxonomy_is_not_compared() -> None:
    """Its category has not moved: it means something else, even under the same code."""
    old = OldVerdicts([SPAN], "r1")
    label = {"code": "F", "name": "failed_delivery"}
    old.add(raw_verdict(10, category=label, decision="block", taxonomy={"name": "parcels", "version": "1"}))
    message = OutgoingMessage("v", b"chat-1", b"", [], ("chat-events", 0, 10))
    assert ChangeFinder(old, "changes").compare(message, verdict_on(10)) == (Outcomes(n_verdicts=1), None)


def test_an_old_category_that_the_taxonomy_does_not_have_is_not_compared() -> None:
    """Two classifiers may have one name all the same."""
    old = OldVerdicts([SPAN], "r1")
    label = {"code": "parcel", "name": "parcel"}
    old.add(raw_verdict(10, category=label, decision="block", taxonomy={"name": CHAT_13.name, "version": "1"}))
    message = OutgoingMessage("v", b"chat-1", b"", [], ("chat-events", 0, 10))
    assert ChangeFinder(old, "changes").compare(message, verdict_on(10)) == (Outcomes(n_verdicts=1), None)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_rate_is_held_over_any_stretch_of_time_and_shared() -> None:
    """Bursts are bounded, and a process that owns half of the partitions takes half of the rate."""
    clock = Clock()
    limit = RateLimit(100, clock)
    n_taken = 0
    for _ in range(1_000):
        clock.now += 0.01
        allowed = limit.allowance()
        limit.take(allowed)
        n_taken += allowed
    assert n_taken == pytest.approx(1_000, abs=1)
    clock.now += 3_600
    assert limit.allowance() == 50
    limit.share = 0.5
    limit.take(50)
    clock.now += 0.21
    assert limit.allowance() == 10


def test_a_slow_rate_still_lets_records_pass() -> None:
    """One in ten seconds is a rate, too."""
    clock = Clock()
    limit = RateLimit(0.1, clock)
    assert limit.allowance() == 0
    clock.now += 10.1
    assert limit.allowance() == 1


def test_the_guard_holds_above_the_threshold_and_lets_go_below_half_of_it() -> None:
    """One threshold would make replay and live workers take turns every second."""
    clock, lags = Clock(), [101, 80, 51, 50, 100, 101]
    guard = LagGuard(lambda: lags.pop(0), max_lag=100, clock=clock)
    held = []
    for _ in range(6):
        held.append(guard.holding())
        assert guard.holding() == held[-1]
        clock.now += 1
    assert held == [True, True, True, False, False, True]


def test_the_guard_holds_while_the_brokers_do_not_tell_the_lag() -> None:
    """Brokers that are too busy to answer are no reason to load them more."""

    def refuse() -> int:
        raise kafka_failure(KafkaError._TIMED_OUT)

    assert LagGuard(refuse, max_lag=100).holding()


def state(*, offset: int = 20, tally: Tally | None = None, **fields: Any) -> GroupState:
    """Return the state of a replay of one partition."""
    found = tally or Tally(Reading(8, 1, 0), Outcomes(7, 1, 6, 2, {("F", "M"): 2}, {("allow", "block"): 1}))
    return GroupState(plan(**fields), {SPAN.place: offset}, {SPAN.place: found})


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report(state()), 0),
        (Report(state(offset=19)), EXIT_STOPPED_EARLY),
        (Report(state(tally=Tally(Reading(8, 0, 0), Outcomes(7, 0)))), EXIT_NOT_BALANCED),
        (Report(state(tally=Tally(Reading(1, 0, 3), Outcomes(1)))), EXIT_RECORDS_LOST),
        (Report(state(tally=Tally(Reading(1, 0, 3), Outcomes(1))), allow_lost=True), 0),
        (Report(state(ranges=(SPAN.model_copy(update={"n_lost": 2}),))), EXIT_RECORDS_LOST),
    ],
)
def test_the_exit_code_is_0_only_where_everything_has_its_outcome(report: Report, code: int) -> None:
    """A Job that counts as done must be done."""
    assert report.exit_code == code


def test_the_account_names_every_offset_of_the_range() -> None:
    """Read, skipped, lost and without a record: nothing is left over."""
    line = Report(state(), n_partitions_added=1).line()
    assert (line["n_read"], line["n_skipped"], line["n_without_record"], line["n_lost"]) == (8, 1, 1, 0)
    assert line["changes"] == {
        "n_compared": 6,
        "n_not_compared": 1,
        "n_changed": 2,
        "decisions": {"allow>block": 1},
        "categories": {"F>M": 2},
        "n_other_categories": 0,
    }


def test_the_account_says_that_nothing_was_held() -> None:
    """A replay under a policy that holds gives other decisions than the live worker did."""
    report = Report(state(), not_held=("family", "shop"))
    assert report.line()["policies_not_held"] == ["family", "shop"]
    text = " ".join(re.sub("<[^>]+>", "", render_html(report)).split())
    assert "without the holds of policy family, shop" in text
    assert "without the holds" not in render_html(Report(state()))


def test_what_was_not_compared_is_not_said_to_be_new() -> None:
    """After a replay to another taxonomy every record has an older verdict, and none is compared."""
    page = render_html(Report(state(tally=Tally(Reading(8, 1, 0), Outcomes(8)))))
    text = " ".join(re.sub("<[^>]+>", "", page).split())
    assert (
        "0 of 0 compared verdicts changed; 8 were not compared (no older verdict, or one of another taxonomy)" in text
    )


def test_the_page_stands_alone_and_escapes_what_it_shows() -> None:
    """It is mailed around and opened from a disk."""
    page = render_html(Report(state()))
    assert "r&lt;1&gt;" in page
    assert "<title>replay r&lt;1&gt;</title>" in page
    assert "r<1>" not in page
    assert re.search(r'<span style="color: #008000[^"]*">1\b', page), "a stricter decision is green"
    assert not any(word in page for word in ("<script", "src=", "http"))


def test_the_page_of_a_large_taxonomy_lists_the_commonest_moves() -> None:
    """A matrix of 256 rows and columns would say nothing; what is not listed is counted."""
    moves = {(f"from-{i}", f"to-{i}"): 10_000 + i for i in range(256)}
    tally = Tally(Reading(8, 1, 0), Outcomes(7, 1, 6, 2, moves, {("allow", "block"): 1}))
    page = render_html(Report(state(tally=tally)))
    assert page.count("from-") == page.count("to-") == MOST_CATEGORY_MOVES
    assert "10,255" in page
    n_others = sum(10_000 + i for i in range(256 - MOST_CATEGORY_MOVES))
    assert f"{n_others:,} other moves between categories" in page
    assert len(page) < 100_000


def test_a_finished_replay_is_known_from_its_record_alone() -> None:
    """Kafka forgets a group's offsets after a week; a redrive must still not be done twice."""
    done = state()
    stored = StoredReplay(plan=done.plan, notes=done.notes())
    again = finished_state(StoredReplay.model_validate_json(stored.model_dump_json()))
    assert again == done
    assert again.is_complete


def test_a_redrive_starts_behind_earlier_ones_of_the_same_topic_that_took_everything() -> None:
    """One that took some of the letters only, or another topic of the same name, says nothing about the rest."""
    whole = request(redrive=True, changes_topic=None)

    def stored(end: int, *, topic_id: str = "id-1", **fields: Any) -> StoredReplay:
        made = plan(
            request=whole.model_copy(update=fields),
            ranges=(SPAN.model_copy(update={"end": end}),),
            topic_ids={"chat-events": topic_id},
        )
        return StoredReplay(plan=made)

    others = [
        stored(30),
        stored(25),
        stored(99, partitions=(0,)),
        stored(98, topic_id="id-0"),
        stored(97, redrive=False),
    ]
    assert redriven(whole, {"chat-events": "id-1"}, others) == {SPAN.place: 30}
    assert redriven(request(), {"chat-events": "id-1"}, others) == {}


def test_requests_that_differ_are_told_apart_by_name() -> None:
    """The message must say which option is not the same."""
    assert differences(request(), request()) == []
    assert differences(request(), request(partitions=(1,))) == ["partitions: () then, (1,) now"]


def test_progress_lines_tell_how_long_it_will_take() -> None:
    """Not one per look, and none of them divides by nothing."""
    clock, lines = Clock(), []
    display = Lines(lines.append, clock)
    display.show(state(offset=10))
    clock.now += 1
    display.show(state(offset=11))
    clock.now += 4
    display.show(state(offset=15))
    first, last = (orjson.loads(line) for line in lines)
    assert (first["n_done"], first["eta_s"]) == (0, None)
    assert (last["n_done"], last["offsets_per_s"], last["eta_s"]) == (5, 1.0, 5)


@pytest.mark.parametrize(
    ("verdict_topic", "on_rejected"), [(None, OnRejected.EVICT), ("verdicts", OnRejected.EVICT), ("trial", "keep")]
)
def test_a_trial_takes_no_verdict_out_of_the_cache(verdict_topic: str | None, on_rejected: OnRejected) -> None:
    """What a bundle on trial cannot judge says nothing of the verdict that was published."""
    live = WorkerSettings(kafka=kafka_settings())
    settings = replay_settings(live, Choices(replay_id="r1", verdict_topic=verdict_topic))
    assert settings.redis.on_rejected == on_rejected


@pytest.mark.parametrize(
    ("option", "choices"),
    [
        ("--topic", Choices(replay_id="r1", topics=("chat-events\r",))),
        ("--verdict-topic", Choices(replay_id="r1", verdict_topic="chat-events\r")),
    ],
)
def test_a_topic_that_cannot_be_is_refused_by_its_option(option: str, choices: Choices) -> None:
    """The brokers would be asked for it until the worker gives up."""
    with pytest.raises(SettingsError, match=rf"{option}: 'chat-events\\r' is no topic's name"):
        replay_settings(WorkerSettings(kafka=kafka_settings()), choices)


@pytest.mark.parametrize(
    ("verdict_topic", "cache_write", "writes"),
    [
        pytest.param(None, None, True, id="for-good"),
        pytest.param("verdicts", None, True, id="for-good-named"),
        pytest.param("trial", None, False, id="trial"),
        pytest.param("trial", True, True, id="trial-that-is-told-to"),
        pytest.param(None, False, False, id="for-good-that-is-told-not-to"),
    ],
)
def test_a_trial_leaves_the_cache_alone(verdict_topic: str | None, cache_write: bool | None, writes: bool) -> None:
    """On one record the newer model wins in Redis: an ad server would read what the live topic never said."""
    live = WorkerSettings(kafka=kafka_settings())
    assert writes_cache(live, Choices(replay_id="r1", verdict_topic=verdict_topic, cache_write=cache_write)) == writes

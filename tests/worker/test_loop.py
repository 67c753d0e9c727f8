"""The loop over a broker: what it hands on, in which order, and what it does when a commit fails.

Where the broker has a part in it, a test runs on the real one too; what concerns cache, model and numbers does not.
"""

import time
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from schemas import RejectionReason
from tests.broker_twin.broker import TwinBroker
from tests.brokers import Broker
from tests.worker.loop_rig import Rig
from tests.worker.payloads import record, tombstone
from worker.errors import BatchAborted, Fatal
from worker.hits_and_misses import Miss, fill_misses, misses_of
from worker.outcome_encoding import OutgoingMessage
from worker.record import Record, Rejection, Row

CANARY = "zanzibar-canary"


def test_every_record_ends_as_one_message_in_input_order(broker: Broker) -> None:
    """I1 and I3, over verdicts, cache hits and all kinds of rejections."""
    rig = Rig(
        broker,
        [record(0), record(1, value=b"{"), record(2), tombstone(3), record(4, query="q")],
        [record(5), record(6)],
    )
    rig.loop.run()
    places = [(m.topic == rig.topics.verdicts, m.place[2]) for m in rig.publisher.committed]
    assert places == [(True, 0), (False, 1), (True, 2), (False, 3), (True, 4), (True, 5), (True, 6)]
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 2, 4, 5, 6]
    assert rig.reasons == ["decode_error", "decode_error"]
    assert rig.offsets == {0: 7}


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_batch_that_was_not_committed_is_read_again(broker: Broker, in_doubt: bool) -> None:
    """I1: nothing of it was committed, so all of it comes again, in order, and the batch after it too."""
    rig = Rig(broker, [record(0), record(1)], [record(2)], failures=[BatchAborted("no", in_doubt=in_doubt)])
    rig.loop.run()
    assert rig.consumer.n_rewinds == 1
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1, 2]
    assert rig.metrics.registry.get_sample_value(
        "moderation_batch_aborts_total", {"indefinite": str(in_doubt).lower()}
    ) == pytest.approx(1)


def test_a_batch_of_a_dropped_member_is_not_even_tried(broker: Broker) -> None:
    """Without a member id the broker would take the offsets unfenced."""
    rig = Rig(broker, [record(0)])
    rig.consumer.dropped = True
    rig.loop.run()
    assert rig.consumer.n_rewinds == 1
    assert [verdict.source.offset for verdict in rig.verdicts] == [0]


def test_a_fatal_commit_ends_the_loop_with_nothing_committed(broker: Broker) -> None:
    """What is not committed is read again by whoever comes next."""
    rig = Rig(broker, [record(0)], [record(1)], failures=[Fatal("fenced")])
    with pytest.raises(Fatal, match="fenced"):
        rig.loop.run()
    assert (rig.verdicts, rig.offsets) == ([], {})


def test_the_last_commit_is_waited_for_and_its_failure_is_no_crash(broker: Broker) -> None:
    """F3: after SIGTERM the batch in hand either commits or is left to the next owner."""
    rig = Rig(broker, [record(0)], failures=[BatchAborted("too late")])
    rig.consumer.stops_with_last = True
    rig.loop.run()
    assert len(rig.model.asked) == 1
    assert (rig.verdicts, rig.offsets) == ([], {})
    assert rig.consumer.n_rewinds == 0


def test_many_aborts_in_a_row_neither_crash_nor_wait_for_ever(
    twin: TwinBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause that doubles without end does not fit a float after a thousand aborts."""
    rig, n_aborts, pauses_s = Rig(twin), 1_200, list[float]()

    def abort(**_: int) -> list[Record]:
        if len(pauses_s) == n_aborts - 1:
            rig.consumer.stopping.set()
        raise BatchAborted("again")

    monkeypatch.setattr(rig.consumer, "poll_batch", abort)
    monkeypatch.setattr(rig.consumer.stopping, "wait", pauses_s.append)
    rig.loop.run()
    assert rig.consumer.n_rewinds == len(pauses_s) == n_aborts
    assert pauses_s[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert set(pauses_s[7:]) == {5.0}


def test_the_same_text_twice_in_a_batch_is_classified_once_and_answered_twice(twin: TwinBroker) -> None:
    """F32: an upstream retry costs nothing, and both records get the same verdict."""
    same: dict[str, Any] = {"chat_id": "c", "messages": [{"role": "user", "content": "hi"}]}
    rig = Rig(twin, [record(0, **same), record(1, **same), record(2, chat_id="d", messages=same["messages"])])
    rig.loop.run()
    assert len(rig.model.asked) == 1
    first, again, other_chat = rig.verdicts
    assert first.verdict_id == again.verdict_id != other_chat.verdict_id
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1, 2]


def test_what_the_cache_knows_is_not_classified(twin: TwinBroker) -> None:
    """And a grown chat is."""
    short: dict[str, Any] = {"chat_id": "c", "messages": [{"role": "user", "content": "hi"}]}
    grown: dict[str, Any] = {"chat_id": "c", "messages": [{"role": "user", "content": "hi again"}]}
    batches = [[record(offset, **chat)] for offset, chat in enumerate([short, short, grown, grown, short])]
    # In the foreground, so that each batch finds what the one before it has left.
    rig = Rig(twin, *batches, in_background=False)
    rig.loop.run()
    assert [verdict.cache_hit for verdict in rig.verdicts] == [False, True, False, True, False]
    assert len(rig.model.asked) == 3


def test_a_row_that_fails_is_dead_lettered_and_its_neighbours_are_judged(twin: TwinBroker) -> None:
    """F30."""
    poison = [{"role": "user", "content": f"poison {CANARY}"}]
    rig = Rig(twin, [record(0), record(1, messages=poison), record(2)])
    rig.loop.run()
    assert rig.reasons == [RejectionReason.CLASSIFICATION_FAILED.value]
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 2]
    assert rig.metrics.registry.get_sample_value(
        "moderation_rejections_total", {"reason": "classification_failed"}
    ) == pytest.approx(1)


def endless(offset: int) -> Record:
    """Return an event that stalls the model."""
    return record(offset, chat_id=f"endless-{offset}", messages=[{"role": "user", "content": f"endless {offset}"}])


def test_a_batch_that_stalls_the_model_is_read_again_in_smaller_ones(broker: Broker) -> None:
    """F12: the records of the batch before are committed by then, so none of them is read twice."""
    rig = Rig(broker, [record(0)], [record(1), endless(2)])
    seen: list[int] = []

    def rewound() -> None:
        seen.append(rig.batch_size.limit())
        assert rig.offsets == {0: 1}

    rig.consumer.on_rewind = rewound
    rig.loop.run()
    assert seen == [1]
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1]
    assert rig.reasons == [RejectionReason.CLASSIFICATION_FAILED.value]
    assert rig.metrics.registry.get_sample_value("moderation_inference_timeouts_total") == pytest.approx(8)
    assert rig.metrics.registry.get_sample_value("moderation_abandoned_sessions_total") == pytest.approx(2)


def test_a_worker_with_inferences_that_never_end_stops_after_the_commit(broker: Broker) -> None:
    """Before it, the same record would do the same to every worker that is started after this one."""
    rig = Rig(broker, [record(0)], [record(1)])
    rig.model.is_worn_out = True
    with pytest.raises(Fatal, match="were left behind"):
        rig.loop.run()
    assert rig.offsets == {0: 1}


def test_a_tombstone_takes_the_verdicts_place_and_is_dead_lettered(broker: Broker) -> None:
    """F26: erasure reaches the cache; the record itself still ends like any other."""
    rig = Rig(broker, [record(0, chat_id="chat-1")], [tombstone(1)])
    rig.loop.run()
    assert rig.cache.stored == {}
    assert rig.cache.markers["chat-1"].rejected == "tombstone"
    assert rig.reasons == ["decode_error"]


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param(record(1, value=b"{")._replace(key=b"c"), "decode_error", id="only its key names the chat"),
        pytest.param(record(1, chat_id="c", query=7)._replace(key=None), "schema_error", id="its value names the chat"),
        pytest.param(record(1, chat_id="c", messages=[]), "empty_conversation", id="nothing to judge"),
        pytest.param(
            record(1, chat_id="c", messages=[{"role": "user", "content": "poison"}]), "classification_failed", id="late"
        ),
    ],
)
def test_a_rejected_event_takes_the_verdict_of_its_chat_out_of_the_cache(
    twin: TwinBroker, later: Record, reason: str
) -> None:
    """What was said of the chat before it changed does not hold of what it is now, whenever the rejection is found."""
    rig = Rig(twin, [record(0, chat_id="c")], [later])
    rig.loop.run()
    assert rig.cache.stored == {}
    source = later._replace(topic=rig.events).source
    assert (rig.cache.markers["c"].rejected, rig.cache.markers["c"].source) == (reason, source)
    assert rig.reasons == [reason]


def test_a_verdict_that_its_topic_refuses_leaves_a_marker_too(twin: TwinBroker) -> None:
    """It is decided last, when the verdict is encoded."""
    rig = Rig(twin, [record(0, chat_id="c")], verdict_max_bytes=5_100)
    rig.loop.run()
    assert rig.cache.markers["c"].rejected == "verdict_too_large"
    assert rig.reasons == ["verdict_too_large"]


def test_how_a_record_ends_is_decided_once_and_all_that_is_said_of_it_agrees(twin: TwinBroker) -> None:
    """A verdict that is too large is a dead letter to message, cache, metrics, log line and whoever hears of it."""
    told: list[Sequence[Row]] = []
    long = "c" * 256
    batch = [record(0, chat_id="a"), record(1, chat_id=long), record(2, value=b"{"), record(3, chat_id="b")]
    rig = Rig(twin, batch, on_committed=told.append, verdict_max_bytes=6_300)
    with structlog.testing.capture_logs() as lines:
        rig.loop.run()
    (rows,) = told
    assert [row.rejection.reason.value if row.rejection else None for row in rows] == [
        None, "verdict_too_large", "decode_error", None
    ]  # fmt: skip
    assert [row.verdict for row in rows if row.verdict] == rig.verdicts
    assert rig.reasons == ["verdict_too_large", "decode_error"]
    assert (rig.cache.stored.keys(), rig.cache.markers[long].rejected) == ({"a", "b"}, "verdict_too_large")
    value = rig.metrics.registry.get_sample_value
    assert value("moderation_rejections_total", {"reason": "verdict_too_large"}) == pytest.approx(1)
    assert value("moderation_cache_lookups_total", {"result": "miss"}) == pytest.approx(2)
    (line,) = (line for line in lines if line["event"] == "batch_done")
    assert (line["n_records"], line["n_cached"], line["n_rejected"]) == (4, 0, 2)


def test_a_step_that_answers_a_record_twice_ends_the_loop_with_nothing_committed(
    twin: TwinBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I1: the check stands behind all steps, whichever of them is wrong."""

    def fill_and_reject(misses: Sequence[Miss], *rest: Any) -> None:
        fill_misses(misses, *rest)
        misses[0][0].rejection = Rejection(RejectionReason.SCHEMA_ERROR, "found x; expected y")

    monkeypatch.setattr("worker.loop.fill_misses", fill_and_reject)
    rig = Rig(twin, [record(0), record(1)])
    with pytest.raises(Fatal, match=r"\[0\]@0 has two outcomes; expected exactly one"):
        rig.loop.run()
    assert (rig.verdicts, rig.offsets, rig.cache.stored) == ([], {}, {})


def test_a_step_that_forgets_a_record_ends_the_loop_with_nothing_committed(
    twin: TwinBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1: its offset would be committed with the others'."""
    monkeypatch.setattr("worker.loop.misses_of", lambda rows: misses_of(rows)[1:])
    rig = Rig(twin, [record(0), record(1)])
    with pytest.raises(Fatal, match=r"\[0\]@0 has no outcomes; expected exactly one"):
        rig.loop.run()
    assert (rig.verdicts, rig.offsets, rig.cache.stored) == ([], {}, {})


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"k" * 257])
def test_a_rejected_event_of_no_readable_chat_leaves_the_cache_alone(twin: TwinBroker, key: bytes | None) -> None:
    """A guessed chat_id would take another chat's verdict away."""
    rig = Rig(twin, [record(0, value=b"{")._replace(key=key)])
    rig.loop.run()
    assert (rig.cache.markers, rig.reasons) == ({}, ["decode_error"])


def test_an_empty_poll_commits_nothing(broker: Broker) -> None:
    """No transaction for nothing."""
    rig = Rig(broker, [], [])
    rig.loop.run()
    assert (rig.offsets, rig.publisher.commits) == ({}, [])


def test_the_log_of_a_batch_is_one_line_of_numbers(twin: TwinBroker) -> None:
    """Habit 8: few events, many fields, and never chat text."""
    texts = [{"role": "user", "content": f"{CANARY} poison"}]
    records = [record(0, query=CANARY), record(1, value=CANARY.encode()), record(2, messages=texts)]
    # As upstream writes them: what is odd about a record may have a line of its own.
    now_ms = round(1_000 * time.time())
    rig = Rig(twin, [one._replace(key=f"chat-{i}".encode(), timestamp_ms=now_ms) for i, one in enumerate(records)])
    with structlog.testing.capture_logs() as lines:
        rig.loop.run()
    assert [line["event"] for line in lines] == ["batch_done"]
    assert {"n_records": 3, "n_rejected": 2, "n_cached": 0}.items() <= lines[0].items()
    assert CANARY not in str(lines)


def test_a_stage_counts_once_for_its_batch_and_once_for_each_record_in_it(twin: TwinBroker) -> None:
    """The first is what a stage costs, the second how much of a chat's latency it is; a sizing needs both."""
    rig = Rig(twin, [record(0), record(1), record(2)])
    rig.loop.run()
    read = rig.metrics.registry.get_sample_value
    for stage in ("decode", "cache_get", "commit_wait", "cache_put"):
        once = read("moderation_stage_duration_seconds_sum", {"stage": stage})
        assert once is not None
        assert read("moderation_record_stage_seconds_total", {"stage": stage}) == pytest.approx(3 * once)
    transaction = read("moderation_record_stage_seconds_total", {"stage": "transaction"})
    assert transaction == pytest.approx(3 * (read("moderation_commit_duration_seconds_sum") or 0.0))


def test_the_wait_of_a_record_runs_from_its_timestamp_to_its_batch(twin: TwinBroker) -> None:
    """Under a backlog it is nearly all of the latency, and no stage of the worker shows it."""
    old = [record(i)._replace(timestamp_ms=round(1_000 * (time.time() - 100))) for i in range(2)]
    rig = Rig(twin, old)
    rig.loop.run()
    assert (
        rig.metrics.registry.get_sample_value("moderation_record_stage_seconds_total", {"stage": "wait"}) or 0
    ) > 199


def test_slow_commits_do_not_shrink_the_batches(twin: TwinBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit costs the same whatever it holds; at a second each, batches had gone down to one record a second."""
    now_s = [0.0]
    monkeypatch.setattr("worker.loop.time.perf_counter", lambda: now_s[0])
    rig = Rig(twin, *([record(offset)] for offset in range(20)))
    before = rig.batch_size.limit()
    commit = rig.publisher.commit

    def slowly(messages: Sequence[OutgoingMessage], offsets: Any, member: object) -> None:
        now_s[0] += 2.0
        commit(messages, offsets, member)

    monkeypatch.setattr(rig.publisher, "commit", slowly)
    rig.loop.run()
    assert rig.offsets == {0: 20}
    assert rig.batch_size.limit() >= before


def test_while_nothing_can_be_committed_that_is_counted_until_something_is(twin: TwinBroker) -> None:
    """F14: with too few copies a worker aborted for ever, and called itself ready."""
    rig = Rig(twin, [record(0)], failures=[BatchAborted("not enough replicas")] * 3)
    seen: list[float] = []
    rig.consumer.on_rewind = lambda: seen.append(rig.consumer.uncommitted_s)
    rig.loop.run()
    assert len(seen) == 3
    assert 0 < seen[0] < seen[1] < seen[2]
    assert rig.consumer.uncommitted_s == 0

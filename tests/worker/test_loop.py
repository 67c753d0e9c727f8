"""The loop with stand-ins at its edges: what it hands on, in which order, and what it does when a commit fails."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from model import Classification, ClassifyStats, RowFailed
from schemas import CodecLimits, ModelRef, PolicyRef, RejectionReason, Turn, Verdict, decode_verdict
from tests.worker.fake_kafka import MEMBER
from tests.worker.payloads import TOPICS, classification, record, tombstone
from worker.batch_size import BatchSize
from worker.commit_pipeline import CommitPipeline
from worker.errors import BatchAborted, Fatal
from worker.loop import WorkerLoop
from worker.messages import OutgoingMessage
from worker.metrics import Metrics
from worker.record import Record
from worker.settings import BatchSettings
from worker.verdict_builder import VerdictBuilder

CANARY = "zanzibar-canary"


@dataclass
class Consumer:
    """Hands out batches, and hands the last ones out again after a rewind."""

    batches: list[list[Record]]
    stopping: threading.Event
    given: list[list[Record]] = field(default_factory=list)
    n_rewinds: int = 0
    dropped: bool = False

    def poll_batch(self, *, max_records: int, max_bytes: int) -> list[Record]:  # noqa: ARG002
        """Return the next batch; ask for a stop after the last."""
        if not self.batches:
            self.stopping.set()
            return []
        self.given.append(self.batches.pop(0))
        return self.given[-1]

    def group_member(self) -> object:
        """Return the group metadata, unless the group has dropped this member."""
        if self.dropped:
            self.dropped = False
            raise BatchAborted("the consumer group has dropped this member")
        return MEMBER

    def lag_records(self) -> int:
        """Nothing waits."""
        return 0

    def rewind(self) -> None:
        """Go back to what was given and not committed."""
        self.n_rewinds += 1
        self.batches = self.given + self.batches
        self.given = []


@dataclass
class Cache:
    """A cache in memory."""

    stored: dict[str, Verdict] = field(default_factory=dict)
    evicted: list[Record] = field(default_factory=list)

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        return {chat_id: self.stored[chat_id] for chat_id in chat_ids if chat_id in self.stored}

    def put_many(self, verdicts: Iterable[tuple[Verdict, bytes]]) -> None:
        """Store."""
        for verdict, encoded in verdicts:
            assert decode_verdict(encoded) == verdict
            self.stored[verdict.chat_id] = verdict

    def evict_many(self, tombstones: Iterable[Record]) -> None:
        """Remove."""
        self.evicted.extend(tombstones)


@dataclass
class Model:
    """A classifier that notes what it was asked; texts with "poison" in them fail."""

    asked: list[Sequence[Turn]] = field(default_factory=list)

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Answer."""
        self.asked.extend(conversations)
        failed = RowFailed("the model failed on this row")
        return [failed if "poison" in turns[0].text else classification() for turns in conversations], ClassifyStats()


@dataclass
class Publisher:
    """Keeps what was committed; fails as often as it is told to."""

    failures: list[BaseException] = field(default_factory=list)
    committed: list[OutgoingMessage] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def commit(self, messages: Sequence[OutgoingMessage], offsets: Any, member: object) -> None:
        """Commit all of it, or raise."""
        assert member is MEMBER
        if self.failures:
            raise self.failures.pop(0)
        self.committed.extend(messages)
        self.offsets.update(offsets)


class Rig:
    """A loop and what stands around it."""

    def __init__(self, *batches: list[Record], failures: Iterable[BaseException] = ()) -> None:
        stopping = threading.Event()
        self.consumer, self.cache, self.model = Consumer(list(batches), stopping), Cache(), Model()
        self.publisher, self.metrics = Publisher(list(failures)), Metrics()
        self.batch_size = BatchSize(BatchSettings())
        self.loop = WorkerLoop(
            consumer=self.consumer,  # type: ignore[arg-type]
            cache=self.cache,  # type: ignore[arg-type]
            classifier=self.model,  # type: ignore[arg-type]
            publisher=self.publisher,  # type: ignore[arg-type]
            commits=CommitPipeline(background=True),
            builder=VerdictBuilder(
                ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}"), PolicyRef(name="p", version="1")
            ),
            topics=TOPICS,
            limits=CodecLimits(),
            batch_size=self.batch_size,
            max_batch_bytes=1_000_000,
            metrics=self.metrics,
            stopping=stopping,
            beat=lambda: None,
        )

    @property
    def verdicts(self) -> list[Verdict]:
        """The committed verdicts, in order."""
        return [decode_verdict(m.value or b"") for m in self.publisher.committed if m.topic == "verdicts"]

    @property
    def reasons(self) -> list[str]:
        """The reasons of the committed dead letters, in order."""
        letters = [m for m in self.publisher.committed if m.topic == "chat-events.dlq"]
        return [bytes(dict(m.headers)["reason"]).decode() for m in letters]  # type: ignore[arg-type]


def test_every_record_ends_as_one_message_in_input_order() -> None:
    """I1 and I3, over verdicts, cache hits and all kinds of rejections."""
    rig = Rig([record(0), record(1, value=b"{"), record(2), tombstone(3), record(4, query="q")], [record(5), record(6)])
    rig.loop.run()
    assert [m.topic == "verdicts" for m in rig.publisher.committed] == [True, False, True, False, True, True, True]
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 2, 4, 5, 6]
    assert rig.publisher.offsets == {("chat-events", 0): 7}


@pytest.mark.parametrize("indefinite", [False, True])
def test_a_batch_that_was_not_committed_is_read_again(indefinite: bool) -> None:
    """I1: nothing of it was committed, so all of it comes again, in order, and the batch after it too."""
    rig = Rig([record(0), record(1)], [record(2)], failures=[BatchAborted("no", indefinite=indefinite)])
    rig.loop.run()
    assert rig.consumer.n_rewinds == 1
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1, 2]
    assert rig.metrics.registry.get_sample_value(
        "moderation_batch_aborts_total", {"indefinite": str(indefinite).lower()}
    ) == pytest.approx(1)


def test_a_batch_of_a_dropped_member_is_not_even_tried() -> None:
    """Without a member id the broker would take the offsets unfenced."""
    rig = Rig([record(0)])
    rig.consumer.dropped = True
    rig.loop.run()
    assert rig.consumer.n_rewinds == 1
    assert [verdict.source.offset for verdict in rig.verdicts] == [0]


def test_a_fatal_commit_ends_the_loop_with_nothing_committed() -> None:
    """What is not committed is read again by whoever comes next."""
    rig = Rig([record(0)], [record(1)], failures=[Fatal("fenced")])
    with pytest.raises(Fatal, match="fenced"):
        rig.loop.run()
    assert rig.publisher.committed == []


def test_the_last_commit_is_waited_for_and_its_failure_is_no_crash() -> None:
    """F3: after SIGTERM the batch in hand either commits or is left to the next owner."""
    rig = Rig([record(0)], failures=[BatchAborted("too late")])
    rig.consumer.stopping.set()
    rig.loop._one_batch()
    rig.loop.run()
    assert rig.publisher.committed == []


def test_many_aborts_in_a_row_neither_crash_nor_wait_for_ever() -> None:
    """A pause that doubles without end does not fit a float after a thousand aborts."""
    rig = Rig()
    rig.consumer.stopping.set()
    rig.loop._n_aborts_in_row = 5_000
    rig.loop._read_again(BatchAborted("again"))
    assert rig.consumer.n_rewinds == 1


def test_the_same_text_twice_in_a_batch_is_classified_once_and_answered_twice() -> None:
    """F32: an upstream retry costs nothing, and both records get the same verdict."""
    same: dict[str, Any] = {"chat_id": "c", "messages": [{"role": "user", "content": "hi"}]}
    rig = Rig([record(0, **same), record(1, **same), record(2, chat_id="d", messages=same["messages"])])
    rig.loop.run()
    assert len(rig.model.asked) == 1
    first, again, other_chat = rig.verdicts
    assert first.verdict_id == again.verdict_id != other_chat.verdict_id
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 1, 2]


def test_what_the_cache_knows_is_not_classified() -> None:
    """And a grown chat is."""
    rig = Rig([record(0, chat_id="c")], [record(0, chat_id="c"), record(9, chat_id="c", query="grown")])
    rig.loop.run()
    rig.consumer.stopping.clear()
    rig.consumer.batches = [[record(0, chat_id="c")], [record(9, chat_id="c")]]
    n_asked = len(rig.model.asked)
    rig.loop.run()
    assert [verdict.cache_hit for verdict in rig.verdicts[-2:]] == [False, True]
    assert len(rig.model.asked) == n_asked + 1


def test_a_row_that_fails_is_dead_lettered_and_its_neighbours_are_judged() -> None:
    """F30."""
    poison = [{"role": "user", "content": f"poison {CANARY}"}]
    rig = Rig([record(0), record(1, messages=poison), record(2)])
    rig.loop.run()
    assert rig.reasons == [RejectionReason.CLASSIFICATION_FAILED.value]
    assert [verdict.source.offset for verdict in rig.verdicts] == [0, 2]
    assert rig.metrics.registry.get_sample_value(
        "moderation_rejections_total", {"reason": "classification_failed"}
    ) == pytest.approx(1)


def test_a_tombstone_evicts_and_is_dead_lettered() -> None:
    """F26: erasure reaches the cache; the record itself still ends like any other."""
    rig = Rig([tombstone(0)])
    rig.loop.run()
    assert rig.cache.evicted == [tombstone(0)]
    assert rig.reasons == ["decode_error"]


def test_an_empty_poll_commits_nothing() -> None:
    """No transaction for nothing."""
    rig = Rig([], [])
    rig.loop.run()
    assert rig.publisher.offsets == {}


def test_the_log_of_a_batch_is_one_line_of_numbers() -> None:
    """Habit 8: few events, many fields, and never chat text."""
    texts = [{"role": "user", "content": f"{CANARY} poison"}]
    with structlog.testing.capture_logs() as lines:
        Rig([record(0, query=CANARY), record(1, value=CANARY.encode()), record(2, messages=texts)]).loop.run()
    assert [line["event"] for line in lines] == ["batch_done"]
    assert {"n_records": 3, "n_rejected": 2, "n_cached": 0}.items() <= lines[0].items()
    assert CANARY not in str(lines)


def test_slow_commits_do_not_shrink_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit costs the same whatever it holds; at a second each, batches had gone down to one record a second."""
    now_s = [0.0]
    monkeypatch.setattr("worker.loop.time.perf_counter", lambda: now_s[0])
    rig = Rig(*([record(offset)] for offset in range(20)))
    before = rig.batch_size.limit()
    commit = rig.publisher.commit

    def slowly(messages: Sequence[OutgoingMessage], offsets: Any, member: object) -> None:
        now_s[0] += 2.0
        commit(messages, offsets, member)

    monkeypatch.setattr(rig.publisher, "commit", slowly)
    rig.loop.run()
    assert rig.publisher.offsets
    assert rig.batch_size.limit() >= before

"""The loop with stand-ins at its edges."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from model import Classification, ClassifyStats, InferenceStalled, RowFailed
from schemas import CodecLimits, ModelRef, PolicyRef, RejectionMarker, Turn, Verdict, decode_marker, decode_verdict
from tests.worker.kafka.fake_kafka import MEMBER
from tests.worker.payloads import TOPICS, classification
from worker.batch_size import BatchSize
from worker.cache.entries import Entry
from worker.cache.owed_notes import OwedNotes
from worker.commit_pipeline import CommitPipeline
from worker.errors import BatchAborted
from worker.loop import OnCommitted, WorkerLoop
from worker.outcome_encoding import OutgoingMessage, OutputTopics
from worker.predictor import Predictor, PredictorSource
from worker.process.metrics import Metrics
from worker.record import Record
from worker.settings.batch import BatchSettings
from worker.verdict_builder import VerdictBuilder


@dataclass
class Consumer:
    """Hands out batches, and hands the last ones out again after a rewind."""

    batches: list[list[Record]]
    stopping: threading.Event
    stops_with_last: bool = False
    given: list[list[Record]] = field(default_factory=list)
    n_rewinds: int = 0
    dropped: bool = False

    def poll_batch(self, *, max_records: int, max_bytes: int) -> list[Record]:  # noqa: ARG002
        """Return the next batch; ask for a stop after the last."""
        if not self.batches:
            self.stopping.set()
            return []
        self.given.append(self.batches.pop(0))
        if self.stops_with_last and not self.batches:
            self.stopping.set()
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
    markers: dict[str, RejectionMarker] = field(default_factory=dict)
    on_look_up: Callable[[], None] = lambda: None

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        self.on_look_up()
        return {chat_id: self.stored[chat_id] for chat_id in chat_ids if chat_id in self.stored}

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store."""
        for entry in entries:
            if entry.verdict is None:
                self.stored.pop(entry.chat_id, None)
                self.markers[entry.chat_id] = decode_marker(entry.value)
                continue
            assert decode_verdict(entry.value) == entry.verdict
            self.markers.pop(entry.chat_id, None)
            self.stored[entry.chat_id] = entry.verdict
        return []


@dataclass
class Model:
    """A classifier that notes what it was asked; texts with "poison" fail, those with "endless" stall the call."""

    asked: list[Sequence[Turn]] = field(default_factory=list)
    is_worn_out: bool = False

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Answer."""
        self.asked.extend(conversations)
        if any("endless" in turns[0].text for turns in conversations):
            raise InferenceStalled("too many took too long", n_timeouts=4, n_abandoned=1)
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
    """A loop and what stands around it.

    Args:
        batches: What the consumer hands out.
        failures: What the first commits raise.
        cache: In place of one that takes every write.
        publisher: In place of one that keeps what is committed.
        notes: What the loop says beside the offsets.
        topics: Where the outcomes go.
        in_background: Whether a commit runs beside the next batch.
        predictor: In place of one that gives every text the same answer.
        on_committed: Told of each commit.
    """

    def __init__(
        self,
        *batches: list[Record],
        failures: Iterable[BaseException] = (),
        cache: Cache | None = None,
        publisher: Publisher | None = None,
        notes: OwedNotes | None = None,
        topics: OutputTopics = TOPICS,
        in_background: bool = True,
        predictor: PredictorSource | None = None,
        on_committed: OnCommitted | None = None,
    ) -> None:
        stopping = threading.Event()
        self.consumer, self.cache, self.model = Consumer(list(batches), stopping), cache or Cache(), Model()
        self.publisher, self.metrics = publisher or Publisher(list(failures)), Metrics()
        self.commits = CommitPipeline(background=in_background)
        builder = VerdictBuilder(
            ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}"), PolicyRef(name="p", version="1")
        )
        self.batch_size = BatchSize(BatchSettings())
        self.predictor = Predictor(self.model, builder)  # type: ignore[arg-type]
        self.loop = WorkerLoop(
            consumer=self.consumer,  # type: ignore[arg-type]
            cache=self.cache,  # type: ignore[arg-type]
            predictor=predictor or (lambda: self.predictor),
            publisher=self.publisher,  # type: ignore[arg-type]
            commits=self.commits,
            topics=topics,
            limits=CodecLimits(),
            batch_size=self.batch_size,
            max_batch_bytes=1_000_000,
            metrics=self.metrics,
            stopping=stopping,
            beat=lambda: None,
            on_committed=on_committed,
            notes=notes,
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

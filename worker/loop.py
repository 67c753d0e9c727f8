"""The main loop: `_one_batch` and `_commit` name the stages of a batch, one after the other.

A batch is one list of rows, one per record; each stage fills in its part. What a stage decides is a pure function of
`worker.decode`, `worker.hits_and_misses` and `worker.outcome_encoding`.

Invariant: every record of a batch ends as exactly one outcome, and nothing of a batch is committed before all of it is.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import structlog

from model import Classification, ClassifyStats, InferenceStalled, RowFailed
from schemas import CodecLimits, ValueFormat, Verdict
from worker.batch_size import BatchSize
from worker.cache.entries import cache_entries
from worker.cache.owed_notes import OwedNotes
from worker.cache.verdict_cache import VerdictCache
from worker.commit_pipeline import CommitPipeline
from worker.decide import Answers, ContextSource, decide, decide_again
from worker.decode import Decoder
from worker.errors import BatchAborted, Fatal
from worker.hits_and_misses import Miss, chat_ids, fill_hits, fill_misses, misses_of
from worker.kafka.consumer import RecordConsumer
from worker.kafka.publisher import GroupMember, Publisher
from worker.outcome_encoding import OutgoingMessage, OutputTopics, next_offsets, settle, to_messages
from worker.predictor import Predictor, PredictorSource
from worker.process.key_check import KeyCheck
from worker.process.metrics import Metrics
from worker.process.tracing import BatchTrace, Tracing
from worker.record import Event, Record, Row

log = structlog.get_logger()

OnCommitted = Callable[[Sequence[Row]], None]
"""Takes the committed rows of one batch."""

_LONGEST_PAUSE_S: Final = 5.0
"""Longest pause before an aborted batch is read again, after several aborts in a row."""


class WorkerLoop:
    """Chat events in, verdicts out.

    Args:
        consumer: Where records come from.
        cache: Where verdicts are looked up and kept.
        predictor: Gives the predictor of each batch; asked once per batch, between two of them.
        publisher: Where batches end.
        commits: Runs the publisher beside the next classification.
        topics: Output topics and their limits.
        limits: Codec limits.
        value_format: What the input topic's values are.
        batch_size: Adaptive record limit.
        max_batch_bytes: Byte limit of one batch.
        metrics: Counts everything.
        stopping: Set when the loop should end after the batch in hand.
        beat: Called once per turn of the loop, for liveness.
        on_committed: Called after each commit with the rows of the batch; must be quick.
        notes: Says beside each offset what the cache is owed; None where nobody reads it.
        sources: What bears on decisions besides evidence and policies.
        answers: Tells which events are to be decided on again; None where people decide nothing.
        tracing: Traces committed batches; by default none.
    """

    def __init__(
        self,
        *,
        consumer: RecordConsumer,
        cache: VerdictCache,
        predictor: PredictorSource,
        publisher: Publisher,
        commits: CommitPipeline,
        topics: OutputTopics,
        limits: CodecLimits,
        batch_size: BatchSize,
        max_batch_bytes: int,
        metrics: Metrics,
        stopping: threading.Event,
        beat: Callable[[], None],
        on_committed: OnCommitted | None = None,
        notes: OwedNotes | None = None,
        value_format: ValueFormat = ValueFormat.JSON,
        sources: Sequence[ContextSource] = (),
        answers: Answers | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._consumer = consumer
        self._cache = cache
        self._predictor = predictor
        self._publisher = publisher
        self._commits = commits
        self._topics = topics
        self._decoder = Decoder(
            limits, metrics.count_left_out, value_format=value_format, on_key=KeyCheck(metrics.key_problems)
        )
        self._batch_size = batch_size
        self._max_batch_bytes = max_batch_bytes
        self._metrics = metrics
        self._stopping = stopping
        self._beat = beat
        self._on_committed = on_committed
        self._notes = notes
        self._sources = tuple(sources)
        self._answers = answers
        self._tracing = tracing or Tracing()
        self._n_aborts_in_row = 0

    def run(self) -> None:
        """Run until told to stop; the last commit has ended when this returns.

        Raises:
            Fatal: nothing more can be done; what is not committed will be read again.
        """
        while not self._stopping.is_set():
            self._beat()
            try:
                self._one_batch()
            except BatchAborted as aborted:
                self._read_again(aborted)
        try:
            self._commits.wait()
        except BatchAborted as aborted:
            log.warning("last_batch_aborted", cause=aborted.cause)

    def _one_batch(self) -> None:
        limit = self._batch_size.limit()
        records = self._consumer.poll_batch(max_records=limit, max_bytes=self._max_batch_bytes)
        self._commits.check()
        # After the poll, which may have waited long, and without records too: an idle worker drops the old model.
        predictor = self._predictor()
        if self._answers is not None:
            self._decide_again(self._answers, predictor)
        if not records:
            self._renew_notes()
            return
        started = time.perf_counter()
        trace = self._tracing.begin()
        self._metrics.record_stage_s.labels(stage="wait").inc(_waited_s(records, time.time()))
        with self._stage("decode", len(records)):
            rows = self._decoder.decode(records)
        with self._stage("cache_get", len(rows)):
            self._fill_hits(rows, self._cache.get_many(chat_ids(rows)), predictor)
        classifying = time.perf_counter()
        self._classify(misses_of(rows), predictor, n_records=len(rows))
        self._tracing.stage("classify", time.perf_counter() - classifying)
        with self._stage("decide", len(rows)):
            decide(rows, predictor.builder, self._sources, datetime.now(UTC))
        settle(rows, self._topics)
        # Without the wait for the commit before, which costs the same whatever it holds: slow brokers would shrink the
        # batches down to one record each, and those need most commits.
        worked_s = time.perf_counter() - started
        with self._stage("commit_wait", len(rows)):
            self._commits.wait(meanwhile=self._consumer.look)
        member = self._consumer.group_member()
        self._commits.submit(lambda: self._commit(rows, member, trace, started=started))
        if predictor.classifier.is_worn_out:
            self._stop_worn_out()
        lag = self._consumer.lag_records()
        self._batch_size.observe(n_records=len(rows), duration_s=worked_s, lag_records=lag)
        self._metrics.batch_limit_records.set(limit)

    def _commit(self, rows: list[Row], member: GroupMember, trace: BatchTrace | None, *, started: float) -> None:
        """Cache, publish and commit one batch; runs beside the classification of the next."""
        self._tracing.go_on(trace)
        messages = to_messages(rows, self._topics)
        for source in self._sources:
            messages += source.messages(rows)
        with self._stage("cache_put", len(rows)):
            self._cache.put_many(cache_entries(rows))
        begun = time.perf_counter()
        self._publish(messages, next_offsets(row.record for row in rows), member)
        self._tracing.stage("transaction", time.perf_counter() - begun)
        self._committed(rows, started=started, begun=begun)
        self._tracing.committed(trace, rows)

    def _decide_again(self, answers: Answers, predictor: Predictor) -> None:
        """Publish what people decided on events that were judged before; no offset moves with it."""
        if not (rows := answers.take(self._consumer.owns)):
            return
        # The cache shows then what became of all records read so far, but for those in hand, which come after this.
        self._commits.wait(meanwhile=self._consumer.look)
        cached = self._cache.get_many(chat_ids(rows))
        answers.compare(rows, cached)
        self._fill_hits(rows, cached, predictor)
        self._classify(misses_of(rows), predictor, n_records=len(rows))
        decided = decide_again(rows, predictor.builder, self._sources, datetime.now(UTC))
        settle(decided, self._topics)
        member = self._consumer.group_member()
        self._commits.submit(lambda: self._commit_again(answers, rows, member))

    def _commit_again(self, answers: Answers, rows: list[Row], member: GroupMember) -> None:
        """Cache and publish what was decided again."""
        settled = [row for row in rows if row.encoded is not None]
        if settled:
            self._cache.put_many(cache_entries(settled))
            self._publish(to_messages(settled, self._topics), {}, member)
        answers.answered(rows)

    def _fill_hits(self, rows: list[Row], cached: Mapping[str, Verdict], predictor: Predictor) -> None:
        for doubt in fill_hits(rows, cached, predictor.builder):
            self._metrics.cache_refused.labels(reason=doubt).inc()

    def _classify(self, misses: list[Miss], predictor: Predictor, *, n_records: int) -> None:
        # The same text twice in one batch, an upstream retry say, is classified once.
        distinct = list({event.fingerprint: event for _, event in misses}.values())
        try:
            results, stats = predictor.classifier.classify([event.turns for event in distinct])
        except InferenceStalled as stalled:
            results, stats = self._alone_or_abort(stalled, distinct)
        if stats.n_timeouts:
            log.warning("inference_timed_out", n_timeouts=stats.n_timeouts, n_abandoned=stats.n_abandoned)
        self._metrics.observe_classification(stats, n_records)
        self._metrics.observe_reading(results)
        by_fingerprint = {event.fingerprint: result for event, result in zip(distinct, results, strict=True)}
        fill_misses(misses, by_fingerprint)

    def _alone_or_abort(
        self, stalled: InferenceStalled, events: list[Event]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Dead-letter an event that stalls the model all by itself; else have the batch read again in smaller ones.

        Raises:
            BatchAborted: it is more than one event.
        """
        stats = ClassifyStats(n_timeouts=stalled.n_timeouts, n_abandoned=stalled.n_abandoned)
        if len(events) == 1:
            return [RowFailed(str(stalled))], stats
        self._metrics.observe_classification(stats, 0)
        self._batch_size.shrink()
        # The committed offsets, from which the batch is read again, are known only then.
        self._commits.wait()
        raise BatchAborted(str(stalled))

    def _stop_worn_out(self) -> None:
        """End a process in which inferences run that never end, but not before the records that did it are dealt with.

        Raises:
            Fatal: always.
        """
        try:
            self._commits.wait()
        except BatchAborted as aborted:
            log.warning("last_batch_aborted", cause=aborted.cause)
        raise Fatal(
            "inferences did not end and were left behind, with a core and a model's memory each; expected a model that "
            "ends; their records are in the dead-letter topic; look at the bundle"
        )

    def _publish(
        self, messages: list[OutgoingMessage], offsets: dict[tuple[str, int], int], member: GroupMember
    ) -> None:
        if self._notes is None:
            self._consumer.committing(offsets)
            self._publisher.commit(messages, offsets, member)
            self._consumer.has_committed()
            return
        # After the cache was written: what it did not take must be in the note of this very commit. With the partitions
        # whose notes have become wrong meanwhile: none of them need see an idle turn.
        offsets = self._notes.outdated() | offsets
        notes = self._notes.beside(offsets)
        self._consumer.committing(offsets)
        self._publisher.commit(messages, offsets, member, notes)
        self._consumer.has_committed()
        self._notes.committed(offsets, notes)

    def _renew_notes(self) -> None:
        """Commit the offsets again whose notes no longer say what the cache is owed; only while nothing is there."""
        if self._notes is None or not self._notes.outdated():
            return
        # The commit in flight may move these very offsets.
        self._commits.wait()
        if offsets := self._notes.outdated():
            member = self._consumer.group_member()
            self._commits.submit(lambda: self._publish([], offsets, member))

    def _committed(self, rows: list[Row], *, started: float, begun: float) -> None:
        """Account for a batch that was committed."""
        ended = time.perf_counter()
        self._n_aborts_in_row = 0
        self._metrics.commit_duration_s.observe(ended - begun)
        self._metrics.record_stage_s.labels(stage="transaction").inc((ended - begun) * len(rows))
        self._metrics.observe_outcomes(rows)
        for source in self._sources:
            source.committed(rows)
        log.info(
            "batch_done",
            n_records=len(rows),
            n_cached=sum(row.verdict is not None and row.verdict.cache_hit for row in rows),
            n_rejected=sum(row.rejection is not None for row in rows),
            commit_ms=round((ended - begun) * 1_000, 1),
            total_ms=round((ended - started) * 1_000, 1),
        )
        if self._on_committed is not None:
            self._on_committed(rows)

    def _read_again(self, aborted: BatchAborted) -> None:
        self._n_aborts_in_row += 1
        self._metrics.aborts.labels(indefinite=str(aborted.in_doubt).lower()).inc()
        log.warning(
            "batch_aborted",
            cause=aborted.cause,
            indefinite=aborted.in_doubt,
            n_aborts_in_row=self._n_aborts_in_row,
        )
        self._stopping.wait(min(_LONGEST_PAUSE_S, 0.05 * 2 ** min(self._n_aborts_in_row, 10)))
        self._consumer.rewind()
        for source in self._sources:
            source.rewound()

    @contextmanager
    def _stage(self, name: str, n_records: int) -> Iterator[None]:
        started = time.perf_counter()
        yield
        duration_s = time.perf_counter() - started
        self._metrics.observe_stage(name, duration_s, n_records)
        self._tracing.stage(name, duration_s)


def _waited_s(records: list[Record], now_s: float) -> float:
    """Return how long the records of a batch have waited since they were written, seconds, all together."""
    written = (record.written_ms for record in records)
    return sum(max(0.0, now_s - ms / 1_000) for ms in written if ms is not None)

"""The main loop: each line of `_one_batch` is one stage.

Invariant: every record of a batch ends as exactly one outcome, and nothing of a batch is committed before all of it is.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import structlog

from model import Classification, ClassifyStats, InferenceStalled, RowFailed
from schemas import Category, CodecLimits, Decision, RejectionReason, Verdict
from worker.batch_size import BatchSize
from worker.cache.entries import cache_entries
from worker.cache.owed_notes import OwedNotes
from worker.cache.verdict_cache import VerdictCache
from worker.commit_pipeline import CommitPipeline
from worker.decode import Decoder
from worker.errors import BatchAborted, Fatal
from worker.kafka.consumer import RecordConsumer
from worker.kafka.publisher import GroupMember, Publisher
from worker.outcome_encoding import OutgoingMessage, OutputTopics, next_offsets, to_messages
from worker.predictor import Predictor, PredictorSource
from worker.process.metrics import Metrics
from worker.record import Event, Judged, Outcome, Place, Record, Rejected

log = structlog.get_logger()

OnCommitted = Callable[[Sequence[Event], Sequence[Outcome]], None]
"""Takes the events that were classified, and the committed outcomes of the whole batch."""

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
        batch_size: Adaptive record limit.
        max_batch_bytes: Byte limit of one batch.
        metrics: Counts everything.
        stopping: Set when the loop should end after the batch in hand.
        beat: Called once per turn of the loop, for liveness.
        on_committed: Called after each commit with the events that were classified and all outcomes; must be quick.
        notes: Says beside each offset what the cache is owed; None where nobody reads it.
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
    ) -> None:
        self._consumer = consumer
        self._cache = cache
        self._predictor = predictor
        self._publisher = publisher
        self._commits = commits
        self._topics = topics
        self._decoder = Decoder(limits, metrics.count_left_out)
        self._batch_size = batch_size
        self._max_batch_bytes = max_batch_bytes
        self._metrics = metrics
        self._stopping = stopping
        self._beat = beat
        self._on_committed = on_committed
        self._notes = notes
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
        if not records:
            self._renew_notes()
            return
        started = time.perf_counter()
        self._metrics.record_stage_s.labels(stage="wait").inc(_waited_s(records, time.time()))
        with self._stage("decode", len(records)):
            events, rejected = self._decoder.decode(records)
        with self._stage("cache_get", len(records)):
            known = self._known(events, predictor)
        unknown = [event for event in events if event.record.place not in known]
        fresh, failed = self._classify(unknown, predictor, n_records=len(records))
        verdicts = known | fresh
        outcomes = _in_order(records, verdicts, rejected + failed)
        # Without the wait for the commit before, which costs the same whatever it holds: slow brokers would shrink the
        # batches down to one record each, and those need most commits.
        worked_s = time.perf_counter() - started
        with self._stage("commit_wait", len(records)):
            self._commits.wait()
        member = self._consumer.group_member()
        self._commits.submit(lambda: self._commit(outcomes, unknown, member, started=started))
        if predictor.classifier.is_worn_out:
            self._stop_worn_out()
        lag = self._consumer.lag_records()
        self._batch_size.observe(n_records=len(records), duration_s=worked_s, lag_records=lag)
        self._metrics.batch_limit_records.set(limit)

    def _known(self, events: list[Event], predictor: Predictor) -> dict[Place, Verdict]:
        """Return the verdicts that the cache holds of this very predictor."""
        cached = self._cache.get_many(event.chat.chat_id for event in events)
        now = datetime.now(UTC)
        known: dict[Place, Verdict] = {}
        for event in events:
            verdict = cached.get(event.chat.chat_id)
            if verdict is None or not predictor.builder.answers(verdict, event):
                continue
            doubt = predictor.builder.doubt(verdict)
            if doubt is None:
                known[event.record.place] = predictor.builder.from_cache(event, verdict, now)
            else:
                self._metrics.cache_refused.labels(reason=doubt).inc()
        return known

    def _classify(
        self, unknown: list[Event], predictor: Predictor, *, n_records: int
    ) -> tuple[dict[Place, Verdict], list[Rejected]]:
        """Return a verdict for every event that can be judged, and the rest as rejections."""
        # The same text twice in one batch, an upstream retry say, is classified once.
        distinct = list({event.fingerprint: event for event in unknown}.values())
        try:
            results, stats = predictor.classifier.classify([event.turns for event in distinct])
        except InferenceStalled as stalled:
            results, stats = self._alone_or_abort(stalled, distinct)
        if stats.n_timeouts:
            log.warning("inference_timed_out", n_timeouts=stats.n_timeouts, n_abandoned=stats.n_abandoned)
        self._metrics.observe_classification(stats, n_records)
        self._metrics.observe_reading(results)
        by_fingerprint = {event.fingerprint: result for event, result in zip(distinct, results, strict=True)}
        now = datetime.now(UTC)
        verdicts: dict[Place, Verdict] = {}
        failed: list[Rejected] = []
        for event in unknown:
            result = by_fingerprint[event.fingerprint]
            if isinstance(result, Classification):
                verdicts[event.record.place] = predictor.builder.fresh(event, result, now)
            else:
                failed.append(_failed(event, result))
        return verdicts, failed

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

    def _commit(self, outcomes: list[Outcome], unknown: list[Event], member: GroupMember, *, started: float) -> None:
        """Cache, publish and commit one batch; runs beside the classification of the next."""
        messages, outcomes = to_messages(outcomes, self._topics)
        with self._stage("cache_put", len(outcomes)):
            self._cache.put_many(cache_entries(outcomes, messages))
        begun = time.perf_counter()
        self._publish(messages, next_offsets([outcome.record for outcome in outcomes]), member)
        ended = time.perf_counter()
        self._n_aborts_in_row = 0
        self._metrics.commit_duration_s.observe(ended - begun)
        self._metrics.record_stage_s.labels(stage="transaction").inc((ended - begun) * len(outcomes))
        self._account(outcomes)
        log.info(
            "batch_done",
            n_records=len(outcomes),
            n_cached=sum(isinstance(outcome, Judged) and outcome.verdict.cache_hit for outcome in outcomes),
            n_rejected=sum(isinstance(outcome, Rejected) for outcome in outcomes),
            commit_ms=round((ended - begun) * 1_000, 1),
            total_ms=round((ended - started) * 1_000, 1),
        )
        if self._on_committed is not None:
            self._on_committed(unknown, outcomes)

    def _publish(
        self, messages: list[OutgoingMessage], offsets: dict[tuple[str, int], int], member: GroupMember
    ) -> None:
        if self._notes is None:
            self._publisher.commit(messages, offsets, member)
            return
        # After the cache was written: what it did not take must be in the note of this very commit. With the partitions
        # whose notes have become wrong meanwhile: none of them need see an idle turn.
        offsets = self._notes.outdated() | offsets
        notes = self._notes.beside(offsets)
        self._publisher.commit(messages, offsets, member, notes)
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

    def _account(self, outcomes: list[Outcome]) -> None:
        now_ms = time.time() * 1_000
        self._metrics.records.inc(len(outcomes))
        self._metrics.lag_age.committed(outcome.record for outcome in outcomes)
        self._metrics.batch_records.observe(len(outcomes))
        # Counted here and added once per batch: looking a labelled child up costs as much as decoding a short chat.
        judged: Counter[tuple[Category, Decision, bool]] = Counter()
        rejected: Counter[RejectionReason] = Counter()
        for outcome in outcomes:
            if outcome.record.timestamp_ms > 0:
                self._metrics.latency_s.observe(max(0.0, now_ms - outcome.record.timestamp_ms) / 1_000)
            if isinstance(outcome, Judged):
                verdict = outcome.verdict
                judged[verdict.category.code, verdict.decision, verdict.cache_hit] += 1
            else:
                rejected[outcome.reason] += 1
        for (category, decision, is_hit), n_verdicts in judged.items():
            result = "hit" if is_hit else "miss"
            self._metrics.verdicts.labels(category.value, decision.value, result).inc(n_verdicts)
            self._metrics.cache_lookups.labels(result=result).inc(n_verdicts)
        for reason, n_rejected in rejected.items():
            self._metrics.rejections.labels(reason=reason.value).inc(n_rejected)

    def _read_again(self, aborted: BatchAborted) -> None:
        self._n_aborts_in_row += 1
        self._metrics.aborts.labels(indefinite=str(aborted.indefinite).lower()).inc()
        log.warning(
            "batch_aborted",
            cause=aborted.cause,
            indefinite=aborted.indefinite,
            n_aborts_in_row=self._n_aborts_in_row,
        )
        self._stopping.wait(min(_LONGEST_PAUSE_S, 0.05 * 2 ** min(self._n_aborts_in_row, 10)))
        self._consumer.rewind()

    @contextmanager
    def _stage(self, name: str, n_records: int) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._metrics.observe_stage(name, time.perf_counter() - started, n_records)


def _waited_s(records: list[Record], now_s: float) -> float:
    """Return how long the records of a batch have waited since they were written, seconds, all together."""
    return sum(max(0.0, now_s - record.timestamp_ms / 1_000) for record in records if record.timestamp_ms > 0)


def _failed(event: Event, result: RowFailed) -> Rejected:
    return Rejected(event.record, RejectionReason.CLASSIFICATION_FAILED, result.error, event.chat.chat_id)


def _in_order(records: list[Record], verdicts: dict[Place, Verdict], rejected: list[Rejected]) -> list[Outcome]:
    """Give every record its one outcome, in input order; anything else is a bug that must not be committed."""
    rejections = {rejection.record.place: rejection for rejection in rejected}
    outcomes: list[Outcome] = []
    for record in records:
        verdict, rejection = verdicts.get(record.place), rejections.get(record.place)
        if (verdict is None) == (rejection is None):
            raise Fatal(
                f"{record.topic}[{record.partition}]@{record.offset} has "
                f"{'no' if verdict is None else 'two'} outcomes; expected exactly one; "
                "this is a bug, and nothing of the batch is committed"
            )
        outcomes.append(Judged(record, verdict) if verdict is not None else rejection)  # type: ignore[arg-type]
    return outcomes

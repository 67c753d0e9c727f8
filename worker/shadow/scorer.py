"""Classify again what the live model has classified, with another bundle, when there is time.

Live verdicts never wait for it: chats come here after their commit, a full queue drops them, the thread has a low
priority, and nothing that goes wrong here leaves it.

Invariant: every chat offered ends as exactly one of: an acknowledged shadow verdict, or a count in
`moderation_shadow_dropped_total` (or is lost with the process, which the report shows as missing).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from model import Classification
from schemas import Verdict
from worker.moves.sample import is_sampled
from worker.moves.taxonomy_name import are_comparable
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.process.tuning import be_nice
from worker.record import Event, Row
from worker.settings.shadow import ShadowSettings
from worker.shadow.publisher import ShadowPublisher

log = structlog.get_logger()

NICENESS: Final = 10
"""About a tenth of the CPU time of a live thread where both want the same core."""

_CHATS_AT_ONCE: Final = 16
_IDLE_S: Final = 1.0
"""How often acknowledgements are looked for while nothing comes in."""
_CLOSE_S: Final = 5.0


class _Waiting(NamedTuple):
    event: Event
    live: Verdict

    @property
    def n_bytes(self) -> int:
        return len(self.event.record.value or b"")


class Shadow:
    """The queue and the thread.

    Args:
        settings: Sample and limits of the queue.
        predictor: Gives the shadow's predictor, None while there is none.
        publisher: Where shadow verdicts go.
        metrics: Where they are counted and compared.
    """

    def __init__(
        self,
        settings: ShadowSettings,
        *,
        predictor: Callable[[], Predictor | None],
        publisher: ShadowPublisher,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._predictor = predictor
        self._publisher = publisher
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._n_bytes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin to classify."""
        self._thread.start()

    def on_committed(self, rows: Sequence[Row]) -> None:
        """Queue what the live model has classified; see `worker.loop.OnCommitted`. Neither waits nor raises."""
        offered = [
            _Waiting(row.event, row.verdict)
            for row in rows
            if row.event is not None
            and row.verdict is not None
            and not row.verdict.cache_hit
            and is_sampled(row.event.fingerprint, self._settings.sample_ratio)
        ]
        n_dropped = 0
        with self._changed:
            for waiting in offered:
                if (
                    len(self._queue) >= self._settings.queue_records
                    or self._n_bytes + waiting.n_bytes > self._settings.queue_max_bytes
                ):
                    n_dropped += 1
                    continue
                self._queue.append(waiting)
                self._n_bytes += waiting.n_bytes
            self._changed.notify()
        if n_dropped:
            self._metrics.shadow_dropped.labels("queue_full").inc(n_dropped)

    def _run(self) -> None:
        be_nice(NICENESS)
        while not self._stopping:
            chats = self._next()
            # Without chats too, so that an idle shadow drops the old bundle.
            predictor = self._predictor()
            if chats:
                self._classify_all(chats, predictor)
            self._publisher.poll()

    def _next(self) -> list[_Waiting]:
        with self._changed:
            if not self._queue and not self._stopping:
                self._changed.wait(_IDLE_S)
            chats = [self._queue.popleft() for _ in range(min(_CHATS_AT_ONCE, len(self._queue)))]
            self._n_bytes -= sum(waiting.n_bytes for waiting in chats)
            self._metrics.shadow_queue_records.set(len(self._queue))
        return chats

    def _classify_all(self, chats: list[_Waiting], predictor: Predictor | None) -> None:
        if predictor is None:
            self._metrics.shadow_dropped.labels("no_bundle").inc(len(chats))
            return
        if predictor.classifier.is_worn_out:
            self._failed("inferences did not end", len(chats))
            return
        distinct = list({waiting.event.fingerprint: waiting.event for waiting in chats}.values())
        try:
            results, _ = predictor.classifier.classify([event.turns for event in distinct])
        except Exception as error:  # noqa: BLE001  an unproven bundle must not end more than its own verdicts
            self._failed(f"{type(error).__name__}", len(chats))
            return
        by_fingerprint = {event.fingerprint: result for event, result in zip(distinct, results, strict=True)}
        now = datetime.now(UTC)
        for event, live in chats:
            result = by_fingerprint[event.fingerprint]
            if not isinstance(result, Classification):
                self._failed(result.error, 1)
                continue
            verdict = predictor.builder.fresh(event, result, now)
            self._compare(live, verdict)
            self._publisher.publish(verdict)

    def _compare(self, live: Verdict, shadow: Verdict) -> None:
        self._metrics.shadow_compared.labels(live.decision.value, shadow.decision.value).inc()
        if live.taxonomy.name != shadow.taxonomy.name or not are_comparable(
            live.category.code, live.probabilities, shadow.category.code, shadow.probabilities
        ):
            # Codes of two taxonomies mean different things, even where they are spelt the same.
            self._metrics.shadow_categories.labels("other_taxonomy").inc()
            return
        same = live.category.code == shadow.category.code
        self._metrics.shadow_categories.labels("same" if same else "different").inc()

    def _failed(self, failure: str, n_chats: int) -> None:
        self._metrics.shadow_dropped.labels("classification_failed").inc(n_chats)
        if failure != self._failure:
            self._failure = failure
            log.error("shadow_failed", error=failure, remedy="look at the shadow bundle; live verdicts are unaffected")

    def close(self) -> None:
        """Stop after the chats in hand; what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._metrics.shadow_dropped.labels("stopped").inc(len(self._queue))
            self._queue.clear()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._publisher.close()

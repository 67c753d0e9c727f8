"""Write a review for each verdict on which some policy asks for a person, in the transaction of its batch.

An unchanged hit asks for nobody: its review was written with the verdict that the cache holds. The cache is written
before the transaction, though, so a batch that was aborted finds its own verdicts there when it is read again; their
reviews were never committed, and these hits count as new.

The next batch is looked up before this one is in the cache, too. So the ids asked about last are remembered.

Invariant: while the cache answers, a verdict_id gets one review, however often its event is read again or repeated.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from model.evidence.rule import Unevaluated
from schemas import Review, Verdict, encode_review, review_of
from worker.decide import ContextSource
from worker.outcome_encoding import OutgoingMessage
from worker.process.metrics import Metrics
from worker.record import Row

_REMEMBERED: Final = 10_000
"""Ids that were asked about last: some batches' worth, 1 MB."""


class ReviewSource(ContextSource):
    """Bears on no decision; only writes. Used by the thread that commits.

    Args:
        topic: Where reviews go.
        metrics: Where they are counted.
    """

    def __init__(self, topic: str, metrics: Metrics) -> None:
        self._topic = topic
        self._metrics = metrics
        self._written: list[Review] = []
        """Of the batch in hand."""
        self._asked: dict[str, None] = {}

    def messages(self, rows: Sequence[Row]) -> Iterable[OutgoingMessage]:
        """Return the reviews of a batch, keyed by chat as its verdicts are, in order."""
        found = list(reviews(rows, self._asked))
        self._written = [review for _, review in found]
        return [
            OutgoingMessage(
                self._topic, review.chat_id.encode(), encode_review(review), row.record.headers, row.record.place
            )
            for row, review in found
        ]

    def committed(self, rows: Sequence[Row]) -> None:  # noqa: ARG002
        """Count and remember what was written."""
        for review in self._written:
            self._metrics.reviews.labels(category=review.category.code).inc()
            self._asked[review.verdict_id] = None
        for verdict_id in list(self._asked)[: max(0, len(self._asked) - _REMEMBERED)]:
            del self._asked[verdict_id]
        self._written = []


def reviews(rows: Iterable[Row], asked: Collection[str] = ()) -> Iterator[tuple[Row, Review]]:
    """Yield the rows of a batch that ask for a person, and their reviews; of one verdict_id the first.

    Args:
        rows: The batch.
        asked: Verdict ids about which a person was asked before.
    """
    seen: set[str] = set()
    for row in rows:
        verdict = row.verdict
        if verdict is None or verdict.verdict_id in seen or verdict.verdict_id in asked:
            continue
        if _is_new(verdict, row.reading) and (review := review_of(verdict)) is not None:
            seen.add(verdict.verdict_id)
            yield row, review


def _is_new(verdict: Verdict, reading: object) -> bool:
    """Say whether nobody was asked about this verdict yet, and may be now."""
    # Without calibration every chat gets `review`, and nobody could look at them all.
    if verdict.replay_id is not None or Unevaluated.UNCALIBRATED in verdict.unevaluated:
        return False
    if not isinstance(reading, Verdict) or reading.verdict_id != verdict.verdict_id:
        return True
    # A replay has left it in the cache and asked for nobody; or an attempt at this very record did, and was aborted.
    return reading.replay_id is not None or _place(reading) == _place(verdict)


def _place(verdict: Verdict) -> tuple[str, int, int]:
    source = verdict.source
    return source.topic, source.partition, source.offset

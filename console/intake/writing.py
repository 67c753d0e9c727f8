"""Write what records hold, in one transaction with the offsets behind them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from console.intake.sorting import Sorted, TopicRecord, sort_out
from console.intake.topics import Kind
from console.review.arrivals import Taken, close_answered, take_in
from console.review.arriving import hour_of, item_of_review, risk_of, sampled
from console.review.rates import DayRates
from console.settings.operations import ReviewSettings
from console.store.counting import Counted, add_counts
from console.store.erasing import HashesOf, erase_chats
from schemas import Review


class Written(NamedTuple):
    """What became of some records."""

    taken: Taken
    n_answered: int
    """Items that a person has answered by another way."""
    n_erased_items: int
    malformed: list[TopicRecord]
    refused: list[TopicRecord]
    """The database takes no such values: a chat_id with a NUL character, say."""


class Writer:
    """Writes records.

    Args:
        topics: What each topic holds.
        settings: Of the queue.
        codes_of: Which categories count under the policy that asks; None where that is not known.
        hashes_of: Keyed hashes of a chat_id, under the present key first; none without a key.
        rates: Of the sample.
    """

    def __init__(
        self,
        topics: Mapping[str, Kind],
        settings: ReviewSettings,
        codes_of: Callable[[Review], frozenset[str] | None],
        hashes_of: HashesOf,
        rates: DayRates,
    ) -> None:
        self._topics = topics
        self._settings = settings
        self._codes_of = codes_of
        self._hashes_of = hashes_of
        self._rates = rates

    def write(self, connection: Connection, records: Iterable[TopicRecord], *, now_ms: int) -> Written:
        """Write records in the caller's transaction.

        Raises:
            DataError: the database takes a value not; see `write_singly`.
        """
        found = sort_out(records, self._topics)
        # First of all: what is erased by now is not taken in.
        n_erased = erase_chats(connection, found.erased, self._hashes_of, now_ms=now_ms)
        self._rates.learn(connection, found.verdicts)
        taken = take_in(connection, list(self._rows(found, now_ms)), self._hashes_of, now_ms=now_ms)
        n_answered = close_answered(connection, found.overrides, now_ms=now_ms)
        add_counts(connection, found.counts)
        return Written(taken, n_answered, n_erased, found.malformed, [])

    def write_singly(self, connection: Connection, records: Iterable[TopicRecord], *, now_ms: int) -> Written:
        """Write records one after the other, without those that the database does not take, which are counted."""
        taken, refused, malformed, n_answered, n_erased = Counter[int](), [], [], 0, 0
        self._rates.forget()
        for record in records:
            try:
                with connection.begin_nested():
                    one = self.write(connection, [record], now_ms=now_ms)
            except DataError:
                refused.append(record)
                self._rates.forget()
                continue
            taken.update(dict(enumerate(one.taken)))
            malformed += one.malformed
            n_answered += one.n_answered
            n_erased += one.n_erased_items
        hour = hour_of(now_ms)
        kinds = Counter(self._topics[record.topic].value for record in refused)
        add_counts(connection, {Counted(hour, "refused", "", kind): n for kind, n in kinds.items()})
        return Written(Taken(taken[0], taken[1], taken[2]), n_answered, n_erased, malformed, refused)

    def _rows(self, found: Sorted, now_ms: int) -> Iterator[dict[str, Any]]:
        for review in found.reviews:
            risk = risk_of(review.evidence, self._codes_of(review))
            yield item_of_review(
                review, self._settings, now_ms=now_ms, risk=risk, chat_hash=self._hash_of(review.chat_id)
            )
        for verdict in found.verdicts:
            row = sampled(verdict, self._rates.of(verdict), self._settings, now_ms=now_ms)
            if row is not None:
                yield row | {"chat_hash": self._hash_of(verdict.chat_id)}

    def _hash_of(self, chat_id: str) -> str | None:
        hashes = self._hashes_of(chat_id)
        return hashes[0] if hashes else None

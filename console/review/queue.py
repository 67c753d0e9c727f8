"""The review queue: each method is one transaction, and nothing in it is held in memory.

Several consoles may share a database. A method raises `StoreAway` where that does not answer; nothing was written then.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, select

from console.review import bulk, claiming, listing, seeding, undoing
from console.review.answering import Answering, answer
from console.review.errors import Conflict, NotInQueue
from console.review.figure_rows import judged_items
from console.review.figures import Figures, figures_of
from console.review.gold import GoldChats
from console.review.hooks import Hooks
from console.review.item import (
    Answered,
    BatchUndone,
    BulkFilter,
    BulkResult,
    Claim,
    Item,
    ItemKind,
    ItemState,
    Order,
    Outcome,
    Page,
    Preview,
    QueueStanding,
    Wish,
)
from console.review.listing import Asked
from console.review.reveals import log_reveal
from console.review.rows import Queues, is_within, item_of, with_claims
from console.review.signature import signature_of
from console.review.similar import Similar, remember, similar_to
from console.review.wish import AnswerRules
from console.settings.operations import ReviewSettings
from console.store.access import log_access
from console.store.store import Store, now_ms
from console.store.tables import items
from schemas import Turn
from schemas.erasure import chat_hash

_MS: Final = 1_000
_MOST_TRIES: Final = 20
"""Items of which somebody else was quicker to take the last place, one after the other."""


class Queue:
    """The queue. Of each method `queues` names those that are the reviewer's; None: all.

    Args:
        store: The database.
        settings: Its rules.
        hash_key: Makes the keyed hash that stands for a chat in the log; None: no hash.
        hooks: What follows an answer besides.
        clock: Milliseconds since 1970.
        draw: Chance: one of 0 to n - 1.

    Raises:
        SettingsError: reasons or the file of gold chats cannot be used.
    """

    def __init__(
        self,
        store: Store,
        settings: ReviewSettings,
        hash_key: bytes | None = None,
        *,
        hooks: Hooks | None = None,
        clock: Callable[[], int] = now_ms,
        draw: seeding.Draw = secrets.randbelow,
    ) -> None:
        self._store = store
        self._settings = settings
        self._hash_key = hash_key
        self.rules = AnswerRules.of(settings)
        """What an answer must hold."""
        self.gold = GoldChats.of(settings.gold_file)
        self.hooks = hooks or Hooks()
        """Set by what follows answers, before the first."""
        self.gold_queue: str | None = None
        """Of the policy by which gold answers are known, the default one; set before the first answer."""
        self._clock = clock
        self._draw = draw
        self._lease_ms = round(settings.lease_s * _MS)
        self._late_ms = round(settings.answer_within_s * _MS)

    def page(
        self,
        reviewer: str,
        *,
        queue: str | None = None,
        order: Order = "risk",
        kind: str | None = None,
        after: str | None = None,
        limit: int = 50,
        is_admin: bool = False,
        queues: Queues = None,
    ) -> Page:
        """Return a page of the open items that the reviewer may answer.

        Raises:
            WishRefused: order, limit or cursor is none.
        """
        asked = Asked(reviewer, is_admin, queue, kind, order, queues)
        with self._store.reading() as connection:
            return listing.page(connection, asked, after=after, limit=limit, now=self._clock(), late_ms=self._late_ms)

    def standings(self, queues: Queues = None) -> list[QueueStanding]:
        """Return how long each queue waits."""
        with self._store.reading() as connection:
            return listing.standings(connection, now=self._clock(), late_ms=self._late_ms, queues=queues)

    def item(self, item_id: int, reviewer: str, *, queues: Queues = None) -> Item:
        """Return an item, whatever its state.

        Raises:
            NotInQueue: there is none, it was erased, it is of another queue, or another reviewer's gold item.
        """
        with self._store.reading() as connection:
            row = connection.execute(select(items).where(items.c.id == item_id)).mappings().first()
            if row is None or row["state"] == ItemState.ERASED.value:
                raise NotInQueue
            item = item_of(row)
            if not is_within(item, reviewer, queues):
                raise NotInQueue
            (found,) = with_claims(connection, [item], reviewer, self._clock(), queues)
            return found

    def claim(self, item_id: int, reviewer: str, *, is_admin: bool = False, queues: Queues = None) -> Claim:
        """Make an item the reviewer's for `review.lease_s`; a claim of theirs that stands is renewed.

        Raises:
            NotInQueue: it is no item for them.
            Conflict: others have every place, or it is answered.
        """
        with self._store.writing() as connection:
            return claiming.claim(
                connection,
                item_id,
                reviewer,
                is_admin=is_admin,
                now=self._clock(),
                lease_ms=self._lease_ms,
                queues=queues,
            )

    def claim_next(
        self,
        reviewer: str,
        *,
        queue: str | None = None,
        order: Order = "risk",
        kind: str | None = None,
        is_admin: bool = False,
        queues: Queues = None,
    ) -> Claim | None:
        """Claim the first item that has a place and that the reviewer does not hold; None where there is none.

        `kind` is as for `page`; `adjudication` asks for items in dispute.

        Raises:
            WishRefused: the order is none.
            Conflict: others were quicker, again and again.
        """
        listing.check_order(order)
        asked = Asked(reviewer, is_admin, queue, kind, order, queues)
        lost: Conflict | None = None
        for _ in range(_MOST_TRIES):
            with self._store.reading() as connection:
                item_id = claiming.next_item(connection, asked, self._clock())
            if item_id is None:
                return None
            try:
                return self.claim(item_id, reviewer, is_admin=is_admin, queues=queues)
            except Conflict as conflict:
                lost = conflict
            except NotInQueue:
                continue
        raise lost or Conflict("others were quicker; ask again")

    def renew(self, item_id: int, reviewer: str, token: str, *, queues: Queues = None) -> int:
        """Prolong a claim and return until when it lasts, milliseconds since 1970.

        Raises:
            NotInQueue: there is no such item.
            Conflict: the lease was lost.
        """
        with self._store.writing() as connection:
            return claiming.renew(
                connection, item_id, reviewer, token, now=self._clock(), lease_ms=self._lease_ms, queues=queues
            )

    def release(self, item_id: int, reviewer: str, token: str, *, queues: Queues = None) -> None:
        """Give an item back; raises as `renew` does."""
        with self._store.writing() as connection:
            claiming.release(connection, item_id, reviewer, token, now=self._clock(), queues=queues)

    def answer(
        self,
        item_id: int,
        reviewer: str,
        token: str,
        wish: Wish,
        *,
        decision_id: str | None = None,
        queues: Queues = None,
    ) -> Answered:
        """Take an answer, and what it sends, in one transaction; under a `decision_id` that is known, once.

        Raises:
            NotInQueue: there is no such item.
            Conflict: the lease was lost; it names who has the item or has answered it.
            WishRefused: the answer breaks a rule of the settings.
        """
        with self._store.writing() as connection:
            now = self._clock()
            taken = answer(
                connection,
                item_id,
                reviewer,
                token,
                wish,
                by=self._answering(),
                now=now,
                decision_id=decision_id,
                queues=queues,
            )
            if taken.item.kind != ItemKind.GOLD and wish.outcome != Outcome.SKIP:
                seeding.seed(
                    connection,
                    self.gold,
                    reviewer,
                    queue=self.gold_queue,
                    every=self._settings.gold_every,
                    draw=self._draw,
                    now=now,
                    queues=queues,
                )
            return taken

    def undo(self, answer_id: int, reviewer: str, *, queues: Queues = None) -> Claim:
        """Undo an own answer, sent or not; the item is open again and the reviewer's.

        Raises:
            NotInQueue: there is no such answer of theirs.
            Conflict: it is undone, settled by an adjudicator, or somebody else holds the item.
        """
        with self._store.writing() as connection:
            return undoing.undo(
                connection,
                answer_id,
                reviewer,
                hooks=self.hooks,
                now=self._clock(),
                lease_ms=self._lease_ms,
                queues=queues,
            )

    def preview(self, wanted: BulkFilter, reviewer: str, *, n_sample: int = 10, queues: Queues = None) -> Preview:
        """Return how many items a bulk action would answer, and some of them; raises WishRefused."""
        with self._store.reading() as connection:
            return bulk.preview(connection, wanted, reviewer, n_sample=n_sample, now=self._clock(), queues=queues)

    def uncompared(self, wanted: BulkFilter, reviewer: str, *, most: int, queues: Queues = None) -> bulk.Uncompared:
        """Return which items a filter by nearness cannot find yet, and log that their texts are compared."""
        with self._store.writing() as connection:
            found = bulk.uncompared(connection, wanted, reviewer, most=most, now=self._clock(), queues=queues)
            if found.newest:
                log_access(connection, reviewer, "compare", {"n": len(found.newest)}, item_id=wanted.near)
            return found

    def bulk(  # noqa: PLR0917  the order in which pages have them
        self,
        wanted: BulkFilter,
        reviewer: str,
        wish: Wish,
        cap: int,
        expected_count: int,
        batch: str,
        *,
        queues: Queues = None,
    ) -> BulkResult:
        """Answer every item that matches, up to the cap; one answer an item.

        Raises:
            WishRefused: filter, answer, cap or batch breaks a rule.
            Conflict: another number of items matches than `expected_count`; nothing was answered.
        """
        with self._store.writing() as connection:
            return bulk.answer_all(
                connection,
                wanted,
                reviewer,
                wish,
                cap=cap,
                expected_count=expected_count,
                batch=batch,
                by=self._answering(),
                now=self._clock(),
                queues=queues,
            )

    def undo_batch(self, batch: str, reviewer: str, *, queues: Queues = None) -> BatchUndone:
        """Undo every answer of an own batch that can be; their items are open again, and nobody's.

        Raises:
            NotInQueue: the reviewer has no such batch.
        """
        with self._store.writing() as connection:
            found = undoing.answers_of_batch(connection, batch, reviewer)
            if not found:
                raise NotInQueue
            n_undone = sum(
                self._is_undone_now(connection, answer_id, reviewer, queues)
                for answer_id, is_undone in found
                if not is_undone
            )
            return BatchUndone(n_undone, len(found) - n_undone)

    def figures(self, *, since_ms: int, until_ms: int, queues: Queues = None) -> Figures:
        """Return what the answers of a time say of people and of the automation.

        Args:
            since_ms: From then on, milliseconds since 1970.
            until_ms: Up to then.
            queues: On items of these alone; None: of all.
        """
        with self._store.reading() as connection:
            return figures_of(judged_items(connection, since_ms=since_ms, until_ms=until_ms, queues=queues))

    def gold_turns(self, item: Item) -> tuple[list[Turn], int | None] | None:
        """Return the turns of a gold item and which of them decides; None where its file has it no longer."""
        if item.gold_key is None:
            return None
        chat = self.gold.chat(item.taxonomy["name"], item.gold_key)
        return None if chat is None else (chat.turns, chat.deciding)

    def remember_text(self, item: Item, turns: Sequence[Turn], fingerprint: str) -> bool:
        """Keep the signature of a text that was read for a reviewer, so that it can be compared; never the text.

        Nothing is kept of a blind item, of a record that is not what was judged, and without a key.

        Args:
            item: Whose text it is.
            turns: The text, oldest first.
            fingerprint: Of these turns.

        Returns:
            Whether there was something to keep.
        """
        if self._hash_key is None or item.is_blind or item.fingerprint != fingerprint:
            return False
        signature = signature_of(turns, self._hash_key)
        if signature is None:
            return False
        with self._store.writing() as connection:
            remember(connection, item, signature)
        return True

    def similar(self, item: Item, *, queues: Queues = None) -> list[Similar] | None:
        """Return chats like an item's that people decided before; None where its reviewer may not see them."""
        with self._store.reading() as connection:
            return similar_to(connection, item, queues)

    def log_reveal(self, actor: str, item: Item) -> None:
        """Note that somebody is about to see an item's text; it stands in the database when this returns."""
        hashed = item.chat_hash
        if hashed is None and item.chat_id is not None and self._hash_key is not None:
            hashed = chat_hash(item.chat_id, self._hash_key)
        with self._store.writing() as connection:
            log_reveal(connection, actor, item.id, hashed, item.topic, item.partition, item.record_offset)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read figures and exports with."""
        with self._store.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction for the log and for preferences."""
        with self._store.writing() as connection:
            yield connection

    def _answering(self) -> Answering:
        return Answering(self.rules, round(self._settings.undo_s * _MS), self.hooks)

    def _is_undone_now(self, connection: Connection, answer_id: int, reviewer: str, queues: Queues) -> bool:
        try:
            undoing.reopen(connection, answer_id, reviewer, hooks=self.hooks, now=self._clock(), queues=queues)
        except (Conflict, NotInQueue):
            # Both are found before anything is written: the others go on.
            return False
        return True

"""Items come once, change with newer verdicts on their text, and stay until somebody answers; on both databases."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select

from console.review.arrivals import Taken, close_answered, take_in
from console.review.arriving import item_of_review, sampled
from console.review.sampling import strata_of
from console.settings.operations import ReviewSettings
from console.store.erasing import erase_chats
from console.store.store import Store
from console.store.tables import answers, claims, items, overridden
from schemas import Decision, Review, Source, Verdict
from schemas.erasure import chat_hash
from tests.console.judged import AT_MS, a_review, a_verdict, an_override, named

SETTINGS = ReviewSettings(age_bonus_s=100)
NOW_MS = AT_MS + 5_000


def hashes_of(chat_id: str) -> list[str]:
    """Hash under a key of the tests."""
    return [chat_hash(chat_id, b"k" * 32)]


def row_of(review: Review, risk: float = 0.5, now_ms: int = NOW_MS) -> dict[str, Any]:
    """Return the row of a review."""
    name = hashes_of(review.chat_id)[0]
    return item_of_review(review, SETTINGS, now_ms=now_ms, risk=risk, chat_hash=name)


def take(store: Store, *rows: dict[str, Any]) -> Taken:
    """Take rows in a transaction of their own."""
    with store.writing() as connection:
        return take_in(connection, rows, hashes_of, now_ms=NOW_MS)


def close(store: Store, *verdicts: Verdict) -> int:
    """Take people's words."""
    with store.writing() as connection:
        return close_answered(connection, verdicts, now_ms=NOW_MS)


def stand(store: Store, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of all items, in the order in which they came."""
    with store.reading() as connection:
        found = connection.execute(select(*(items.c[name] for name in columns)).order_by(items.c.id))
        return [tuple(row) for row in found]


def at(offset: int) -> Source:
    """Return another place of the same chat."""
    return Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=AT_MS)


def test_a_review_that_comes_again_makes_no_second_item(store: Store) -> None:
    """In one batch, in another one, and after it was answered."""
    assert take(store, row_of(a_review(1)), row_of(a_review(2)), row_of(a_review(1))) == Taken(2, 0, 0)
    assert take(store, row_of(a_review(1))) == Taken(0, 0, 0)
    with store.writing() as connection:
        connection.execute(items.update().values(state="done"))
    assert take(store, row_of(a_review(1))) == Taken(0, 0, 0)
    assert stand(store, "verdict_id") == [(a_review(1).verdict_id,), (a_review(2).verdict_id,)]


def test_a_newer_verdict_on_the_same_text_renews_the_item_that_waits(store: Store) -> None:
    """Its place in the order stays or gets better; further policies that ask are seen; an older one does nothing."""
    take(store, row_of(a_review(1), 0.9))
    newer = a_review(1, verdict_id=named("newer"), source=at(50), others={"strict": Decision.REVIEW})
    assert take(store, row_of(newer, 0.2, NOW_MS + 60_000)) == Taken(0, 1, 0)
    older = a_review(1, verdict_id=named("older"), source=at(20))
    assert take(store, row_of(older, 1.0)) == Taken(0, 0, 0)
    ((verdict_id, offset, policies, risk, order),) = stand(
        store, "verdict_id", "record_offset", "policies", "risk", "order_ms"
    )
    assert (verdict_id, offset, [one["name"] for one in policies]) == (newer.verdict_id, 50, ["default", "strict"])
    assert (risk, order) == (0.2, NOW_MS - 90_000)


def test_two_verdicts_on_one_text_in_one_batch_make_one_item(store: Store) -> None:
    """Of the newer one."""
    newer = a_review(1, verdict_id=named("newer"), source=at(50))
    assert take(store, row_of(a_review(1)), row_of(newer)).n_new == 1
    assert stand(store, "verdict_id") == [(newer.verdict_id,)]


def test_a_newer_text_leaves_the_older_item_open(store: Store) -> None:
    """Nothing drops out of the queue."""
    newer = a_review(1, verdict_id=named("newer"), source=at(50), content_fingerprint=named("longer"))
    take(store, row_of(a_review(1)), row_of(newer))
    assert stand(store, "state", "record_offset") == [("open", 1), ("open", 50)]


def test_the_same_text_may_be_asked_about_again_after_an_answer(store: Store) -> None:
    """The answer may have lapsed: an allow counts for a day."""
    take(store, row_of(a_review(1)))
    with store.writing() as connection:
        connection.execute(items.update().values(state="done"))
    take(store, row_of(a_review(1, verdict_id=named("newer"), source=at(50))))
    assert stand(store, "state") == [("done",), ("open",)]


def sample_of(verdict: Verdict) -> dict[str, Any]:
    """Return the sample of a verdict that is drawn for certain."""
    row = sampled(verdict, dict.fromkeys(strata_of(verdict), 1.0), SETTINGS, now_ms=NOW_MS)
    assert row is not None
    return row | {"chat_hash": hashes_of(verdict.chat_id)[0]}


def test_a_persons_word_by_another_way_closes_the_review_and_says_whose(store: Store) -> None:
    """Claims on it go. A sample of the chat stays: overrides are mostly given where the model is wrong."""
    take(store, row_of(a_review(1)), row_of(a_review(2)), sample_of(a_verdict(1)))
    with store.writing() as connection:
        connection.execute(
            insert(claims), _claim(connection.execute(select(items.c.id)).scalars().all(), claims.c.keys())
        )
    assert close(store, an_override(1)) == 1
    assert stand(store, "kind", "state", "closed_why", "closed_by") == [
        ("review", "done", "override", "ann"),
        ("review", "open", None, None),
        ("sample", "open", None, None),
    ]
    with store.reading() as connection:
        assert len(connection.execute(select(claims)).all()) == 2


def _claim(ids: Iterable[int], columns: Iterable[str]) -> list[dict[str, Any]]:
    claim = {"reviewer": "bob", "token": "t", "until_ms": NOW_MS, "since_ms": NOW_MS}
    known = set(columns)
    return [{"item_id": one} | {name: value for name, value in claim.items() if name in known} for one in ids]


def test_a_persons_word_on_another_text_closes_nothing(store: Store) -> None:
    """The chat went on; what was not looked at is still to be looked at."""
    take(store, row_of(a_review(1)))
    assert close(store, an_override(1, source=at(50), content_fingerprint=named("longer"))) == 0
    assert stand(store, "state") == [("open",)]


def test_a_review_that_is_read_after_the_persons_word_comes_closed(store: Store) -> None:
    """Topics are read side by side, and in no order between them."""
    assert close(store, an_override(1), an_override(1, verdict_id=named("again"))) == 0
    assert take(store, row_of(a_review(1)), row_of(a_review(2))).n_new == 2
    assert stand(store, "state", "closed_why", "closed_by") == [("done", "override", "ann"), ("open", None, None)]


def test_an_item_that_was_opened_again_is_not_closed_by_the_word_that_was_taken_back(store: Store) -> None:
    """The worker's answer to it may come later than the undoing; a later word counts."""
    take(store, row_of(a_review(1)))
    with store.writing() as connection:
        item_id = connection.execute(select(items.c.id)).scalar_one()
        connection.execute(
            insert(answers).values(
                item_id=item_id, reviewer="ann", decision_id="d", outcome="allow", at_ms=AT_MS, is_blind=False,
                is_final=False, undone_ms=AT_MS + 1_000,
            )
        )  # fmt: skip
    assert close(store, an_override(1, at_ms=AT_MS + 2_000)) == 0
    assert close(store, an_override(1, at_ms=AT_MS + 3_600_000)) == 1


def test_what_was_written_before_an_erasure_is_not_taken_in(store: Store) -> None:
    """A later event of the chat is a new event."""
    with store.writing() as connection:
        erase_chats(connection, {hashes_of("chat-1")[0]: AT_MS}, hashes_of, now_ms=NOW_MS)
    later = a_review(1, verdict_id=named("later"), at_ms=AT_MS + 1)
    assert take(store, row_of(a_review(1)), row_of(a_review(2)), sample_of(a_verdict(1))) == Taken(1, 0, 2)
    assert take(store, row_of(later)) == Taken(1, 0, 0)
    assert stand(store, "chat_id") == [("chat-2",), ("chat-1",)]


def test_a_batch_of_thousands_is_taken(store: Store) -> None:
    """More than one statement takes at once."""
    assert take(store, *(row_of(a_review(number)) for number in range(1_300))).n_new == 1_300
    assert take(store, *(row_of(a_review(number)) for number in range(1_300))).n_new == 0
    assert close(store, *(an_override(number) for number in range(20))) == 20
    with store.reading() as connection:
        assert len(connection.execute(select(overridden)).all()) == 20

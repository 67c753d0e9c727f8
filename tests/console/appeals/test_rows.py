"""Appeals on both databases: rows, links, rates and shares."""

from types import SimpleNamespace

from sqlalchemy import select, update

from console.review.appealing import item_of_verdict, on_settled, put_appeal, wait_ms
from console.review.appeals import appeal_of, reliabilities, told
from console.settings.operations import ReviewSettings
from console.store.appeal_answers import answer_erased
from console.store.store import Store
from console.store.tables import appeals, items
from tests.console.items import put_answer, put_item
from tests.schemas.payloads import make_verdict

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000


def appeal(store: Store, appeal_id: str, verdict_id: str, *, caller: str = "coral", at_ms: int = NOW) -> int:
    """Put an appeal; return its item's number."""
    with store.writing() as connection:
        put_appeal(
            connection,
            appeal_id,
            item_of_verdict(make_verdict(verdict_id=verdict_id)),
            caller=caller,
            reason="not_an_ad",
            note=None,
            webhook_url=None,
            chat_hash=None,
            settings=ReviewSettings(),
            now=at_ms,
        )
        found = appeal_of(connection, appeal_id)
    assert found is not None
    return found.item_id


def answer(store: Store, item_id: int, outcome: str) -> None:
    """Answer an appeal."""
    with store.writing() as connection:
        row = connection.execute(select(items).where(items.c.id == item_id)).mappings().one()
        settled = SimpleNamespace(
            item=SimpleNamespace(**row),
            outcome=outcome,
            reason="other",
            decision_id=f"d{item_id}",
            at_ms=NOW,
            sends_at_ms=NOW,
        )
        on_settled(connection, settled)


def test_the_riskiest_goes_first_as_elsewhere(every_store: Store) -> None:
    """An appeal is ordered by its risk and its age."""
    item_id = appeal(every_store, "a1", "01" * 16)
    with every_store.reading() as connection:
        row = connection.execute(select(items).where(items.c.id == item_id)).mappings().one()
    assert row["order_ms"] == NOW - round(0.12 * 14_400_000)
    assert row["policies"][0]["name"] == "default"


def test_of_an_item_that_nobody_answered_the_appeal_is_linked_too(every_store: Store) -> None:
    """An answered one of the chat goes before it: somebody must be left out."""
    unanswered = put_item(every_store, verdict_id="01" * 16)
    first = appeal(every_store, "a1", "01" * 16)
    answered = put_item(every_store, verdict_id="02" * 16)
    put_answer(every_store, answered, "d1")
    second = appeal(every_store, "a2", "03" * 16)
    with every_store.reading() as connection:
        linked = dict(connection.execute(select(items.c.id, items.c.appealed_id).where(items.c.kind == "appeal")).all())
    assert linked == {first: unanswered, second: answered}


def test_a_key_waits_until_its_oldest_appeal_of_the_hour_is_an_hour_old(every_store: Store) -> None:
    """Another key does not wait with it."""
    for i in range(3):
        appeal(every_store, f"a{i}", f"{i:02}" * 16, at_ms=NOW + i)
    with every_store.reading() as connection:
        assert wait_ms(connection, "coral", 3, NOW + 10) == HOUR_MS - 10
        assert wait_ms(connection, "coral", 4, NOW + 10) == 0
        assert wait_ms(connection, "other", 3, NOW + 10) == 0
        assert wait_ms(connection, "coral", 3, NOW + HOUR_MS) == 0


def test_shares_are_of_what_was_answered_and_can_no_longer_be_taken_back(every_store: Store) -> None:
    """A caller without answers has no share."""
    ids = [appeal(every_store, f"a{i}", f"{i:02}" * 16) for i in range(3)]
    appeal(every_store, "b1", "0b" * 16, caller="reef")
    with every_store.reading() as connection:
        assert [one.n_answered for one in reliabilities(connection, NOW)] == [0, 0]
    # The shared verdict says allow.
    answer(every_store, ids[0], "block")
    answer(every_store, ids[1], "allow")
    with every_store.reading() as connection:
        coral, reef = reliabilities(connection, NOW)
        early, _ = reliabilities(connection, NOW - 1)
    assert (coral.caller, coral.n, coral.n_answered, coral.n_accepted, coral.share) == ("coral", 3, 2, 1, 0.5)
    assert (reef.caller, reef.n, reef.share, reef.low, reef.high) == ("reef", 1, None, 0.0, 1.0)
    assert early.n_answered == 0


def test_an_appeal_of_a_chat_that_was_erased_first_says_nothing_of_its_caller(every_store: Store) -> None:
    """Nobody looked again, so it counts neither as right nor as wrong; its answer is on its way as any other."""
    item_id = appeal(every_store, "a1", "0a" * 16)
    with every_store.writing() as connection:
        address = {"webhook_url": "https://hooks.example/x"}
        connection.execute(update(appeals).where(appeals.c.item_id == item_id).values(address))
        answer_erased(connection, [item_id], NOW)
    with every_store.reading() as connection:
        (coral,) = reliabilities(connection, NOW)
        found = appeal_of(connection, "a1")
        assert found is not None
        assert told(connection, found) == "waiting"
    assert (coral.n, coral.n_answered, coral.share) == (1, 0, None)
    assert (found.answered_ms, found.outcome, found.decision) == (NOW, "erased", None)

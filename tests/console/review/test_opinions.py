"""Second opinions: independent, published when they agree, settled by a third person when they do not."""

import pytest

from console.review.errors import Conflict
from console.review.item import Wish
from console.review.shown import shown_claim
from console.store.store import Store
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import item_row, outbox_of, put, sample_row
from tests.console.review.test_answering import BLOCK, answered


def test_nothing_is_sent_before_the_wanted_opinions_agree(open_queue: OpenQueue, store: Store) -> None:
    """Then one override, and a report by each."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    taken = answered(queue, item_id)
    assert (taken.item.state, taken.sends_at_ms, outbox_of(store)) == ("open", None, [])
    assert answered(queue, item_id, reviewer="bob").item.state == "done"
    sent = [(kind, body.get("reporter", body.get("actor"))) for kind, body, _ in outbox_of(store)]
    assert sent == [("override_set", "bob"), ("feedback", "ann"), ("feedback", "bob")]


def test_nobody_gives_two_opinions_on_an_item(open_queue: OpenQueue, store: Store) -> None:
    """Whoever has answered sees it no longer."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    answered(queue, item_id)
    assert (queue.page("ann").items, queue.page("ann").total, queue.claim_next("ann")) == ([], 0, None)
    with pytest.raises(Conflict) as refused:
        queue.claim(item_id, "ann")
    assert refused.value.decided_by == "ann"


def test_two_may_hold_an_item_that_wants_two_opinions(open_queue: OpenQueue, store: Store) -> None:
    """A third may not, and nobody sees the other's name while there is a place."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    queue.claim(item_id, "ann")
    assert queue.page("bob").items[0].claimed_by is None
    queue.claim(item_id, "bob")
    with pytest.raises(Conflict):
        queue.claim(item_id, "cid")


def test_the_second_reviewer_learns_nothing_of_the_first(open_queue: OpenQueue, store: Store) -> None:
    """Neither answer nor note nor name."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    answered(queue, item_id, Wish("block", reason="other", note="a note"))
    document = repr(shown_claim(queue.claim(item_id, "bob")))
    assert "a note" not in document
    assert "ann" not in document


def test_a_blind_item_shows_nothing_of_the_models(open_queue: OpenQueue, store: Store) -> None:
    """Neither category nor scores nor what would lead to them."""
    queue = open_queue()
    (item_id,) = put(store, sample_row(7))
    item = shown_claim(queue.claim(item_id, "ann"))["item"]
    assert item["codes"] == ["A", "B", "M"]
    hidden = (
        "chat_id",
        "verdict_id",
        "category",
        "evidence",
        "risk",
        "policies",
        "fingerprint",
        "source",
        "decided_ms",
    )
    assert [item[name] for name in hidden] == [None] * len(hidden)


@pytest.mark.parametrize("second", [Wish("allow"), Wish("block", category="A", reason="other")])
def test_a_disagreement_waits_for_an_adjudicator_whose_answer_is_final(
    open_queue: OpenQueue, store: Store, second: Wish
) -> None:
    """Over outcome or category; the adjudicator sees both opinions without their names."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    answered(queue, item_id, Wish("block", category="M", reason="other"))
    assert answered(queue, item_id, second, "bob").item.is_disputed
    assert outbox_of(store) == []
    claim = queue.claim(item_id, "cid")
    assert {opinion.outcome for opinion in claim.opinions} == {"block", second.outcome}
    assert "ann" not in repr(shown_claim(claim))
    with pytest.raises(Conflict) as refused:
        queue.claim(item_id, "dan")
    assert refused.value.claimed_by == "cid"
    assert queue.answer(item_id, "cid", claim.token, Wish("allow")).item.state == "done"
    sent = [(kind, body.get("reporter", body.get("actor"))) for kind, body, _ in outbox_of(store)]
    assert sent == [("override_set", "cid"), ("feedback", "cid")]


def test_an_admin_settles_a_dispute_that_they_are_part_of(open_queue: OpenQueue, store: Store) -> None:
    """A team of two could not settle any otherwise; a plain reviewer may not."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    answered(queue, item_id)
    answered(queue, item_id, Wish("allow"), "bob")
    with pytest.raises(Conflict):
        queue.claim(item_id, "ann")
    assert [item.id for item in queue.page("ann", is_admin=True).items] == [item_id]
    claim = queue.claim_next("ann", is_admin=True)
    assert claim is not None
    assert queue.answer(item_id, "ann", claim.token, BLOCK).item.state == "done"

"""One console sends at a time."""

from console.outbox.holding import Holding
from console.store.store import Store
from testkit.waiting import wait_until


def test_a_lease_is_one_consoles_until_it_gives_it_back(store: Store) -> None:
    """Asked all the time it is renewed now and then, and not by a write each time."""
    clock = [0.0]
    first = Holding(store, "outbox", "a", clock=lambda: clock[0])
    second = Holding(store, "outbox", "b")
    assert first.is_mine()
    assert not second.is_mine()
    clock[0] += 5
    assert first.is_mine()
    first.give_back()
    first.give_back()
    assert second.is_mine()
    assert not first.is_mine()


def test_a_holder_that_died_is_followed_by_another(store: Store) -> None:
    """Its lease runs out."""
    dead = Holding(store, "outbox", "a", for_ms=1)
    assert dead.is_mine()
    wait_until(Holding(store, "outbox", "b").is_mine)

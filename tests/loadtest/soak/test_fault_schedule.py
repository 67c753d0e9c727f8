"""Random faults from a seed: repeatable, all kinds, never two of one part at once."""

import itertools

from loadtest.soak.fault_schedule import FaultKind, PlannedFault, planned_faults

N_FAULTS = 400


def first(seed: int) -> list[PlannedFault]:
    """Return the first faults of a seed."""
    return list(itertools.islice(planned_faults(seed), N_FAULTS))


def test_the_same_seed_strikes_the_same_and_another_one_does_not() -> None:
    """A run that broke something can be had again."""
    assert first(7) == first(7)
    assert first(7) != first(8)


def test_every_kind_strikes_in_the_order_of_time() -> None:
    """A kind that never came would be a fault that nobody has looked at."""
    found = first(1)
    assert {fault.kind for fault in found} == set(FaultKind)
    assert [fault.at_s for fault in found] == sorted(fault.at_s for fault in found)


def test_one_part_is_struck_once_at_a_time_and_different_ones_together() -> None:
    """Two brokers of three away at once leave no cluster; a broker and Redis away at once is what must be survived."""
    found = first(1)
    by_part: dict[str, list[PlannedFault]] = {}
    for fault in found:
        by_part.setdefault(fault.part, []).append(fault)
    for faults in by_part.values():
        assert all(one.at_s + one.hold_s < other.at_s for one, other in itertools.pairwise(faults))
    assert any(one.at_s + one.hold_s > other.at_s for one, other in itertools.pairwise(found))

"""The adaptive record limit."""

from hypothesis import given
from hypothesis import strategies as st

from worker.batch_size import BatchSize
from worker.settings.batch import BatchSettings

SETTINGS = BatchSettings(max_records=1_000, thin_s=0.1, lagging_s=1.0)


def settled(seconds_per_record: float, *, lag_records: int) -> BatchSize:
    """Return a limit that has seen many batches of one kind."""
    size = BatchSize(SETTINGS)
    for _ in range(60):
        n_records = size.limit()
        size.observe(n_records=n_records, duration_s=n_records * seconds_per_record, lag_records=lag_records)
    return size


@given(observations=st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 1e4), st.integers(0, 10**9)), max_size=50))
def test_the_limit_stays_within_its_bounds(observations: list[tuple[int, float, int]]) -> None:
    """Whatever was measured, the next batch takes at least one record and at most the setting."""
    size = BatchSize(SETTINGS)
    for n_records, duration_s, lag_records in observations:
        size.observe(n_records=n_records, duration_s=duration_s, lag_records=lag_records)
        assert 1 <= size.limit() <= SETTINGS.max_records


def test_batches_are_short_while_the_worker_keeps_up_and_long_while_records_queue() -> None:
    """Latency in thin traffic, throughput under lag: about a tenth of a second, about a second."""
    assert 15 <= settled(0.005, lag_records=0).limit() <= 20
    assert 190 <= settled(0.005, lag_records=100_000).limit() <= 200


def test_cheap_records_come_in_larger_batches() -> None:
    """A cache hit costs microseconds, a miss milliseconds."""
    assert settled(0.0001, lag_records=0).limit() > 20 * settled(0.005, lag_records=0).limit()


def test_a_batch_that_was_dear_makes_the_next_one_smaller() -> None:
    """F12: a stalling model must not run into the transaction timeout with full batches."""
    size = settled(0.001, lag_records=0)
    before = size.limit()
    size.observe(n_records=before, duration_s=before * 0.05, lag_records=0)
    assert size.limit() < before / 5


def test_the_first_batch_after_a_start_is_small() -> None:
    """A worker that was killed for its memory finds the same records again, and must get some of them done."""
    assert BatchSize(SETTINGS).limit() <= 5

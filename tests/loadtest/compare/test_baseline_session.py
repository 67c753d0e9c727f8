from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare import baseline_session
from model import batching


@settings(deadline=None)  # the machine may be busy
@given(
    lengths=st.lists(st.integers(min_value=0, max_value=512), max_size=200),
    max_padded_tokens=st.integers(min_value=1, max_value=4_096),
    max_rows=st.integers(min_value=1, max_value=64),
)
def test_the_baseline_session_batches_by_the_workers_rule(
    lengths: list[int], max_padded_tokens: int, max_rows: int
) -> None:
    """The ratio of worker to session means something only where both compute the same batches."""
    limits = {"max_padded_tokens": max_padded_tokens, "max_rows": max_rows}
    assert baseline_session.plan_batches(lengths, **limits) == batching.plan_batches(lengths, **limits)

"""By when a chat has left a topic: what its settings promise, at worst."""

import pytest

from worker.kafka.topic_cleanup import cleanup_in

DAY = 86_400_000
ENDLESS = str(2**63 - 1)
KAFKAS_OWN = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * DAY),
    "segment.ms": str(7 * DAY),
    "max.compaction.lag.ms": ENDLESS,
    "delete.retention.ms": str(DAY),
}


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        pytest.param({}, 14, id="a segment may take records for as long as they are kept"),
        pytest.param({"segment.ms": str(DAY)}, 8, id="closed after a day"),
        pytest.param({"retention.ms": "-1"}, None, id="kept for ever"),
        pytest.param({"retention.ms": ENDLESS}, None, id="kept for longer than anybody lives"),
        pytest.param({"cleanup.policy": "compact"}, None, id="the newest segment is never compacted"),
        pytest.param({"cleanup.policy": "compact", "max.compaction.lag.ms": str(DAY)}, 3, id="compacted in time"),
        pytest.param(
            {"cleanup.policy": "compact,delete", "max.compaction.lag.ms": str(30 * DAY)},
            14,
            id="both, whichever is first",
        ),
    ],
)
def test_the_bound_is_what_brokers_do_at_worst(settings: dict[str, str], days: int | None) -> None:
    """Whoever answers a request for erasure names a day, and it must hold."""
    found = cleanup_in(KAFKAS_OWN | settings).gone_after_ms
    assert (None if found is None else found // DAY) == days


@pytest.mark.parametrize(("policy", "is_compacted"), [("delete", False), ("compact", True), ("delete, compact", True)])
def test_a_topic_with_both_policies_is_compacted(policy: str, is_compacted: bool) -> None:
    """Its tombstones take effect."""
    assert cleanup_in(KAFKAS_OWN | {"cleanup.policy": policy}).is_compacted is is_compacted

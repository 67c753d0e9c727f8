"""How far the workers are behind, by what the brokers say."""

from console.pipeline.live.lag import GroupLag, lag_of


def test_lag_is_what_lies_behind_the_committed_offset() -> None:
    """A partition without a committed offset has a lag that nobody knows; one that was cut has none."""
    found = lag_of({("t", 1): 50, ("t", 0): 10, ("t", 2): 7}, {("t", 0): 4, ("t", 1): 60})
    assert [(one.partition, one.lag) for one in found] == [(0, 6), (1, 0), (2, None)]
    assert GroupLag("g", "t", found, None).total == 6
    assert GroupLag("g", "t", lag_of({("t", 0): 5}, {}), None).total is None
    assert GroupLag("g", "t", found, []).document()["partitions"][0] == {
        "partition": 0,
        "committed": 4,
        "high": 10,
        "lag": 6,
    }

"""The partition of a key."""

import pytest

from worker.kafka.murmur2 import partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a_key_has_the_partition_that_javas_producer_gives_it(key: bytes, signed: int) -> None:
    """The hashes are those of Kafka's own tests (UtilsTest.testMurmur2); another one would look in the wrong place."""
    for n_partitions in (1, 3, 12, 1_000):
        assert partition_of(key, n_partitions) == (signed & 0x7FFFFFFF) % n_partitions

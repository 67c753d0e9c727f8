"""The partition that Java's producer chooses for a key, written down apart from any client.

Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive, BuiltInPartitioner.partitionForKey.
"""

_M = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Return the hash as an unsigned number of 32 bits."""
    found = _SEED ^ len(key)
    whole = len(key) - len(key) % 4
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        part = (part ^ (part >> 24)) * _M & _MASK
        found = (found * _M & _MASK) ^ part
    if len(key) > whole:
        found = (found ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    found = (found ^ (found >> 13)) * _M & _MASK
    return found ^ (found >> 15)


def java_partition(key: bytes, n_partitions: int) -> int:
    """Return the partition of a key."""
    return (murmur2(key) & 0x7FFFFFFF) % n_partitions

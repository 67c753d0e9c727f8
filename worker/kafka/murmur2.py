"""The partition of a key, as Java's producer and the worker's own (`partitioner: murmur2_random`) choose it. Pure.

The client library has the hash and does not offer it.

Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
"""

from typing import Final

_FACTOR: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_BITS_32: Final = 0xFFFFFFFF
_BITS_31: Final = 0x7FFFFFFF
_WORD_BYTES: Final = 4


def partition_of(key: bytes, n_partitions: int) -> int:
    """Return the partition in which a record with this key lies, of a topic that always had so many."""
    return (murmur2(key) & _BITS_31) % n_partitions


def murmur2(key: bytes) -> int:
    """Return the hash as an unsigned number of 32 bits."""
    n_whole = len(key) - len(key) % _WORD_BYTES
    found = _SEED ^ len(key)
    for at in range(0, n_whole, _WORD_BYTES):
        word = int.from_bytes(key[at : at + _WORD_BYTES], "little") * _FACTOR & _BITS_32
        word = (word ^ (word >> 24)) * _FACTOR & _BITS_32
        found = (found * _FACTOR & _BITS_32) ^ word
    if n_whole < len(key):
        found = (found ^ int.from_bytes(key[n_whole:], "little")) * _FACTOR & _BITS_32
    found = (found ^ (found >> 13)) * _FACTOR & _BITS_32
    return found ^ (found >> 15)

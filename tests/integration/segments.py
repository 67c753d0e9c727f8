"""What lies on a topic as it lies there: the batches of a broker's segment files, which no client shows."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
"""Names by number, as the batch attributes have them."""

_HEADER: Final = struct.Struct(">qiibIh")
"""First fields of a record batch v2: base offset, length of what follows, leader epoch, magic, checksum, attributes."""
_LENGTH_FROM: Final = 12
_IS_CONTROL: Final = 1 << 5
_RECORDS_FROM: Final = 61
"""Where a batch's records begin."""
_CODEC_HEADER_BYTES: Final = 10
"""At least so much of what a codec writes is its own header."""


class Batch(NamedTuple):
    """One record batch that holds records of a producer, no transaction marker."""

    codec: str
    n_bytes: int


def batches(data_dir: Path, topic: str) -> Iterator[Batch]:
    """Yield the batches of a topic, from every copy in a stack's data folder."""
    for path in sorted(data_dir.glob(f"**/{topic}-*/*.log")):
        raw, at = path.read_bytes(), 0
        while at + _HEADER.size <= len(raw):
            _, length, _, magic, _, attributes = _HEADER.unpack_from(raw, at)
            if length <= 0:
                break
            assert magic == 2, f"{path}: a batch of format {magic}; expected 2"
            if not attributes & _IS_CONTROL:
                yield Batch(CODECS[attributes & 7], length + _LENGTH_FROM)
            at += length + _LENGTH_FROM


def damage_first_batch(data_dir: Path, topic: str, partition: int) -> None:
    """Change what the first batch of a partition holds, behind its header, in every copy; no broker may run."""
    for path in data_dir.glob(f"**/{topic}-{partition}/*.log"):
        raw = bytearray(path.read_bytes())
        _, length, *_ = _HEADER.unpack_from(raw)
        first = _RECORDS_FROM + _CODEC_HEADER_BYTES
        for at in range(first, min(first + 50, length + _LENGTH_FROM)):
            raw[at] ^= 0xFF
        path.write_bytes(raw)

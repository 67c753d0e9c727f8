"""What a record costs once it is decoded, told from its bytes before any object is made.

A JSON value takes 16 to 250 bytes of Python for one or two bytes of text, so the size of a record says little about
its memory; the number of its values does.

Invariant: of bytes that `n_values` puts at `enough` or less, JSON or not, no parser makes more values than that.
"""

from typing import Final

_NEITHER_QUOTE_NOR_OPENING: Final = bytes(set(range(256)) - set(b'",[{'))
_BYTES_PER_BYTE: Final = 4
"""One emoji makes four bytes of every letter of its text."""
_BYTES_PER_VALUE: Final = 130
"""A value of a message, with its share of the message's dict and turn; measured."""
_COUNTED_FROM_BYTES: Final = 16_000
"""Shorter records are not counted: a batch of them weighs little, whatever is in them."""


def n_values(raw: bytes, *, enough: int) -> int:
    """Return how many values a JSON document has, or a bound: an upper one up to `enough`, a lower one above it.

    Args:
        raw: The document.
        enough: On which side of this the number lies is exact.
    """
    bound = _n_openings(raw)
    if bound <= enough:
        return bound
    # Pairs of backslashes first, so that what stands before a quote escapes it.
    plain = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    n_strings = plain.count(b'"') // 2
    if n_strings // 2 > enough:
        # A member of an object has two strings, its key and its value; nothing has more.
        return n_strings // 2
    # Two quotes with nothing between them leave every other character inside or outside of a string as it was.
    quoted = plain.translate(None, _NEITHER_QUOTE_NOR_OPENING).replace(b'""', b"")
    return _n_openings(b"".join(quoted.split(b'"')[::2]))


def _n_openings(raw: bytes) -> int:
    return 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def estimated_decoded_bytes(raw: bytes | None) -> int:
    """Return about how much memory a record takes while it is decoded, in bytes."""
    if raw is None:
        return 0
    size = _BYTES_PER_BYTE * len(raw)
    return size if len(raw) < _COUNTED_FROM_BYTES else size + _BYTES_PER_VALUE * _n_openings(raw)

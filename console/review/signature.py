"""What is kept of a text so that near-identical ones are found: 64 short numbers, from which nobody reads the text.

MinHash over the set of a text's 5-grams: the share of numbers that two signatures have in common estimates the Jaccard
index of both sets, with a standard error of at most .0625. The hash is keyed: whoever has the database without the key
can try no words on it. Four numbers make a band. Texts that share a band are candidates: at a likeness of .8 all pairs
but one in 4,000 do, at .5 two in three.

Source: Broder, "On the resemblance and containment of documents" (1997); bands as in Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.windowing import normalise
from schemas import Role, Turn

BANDS: Final = 16
_ROWS: Final = 4
"""Numbers of a band, 16 bits each: a band is one 64-bit integer."""
_GRAM: Final = 5
"""Characters."""
_MOST_CHARACTERS: Final = 20_000
"""The newest of a chat that are compared: about 20 ms of one core."""
_HASH_BYTES: Final = 8
_WRITERS: Final = frozenset({Role.USER, Role.ASSISTANT})
"""All chats of a product begin with the same instructions, which would make them alike."""

Signature = tuple[int, ...]
"""One signed 64-bit integer a band."""


def signature_of(turns: Iterable[Turn], key: bytes) -> Signature | None:
    """Return the signature of what users and assistants wrote; None where that is nothing.

    Args:
        turns: Oldest first.
        key: Secret; signatures under different keys have nothing in common.
    """
    said = "\n".join(normalise(turn.text).casefold() for turn in turns if turn.role in _WRITERS)[-_MOST_CHARACTERS:]
    if not said.strip():
        return None
    grams = {said[at : at + _GRAM] for at in range(max(1, len(said) - _GRAM + 1))}
    keyed = hashlib.blake2b(key=hashlib.blake2b(key, person=b"vs-similar-1").digest(), digest_size=_HASH_BYTES)
    hashes = np.frombuffer(b"".join(_digest(keyed, gram) for gram in grams), dtype="<u8")
    drawn = b"".join(_digest(keyed, f"permutation {i}") for i in range(BANDS * _ROWS))
    # An odd factor permutes the numbers below 2^64; which factors is secret as well.
    factors = np.frombuffer(drawn, dtype="<u8") | np.uint64(1)
    smallest = np.array([(hashes * factor).min() for factor in factors])
    short = (smallest & np.uint64(0xFFFF)).astype("<u2")
    return tuple(int(band) for band in short.view("<i8"))


def likenesses(signature: Signature, others: Sequence[Signature]) -> NDArray[np.float64]:
    """Return how alike texts are to one, 0 to 1.

    Args:
        signature: Of the one.
        others: Of the others.

    Returns:
        float64 [others]; 1 is the same set of 5-grams.
    """
    if not others:
        return np.zeros(0)
    one = np.array(signature, dtype="<i8").view("<u2")
    many = np.array(others, dtype="<i8").view("<u2").reshape(len(others), -1)
    shares: NDArray[np.float64] = (many == one).mean(axis=1)
    return shares


def _digest(keyed: "hashlib.blake2b", text: str) -> bytes:
    one = keyed.copy()
    # An event may hold half of a surrogate pair.
    one.update(text.encode("utf-8", "surrogatepass"))
    return one.digest()

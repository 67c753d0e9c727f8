"""Find chats that say nearly the same, by Jaccard similarity of word 3-shingles.

MinHash LSH (datasketch) proposes candidates and the exact similarity of the shingle sets decides, so a hash never
removes a chat by itself. A script written without spaces counts each character as a word.

Invariant: a pair that is reported has an exact Jaccard similarity of at least the threshold. LSH may miss a pair close
to the threshold; from 0.1 above it a miss is rare.
Source: Broder, "On the resemblance and containment of documents" (1997); datasketch's MinHashLSH.
"""

import re
from typing import Final

from datasketch import MinHash, MinHashLSH

DEFAULT_THRESHOLD: Final = 0.7
_N_PERMUTATIONS: Final = 128
_SHINGLE_WORDS: Final = 3
_MAX_LSH_THRESHOLD: Final = 0.95
"""Above it datasketch finds no workable number of bands; the exact comparison decides anyway."""
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]|\w+")

Shingles = frozenset[str]


def shingles(text: str) -> Shingles:
    """Return the word 3-shingles of a text, case folded; of a shorter text all its words as one."""
    words = _WORD.findall(text.casefold()) or [text.casefold().strip()]
    if len(words) < _SHINGLE_WORDS:
        return frozenset({" ".join(words)})
    return frozenset(" ".join(words[i : i + _SHINGLE_WORDS]) for i in range(len(words) - _SHINGLE_WORDS + 1))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Return the similarity of two sets, 0..1."""
    n_common = len(one & other)
    return n_common / (len(one) + len(other) - n_common)


class NearDuplicateIndex:
    """Texts seen so far, by number, and which of them a new text resembles.

    Args:
        threshold: Jaccard similarity from which two texts count as the same, above 0 and at most 1.
        seed: Of the hash permutations; the same seed finds the same pairs.
    """

    def __init__(self, threshold: float, *, seed: int = 1) -> None:
        self._threshold = threshold
        self._seed = seed
        # Recall counts four times as much as precision: a false candidate costs one exact comparison, a miss is final.
        self._lsh = MinHashLSH(
            threshold=min(threshold, _MAX_LSH_THRESHOLD), num_perm=_N_PERMUTATIONS, weights=(0.2, 0.8)
        )
        self._shingles: dict[int, Shingles] = {}

    def similar_then_add(self, number: int, found: Shingles, *, only_if_new: bool) -> list[tuple[int, float]]:
        """Return (number, similarity) of known texts at or above the threshold, most similar first, and add this one.

        With `only_if_new` it is added only where the answer is empty.
        """
        hashed = self._hash(found)
        pairs = sorted(
            (
                (known, value)
                for known in self._lsh.query(hashed)
                if (value := jaccard(found, self._shingles[known])) >= self._threshold
            ),
            key=lambda pair: (-pair[1], pair[0]),
        )
        if not (pairs and only_if_new):
            self._lsh.insert(number, hashed, check_duplication=False)
            self._shingles[number] = found
        return pairs

    def _hash(self, found: Shingles) -> MinHash:
        hashed = MinHash(num_perm=_N_PERMUTATIONS, seed=self._seed)
        hashed.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in found])
        return hashed

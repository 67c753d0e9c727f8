"""Near-duplicates by Jaccard similarity of word 3-shingles."""

import random

import pytest

from training_pipeline.data.near_duplicates import NearDuplicateIndex, jaccard, shingles

WORDS = [f"word{i}" for i in range(400)]


def variant(words: list[str], n_changed: int, rng: random.Random) -> list[str]:
    """Return the words with some of them replaced."""
    changed = list(words)
    for place in rng.sample(range(len(words)), n_changed):
        changed[place] = f"other{rng.random()}"
    return changed


def test_jaccard_of_shingles_by_hand() -> None:
    """Two of four distinct shingles in common is one half."""
    assert shingles("The cat sat. DOWN") == {"the cat sat", "cat sat down"}
    assert jaccard(shingles("a b c d e"), shingles("a b c d x")) == 2 / 4
    assert shingles("Hello!") == {"hello"}
    assert jaccard(shingles(""), shingles("  ")) == 1.0


def test_scripts_without_spaces_have_shingles_too() -> None:
    """Otherwise every Chinese chat would be one word and near-duplicates of it never found."""
    assert jaccard(shingles("美联储本月将加息多少个基点"), shingles("美联储本月将加息多少基点")) > 0.5


def test_the_index_finds_what_comparing_all_pairs_finds() -> None:
    """LSH is a shortcut: it must not report a pair that is not one, and hardly ever miss one."""
    rng = random.Random(3)  # noqa: S311  made-up words, no secrets
    texts = []
    for _ in range(60):
        base = rng.choices(WORDS, k=40)
        texts += [" ".join(base), " ".join(variant(base, rng.randint(0, 6), rng))]
    sets = [shingles(text) for text in texts]
    expected = {(i, j) for i in range(len(sets)) for j in range(i) if jaccard(sets[i], sets[j]) >= 0.7}
    index = NearDuplicateIndex(0.7)
    found = {(i, j) for i, one in enumerate(sets) for j, _ in index.similar_then_add(i, one, only_if_new=False)}
    assert found <= expected
    assert len(expected) >= 20
    assert len(found) >= 0.95 * len(expected)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9, 1.0])
def test_identical_texts_are_found_at_any_threshold(threshold: float) -> None:
    """The threshold's upper end is where parameters of the LSH degenerate."""
    index = NearDuplicateIndex(threshold)
    index.similar_then_add(0, shingles("one two three four five"), only_if_new=True)
    assert index.similar_then_add(1, shingles("one two three four five"), only_if_new=True) == [(0, 1.0)]

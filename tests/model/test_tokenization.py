"""Tokens: what users type is text, and what is cut is the oldest."""

import pytest

from model import Bundle
from model.tokenization import ConversationTokenizer


@pytest.fixture(scope="module")
def tokenizer(bundle: Bundle) -> ConversationTokenizer:
    """Return the shipped tokenizer with short rows."""
    return ConversationTokenizer(bundle.tokenizer_json, max_tokens=16)


@pytest.mark.parametrize("special", ["[SEP]", "[PAD]", "[CLS]", "[MASK]", "[UNK]"])
def test_a_special_token_that_a_user_types_is_text(tokenizer: ConversationTokenizer, special: str) -> None:
    """Nobody may end, pad or mask a row from inside a message."""
    plain, typed = tokenizer.encode(["safe", f"safe {special} safe"])
    first, last = plain[0], plain[-1]
    inner = typed[1:-1]
    assert (typed[0], typed[-1]) == (first, last)
    assert not {first, last, tokenizer.pad_id} & set(inner.tolist())
    assert len(inner) > 3


def test_truncation_drops_the_oldest_tokens(tokenizer: ConversationTokenizer) -> None:
    """The latest user turn decides the category, and it stands last."""
    words = [f"{word}" for word in ("alpha", "beta", "gamma", "delta") for _ in range(10)]
    (long_row,) = tokenizer.encode([" ".join(words) + " the end"])
    (end,) = tokenizer.encode(["the end"])
    assert len(long_row) == tokenizer.max_tokens
    assert long_row[0] == end[0]
    assert long_row[-3:].tolist() == end[-3:].tolist()


def test_a_row_is_as_long_as_its_text(tokenizer: ConversationTokenizer) -> None:
    """Rows are padded per batch, never here."""
    short, longer = tokenizer.encode(["a", "a b c d"])
    assert len(short) == 3
    assert len(longer) == 6


def test_an_empty_text_still_has_a_row(tokenizer: ConversationTokenizer) -> None:
    """A message whose characters are all invisible renders to its role mark alone, and must not break the batch."""
    rows = tokenizer.encode(["", "user: "])
    assert [len(row) >= 2 for row in rows] == [True, True]

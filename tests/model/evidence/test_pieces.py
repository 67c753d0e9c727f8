"""What users said is cut so that nothing hides between the pieces, and hostile texts cost no more than long ones."""

import re
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evidence.pieces import PieceRule, pieces_of
from model.windowing import Windowing
from schemas import Role, Turn

RULE = PieceRule(max_pieces=112, piece_characters=400, shortest_piece_characters=40, covered_characters=20_000)
WINDOWING = Windowing()
FILLER = "The quick brown fox jumps over the lazy dog. "
NUMBERS = " ".join(f"sentence {i} of many." for i in range(500))
REQUEST = "Tell me where the treasure of the old captain is buried, please."


def user(*texts: str) -> list[Turn]:
    """Return a conversation of user messages."""
    return [Turn(Role.USER, text) for text in texts]


def cut(*texts: str, rule: PieceRule = RULE) -> list[str]:
    """Return the pieces of user messages, which must cover them."""
    pieces = pieces_of(user(*texts), rule, WINDOWING)
    assert pieces.is_covered
    return pieces.texts


@pytest.mark.parametrize("text", ["hello", "one line\nanother line", "x" * 390, "!?"])
def test_a_single_message_that_the_window_shows_in_full_has_no_pieces(text: str) -> None:
    """An ordinary chat costs nothing more."""
    assert cut(text) == []


def test_only_users_are_cut() -> None:
    """What systems, tools and assistants say is context, however long it is."""
    turns = [Turn(Role.SYSTEM, FILLER * 20), *user("hello"), Turn(Role.ASSISTANT, FILLER * 1_000)]
    assert pieces_of(turns, RULE, WINDOWING) == ([], True)
    assert pieces_of([Turn(Role.ASSISTANT, FILLER * 1_000)], RULE, WINDOWING) == ([], True)


def test_earlier_messages_are_pieces_and_equal_ones_are_one() -> None:
    """A banned request is evidence after any number of "continue"."""
    pieces = cut(REQUEST, *["continue"] * 9)
    assert pieces == ["continue", REQUEST]


def test_code_and_prose_are_pieces_apart() -> None:
    """A harmless code block must not speak for the request before it."""
    assert cut(f"{REQUEST}\n```python\nprint('hello')\n```\nThanks a lot for all of this, it helps me very much!") == [
        REQUEST,
        "print('hello')",
        "Thanks a lot for all of this, it helps me very much!",
    ]


def test_quoted_lines_are_a_piece_apart() -> None:
    """As people quote mail."""
    answer = "I do not agree with that at all, and I said so."
    assert cut(f"> {REQUEST}\n> {REQUEST}\n{answer}") == [f"> {REQUEST} > {REQUEST}", answer]


@pytest.mark.parametrize("border", ["\n\n", " ", "\n \t\n", "\n```\n", "~~~", "\n> "])
@pytest.mark.parametrize("n_filler", [10, 100, 190])
def test_a_passage_in_the_middle_stands_in_a_piece_of_bounded_length(border: str, n_filler: int) -> None:
    """Wherever it is, no more than a piece of other text stands beside it."""
    pieces = cut(border.join((FILLER * n_filler, REQUEST, FILLER * n_filler)))
    assert max(map(len, pieces)) <= RULE.piece_characters
    assert any(REQUEST.split(", please", maxsplit=1)[0] in piece for piece in pieces)


def test_more_than_is_covered_is_said() -> None:
    """What lies beyond was not judged; both ends of the message that did not fit were."""
    text = f"{REQUEST} {FILLER * 45_000} {REQUEST}"
    pieces = pieces_of(user("an earlier message", text), RULE, WINDOWING)
    assert not pieces.is_covered
    assert pieces.texts[0].startswith(REQUEST)
    assert pieces.texts[-1].endswith(REQUEST)
    assert sum(map(len, pieces.texts)) <= RULE.covered_characters


def test_many_paragraphs_are_joined_until_they_fit() -> None:
    """Hundreds of short lines cost as much as one long text."""
    pieces = cut("\n\n".join(f"paragraph number {i} of a long list that goes on" for i in range(300)))
    assert len(pieces) <= RULE.max_pieces
    assert "paragraph number 299 of" in pieces[-1]


def test_more_pieces_than_allowed_are_left_out_and_said() -> None:
    """A bundle may read less than it covers."""
    pieces = pieces_of(user(NUMBERS), RULE.model_copy(update={"max_pieces": 3}), WINDOWING)
    assert len(pieces.texts) == 3
    assert not pieces.is_covered


def test_a_character_that_becomes_many_is_counted_as_many() -> None:
    """U+FDFA is eighteen when it is normalised: 20,000 of them would be 2,000 rows."""
    pieces = pieces_of(user("".join(f"\ufdfa{i}" for i in range(3_000))), RULE, WINDOWING)
    assert sum(map(len, pieces.texts)) <= RULE.covered_characters
    assert not pieces.is_covered


def written_with(first: str, text: str) -> str:
    """Return a text in capital letters of another kind, the first of which is given."""
    return "".join(chr(ord(first) + ord(letter) - ord("a")) if letter.isalpha() else letter for letter in text)


@pytest.mark.parametrize(
    "first", ["\u249c", "\u24b6", "\u24d0", "\U0001f130", "\U0001f150", "\U0001f170", "\U0001f1e6"]
)
def test_letters_in_circles_squares_or_brackets_are_read(first: str) -> None:
    """Python calls them symbols, a reader calls them letters."""
    shown = re.sub(r"[^a-z ]", "", REQUEST.lower())
    hidden = written_with(first, shown)
    found = [re.sub(r"[^a-z ]", "", piece.lower()) for piece in cut(f"{FILLER * 20}\n\n{hidden}\n\n{FILLER * 20}")]
    assert shown in found


def test_a_short_message_that_is_long_when_normalised_is_read_in_full() -> None:
    """What the window cuts out of it must stand in a piece."""
    middle = written_with("\u249c", "treasure")
    (piece,) = cut("\ufdfa" * 30 + middle + "\ufdfa" * 30)
    assert "(t)(r)(e)(a)(s)(u)(r)(e)" in piece


def test_words_behind_many_fences_are_no_languages() -> None:
    """One word behind each fence would hide a request of any length."""
    spelled = "".join(f"```{word}\n" for word in re.sub(r"[^A-Za-z ]", "", REQUEST).split())
    found = " ".join(cut(f"{FILLER * 20}\n{spelled}\n{FILLER * 20}"))
    assert "Tell me where the treasure of the old captain is buried please" in found
    long_name = "where.the.old.treasure.is"
    assert any(long_name in piece for piece in cut(f"{FILLER * 20}\n```{long_name}\n{FILLER * 20}\n```"))


BORDERS = st.sampled_from([" ", "\n", "\n\n", ". ", "\n```\n", "~~~", "\n> ", "\u3002", "", "\n \n", "``", "\u00e9"])


@settings(max_examples=200)
@given(st.lists(st.lists(BORDERS, min_size=1, max_size=150), min_size=1, max_size=4), st.integers(1, 60))
def test_every_letter_stands_in_a_piece(messages: list[list[str]], max_pieces: int) -> None:
    """Property: of covered messages nothing is lost, and never are there more pieces than allowed."""
    words = [[f"{{{i}.{j}}}" for j in range(len(borders))] for i, borders in enumerate(messages)]
    texts = ["".join(chain(*zip(said, borders, strict=True))) for said, borders in zip(words, messages, strict=True)]
    rule = PieceRule(max_pieces=max_pieces, piece_characters=80, shortest_piece_characters=20)
    pieces = pieces_of(user(*texts), rule, WINDOWING)
    assert len(pieces.texts) <= max_pieces
    if pieces.is_covered and pieces.texts:
        found = re.sub(r"\s", "", "".join(pieces.texts))
        assert all(word in found for word in chain(*words))


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 2_000_000,
        " \n" * 1_000_000,
        "`" * 2_000_000,
        ">" * 2_000_000,
        "\n>" * 1_000_000,
        ". " * 1_000_000,
        "a" * 2_000_000,
        "a" + "\u0301\u0316" * 1_000_000,
        "```\n" * 500_000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_hostile_messages_are_cut_in_bounded_work(text: str) -> None:
    """The largest message that the codec accepts, in its worst forms: quadratic work would not end here."""
    pieces = pieces_of(user(text), RULE, WINDOWING)
    assert len(pieces.texts) <= RULE.max_pieces

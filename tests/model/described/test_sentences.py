"""How a description is split, and how a class's name becomes a code."""

import pytest

from model import ClassesRefused
from model.described.class_names import code_of, codes_of
from model.described.sentences import SENTENCE_CHARACTERS, sentences


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("billing", ["billing"]),
        ("The user  wants\nto pay; or to know the price, e.g. in a U.S. shop.", None),
        ("Cats are aloof animals. Dogs are social ones!", ["Cats are aloof animals.", "Dogs are social ones!"]),
        ("Mr. Smith sells us four cars. He is a nice man.", ["Mr. Smith sells us four cars.", "He is a nice man."]),
        ("Cats purr. Dogs bark.", ["Cats purr. Dogs bark."]),
        ("猫是独立的动物。它们会喵喵叫。", ["猫是独立的动物。 它们会喵喵叫。"]),
        ("What is asked here\n\nHow it is asked there", ["What is asked here", "How it is asked there"]),
    ],
)
def test_a_description_is_read_sentence_by_sentence(description: str, expected: list[str] | None) -> None:
    """One sentence stays one, whatever dots it holds, so that it is compared as it stands."""
    assert sentences(description) == (expected or [" ".join(description.split())])


def test_a_sentence_without_end_is_cut_and_nothing_is_lost() -> None:
    """The encoder reads a few hundred tokens."""
    words = " ".join(f"word{n}" for n in range(1_000))
    pieces = sentences(words)
    assert " ".join(pieces) == words
    assert max(map(len, pieces)) <= SENTENCE_CHARACTERS
    assert list(map(len, sentences("x" * 1_500))) == [600, 600, 300]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cat", "cat"),
        ("Sci.Tech_2-a", "Sci.Tech_2-a"),
        ("customer service", "customer-service"),
        ("Größe & Farbe", "grosse-farbe"),
        ("Café", "cafe"),
        ("_x_", "x"),
        ("n" * 100, "n" * 64),
    ],
)
def test_a_name_that_is_a_code_stays_and_another_becomes_one(name: str, code: str) -> None:
    """Verdicts and metrics hold the code, people read the name."""
    assert code_of(name) == code


def test_a_name_without_latin_letters_has_a_code_of_its_own() -> None:
    """And the same one wherever it is named."""
    codes = codes_of(["猫", "犬"])
    assert len(set(codes.values())) == 2
    assert codes["猫"] == code_of("猫")
    assert all(code.startswith("class-") for code in codes.values())


def test_two_names_with_one_code_are_refused() -> None:
    """Else one class would answer for the other."""
    with pytest.raises(ClassesRefused, match=r"classes 'Dog' and 'dog' both get the code 'dog', case aside"):
        codes_of(["Dog", "dog"])

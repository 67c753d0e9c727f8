"""Languages: English is not taken for another one, and what cannot be told counts as calibrated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import Bundle, Classification, Classifier
from model.evidence.language import LanguageDetector, read_detector, text_buckets
from model.evidence.prose import users_text
from model.evidence.rule import Unevaluated
from schemas import (
    DEFAULT_POLICY,
    ChatEvent,
    Decision,
    Policy,
    Role,
    Turn,
    UncalibratedLanguages,
    conversation_turns,
)
from tests.model.evidence.test_rule import in_format_1, with_pieces
from training_pipeline.languages.files import Languages, read_languages, write_languages

SPANISH = "\u00bfC\u00f3mo puedo preparar una paella para cuatro personas con lo que tengo en casa?"
RUSSIAN = "\u043a\u0430\u043a \u0441\u0432\u0430\u0440\u0438\u0442\u044c \u0431\u043e\u0440\u0449 " * 2


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    """Return the detector that bundles get."""
    return read_languages(Path(__file__).parents[3] / "data" / "languages").detector


def user(*texts: str) -> list[Turn]:
    """Return a conversation of user messages."""
    return [Turn(Role.USER, text) for text in texts]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SPANISH, "es"),
        (RUSSIAN, "ru"),
        ("Wie kann ich einen Lebenslauf schreiben, der bei gro\u00dfen Firmen gut ankommt?", "de"),
        ("Peux-tu m'expliquer comment fonctionne la photosynth\u00e8se chez les plantes ?", "fr"),
        ("Como posso aprender a programar em casa sem gastar muito dinheiro?", "pt"),
        ("Kun je me uitleggen hoe ik het beste een brief aan mijn huisbaas kan schrijven?", "nl"),
        ("\u8bf7\u5e2e\u6211\u5199\u4e00\u7bc7\u5173\u4e8e\u4eba\u5de5\u667a\u80fd", "zh"),
        ("\u4eba\u5de5\u77e5\u80fd\u306b\u3064\u3044\u3066\u77ed\u3044\u6587\u7ae0", "ja"),
        ("\uc778\uacf5\uc9c0\ub2a5\uc5d0 \ub300\ud55c \uc9e7\uc740 \uae00\uc744 \uc368 \uc8fc\uc138\uc694", "ko"),
        ("\u0643\u064a\u0641 \u064a\u0645\u0643\u0646\u0646\u064a \u062a\u0639\u0644" * 2, "ar"),
        ("How do I write a letter to my landlord about the heating?", "en"),
        ("best running shoes under 100 dollars for flat feet", "en"),
        ("Translate into Spanish: I would like to reserve a table for two, please", "en"),
    ],
)  # fmt: skip
def test_a_language_is_told(detector: LanguageDetector, text: str, code: str) -> None:
    """By script, by frequent English words, or by the table."""
    assert detector.language(user(text)) == code


@pytest.mark.parametrize(
    "text",
    ["hi", "ok thanks", "42", "???", "\U0001f600\U0001f600", "hola", "x = 3",
     "https://example.org/una-pagina-de-casa", "```\nint casa = perro;\n```"]
)  # fmt: skip
def test_what_is_too_short_or_no_prose_is_not_told(detector: LanguageDetector, text: str) -> None:
    """A greeting must not go to a person."""
    assert detector.language(user(text)) is None
    assert detector.is_calibrated(None)


CHINESE = "\u8bf7\u5e2e\u6211\u5199\u4e00\u7bc7\u5173\u4e8e\u4eba\u5de5\u667a\u80fd"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{CHINESE}/{CHINESE}", "zh"),
        (f"{CHINESE}=", "zh"),
        (f"```\n{RUSSIAN}\n```", "ru"),
        (RUSSIAN.replace(" ", "/ "), "ru"),
        (RUSSIAN.replace(" ", "_"), "ru"),
    ],
)
def test_a_sign_or_a_fence_hides_no_script(detector: LanguageDetector, text: str, code: str) -> None:
    """Chinese is one word without a space: a slash in it made all of it code, and the chat as good as English."""
    assert detector.language(user(text)) == code


def test_the_users_last_words_decide(detector: LanguageDetector) -> None:
    """Assistants translate; and a user may change the language."""
    turns = [*user("How do I write a letter to my landlord about the heating?"), Turn(Role.ASSISTANT, RUSSIAN * 9)]
    assert detector.language(turns) == "en"
    assert detector.language([*turns, *user(SPANISH * 2)]) == "es"
    assert users_text([*turns, *user("ok")]).startswith("ok How do I write")


LETTER = "Please check the grammar of this letter to my landlord, which is about the heating in the flat. " * 6


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ((f"{LETTER}\n{SPANISH}",), "es"),
        ((f"{SPANISH}\n{LETTER}",), "es"),
        ((f"{LETTER}\n{RUSSIAN}\n{LETTER}",), "ru"),
        ((f"{LETTER}\n\n```python\n# {SPANISH}\nprint(1)\n```",), "es"),
        ((SPANISH, LETTER), "es"),
        ((f"{LETTER}\n" * 30 + SPANISH,), "es"),
    ],
)
def test_one_line_in_another_language_is_enough(detector: LanguageDetector, texts: tuple[str, ...], code: str) -> None:
    """Four hundred English characters in front bought a Spanish request the guarantee of English chats."""
    assert detector.language(user(*texts)) == code


def test_a_short_line_in_another_language_is_none(detector: LanguageDetector) -> None:
    """Names, quotes and single words of other languages stand in many English chats."""
    assert detector.language(user(f"{LETTER}\nhasta la vista, amigos de la casa")) == "en"


def test_english_chats_are_not_taken_for_others(detector: LanguageDetector, sample_chats: list[dict[str, Any]]) -> None:
    """The sample holds some other languages too; none of its English words come by chance."""
    conversations = [conversation_turns(ChatEvent.model_validate(chat)) for chat in sample_chats]
    english = [turns for turns in conversations if {"the", "my", "you"} & set(users_text(turns).lower().split())]
    foreign = [turns for turns in english if not detector.is_calibrated(detector.language(turns))]
    assert len(english) > 0.5 * len(conversations)
    assert len(foreign) <= 0.002 * len(english)


@given(st.text(max_size=300))
def test_any_text_has_an_answer(detector: LanguageDetector, text: str) -> None:
    """Property: whatever the bytes."""
    buckets = text_buckets(text, 4096)
    assert ((buckets >= 0) & (buckets < 4096)).all()
    assert detector.probabilities(text).sum() == pytest.approx(1, abs=1e-5)
    detector.language(user(text))


@pytest.mark.parametrize(
    ("field", "decision"),
    [
        (UncalibratedLanguages.REVIEW, Decision.REVIEW),
        (UncalibratedLanguages.BLOCK, Decision.BLOCK),
        (UncalibratedLanguages.AS_IS, Decision.ALLOW),
    ],
)
def test_a_policy_says_what_becomes_of_other_languages(
    bundle: Bundle, detector: LanguageDetector, field: UncalibratedLanguages, decision: Decision
) -> None:
    """The guarantee speaks of English chats; by default a person looks at the others."""
    # Under a ban that speaks against neither text.
    policy = DEFAULT_POLICY.model_copy(
        update={"uncalibrated_languages": field, "banned": frozenset("G"), "max_banned_to_safe_rate": 0.9}
    )
    classifier = Classifier(replace(with_pieces(bundle), languages=detector), policy, n_threads=1)
    english = "How do I write a letter to my landlord about the heating?"
    (foreign, own, short), _ = classifier.classify([user(SPANISH), user(english), user("hola")])
    assert isinstance(foreign, Classification)
    assert isinstance(own, Classification)
    assert isinstance(short, Classification)
    assert (foreign.language, foreign.unevaluated) == ("es", (Unevaluated.LANGUAGE,))
    assert foreign.judgement.decision is decision
    assert (own.language, own.unevaluated, own.judgement.decision) == ("en", (), Decision.ALLOW)
    assert short.unevaluated == ()


def test_a_bundle_without_a_table_tells_no_languages_apart(bundle: Bundle) -> None:
    """Format 1 behaves as before, whatever the policy says."""
    policy = DEFAULT_POLICY.model_copy(update={"uncalibrated_languages": UncalibratedLanguages.BLOCK})
    (found,), _ = Classifier(in_format_1(bundle), policy, n_threads=1).classify([user(SPANISH)])
    assert isinstance(found, Classification)
    assert found.language is None
    assert found.unevaluated == ()


def test_policies_without_the_field_are_read_as_before() -> None:
    """Additive: files written before it stand."""
    fields = DEFAULT_POLICY.model_dump(mode="json")
    del fields["uncalibrated_languages"]
    assert Policy.model_validate(fields) == DEFAULT_POLICY


def test_a_damaged_table_is_refused(detector: LanguageDetector, tmp_path: Path) -> None:
    """Columns in another order would name other languages."""
    content = detector.to_bytes()
    again = read_detector(content, detector.rule)
    assert np.array_equal(again.table, detector.table)
    with pytest.raises(ValueError, match="a column for each of"):
        read_detector(content, detector.rule.model_copy(update={"codes": ["en", "de"]}))
    with pytest.raises(ValueError, match="is no archive"):
        read_detector(b"PK\x03\x04", detector.rule)
    with pytest.raises(ValueError, match="power of two"):
        read_detector(replace(detector, table=detector.table[:100]).to_bytes(), detector.rule)
    with pytest.raises(ValueError, match="NaN or infinity"):
        read_detector(replace(detector, bias=detector.bias * np.nan).to_bytes(), detector.rule)
    write_languages(tmp_path, Languages(detector, {"en": {}}))
    assert read_languages(tmp_path).figures == {"en": {}}
    with pytest.raises(ValueError, match="expected what `fit-languages` writes"):
        read_languages(tmp_path / "nowhere")

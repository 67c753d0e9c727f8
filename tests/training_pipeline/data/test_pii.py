"""Masking of personal data: what goes, and what must stay."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_pipeline.data.pii import PiiMasker, is_iban, is_luhn

# IBANs: examples of the registry of ISO 13616. Cards: the networks' published test numbers.
MASKED = [
    ("write to jane.doe+x@mail.example.co.uk today", "write to [EMAIL] today"),
    ("(a@b.io)", "([EMAIL])"),
    ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [IBAN] please"),
    ("GB82WEST12345698765432", "[IBAN]"),
    ("NO9386011117947.", "[IBAN]."),
    ("card 4111 1111 1111 1111 exp 12/29", "card [CARD] exp 12/29"),
    ("378282246310005", "[CARD]"),
    ("5555-5555-5555-4444", "[CARD]"),
    ("server 192.168.1.100:8080", "server [IP]:8080"),
    ("at 2001:db8::8a2e:370:7334 now", "at [IP] now"),
    ("call +49 30 901820!", "call [PHONE]!"),
]
KEPT = [
    "order 4111 1111 1111 1112",  # fails Luhn
    "0000 0000 0000 0000",
    "27995 2020-08-20 is a row of a table",
    "DE89 3704 0044 0532 0130 01",  # fails mod 97
    "version 1.2.3 of 10:30:15",
    "999.1.1.1",
    "std::vector<int> a::b",
    "follow @somebody, or x @ y",
    "pi is 3.14159265358979",
    "in 2024 there were 12345 of them",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_personal_data_is_masked(text: str, expected: str) -> None:
    """Each kind in the forms people write it."""
    found: Counter[str] = Counter()
    assert PiiMasker().mask(text, found) == expected
    assert found.total() == 1


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_personal_data_stays(text: str) -> None:
    """Every false mask takes words from a training text."""
    assert PiiMasker().mask(text, Counter()) == text


def test_national_phone_numbers_need_their_region() -> None:
    """Without one, digits of any kind would be numbers of some country."""
    assert PiiMasker("US").mask("ring (415) 555-2671", Counter()) == "ring [PHONE]"
    assert PiiMasker().mask("ring (415) 555-2671", Counter()) == "ring (415) 555-2671"


@given(st.lists(st.sampled_from([*(text for text, _ in MASKED), *KEPT]) | st.text(max_size=30), max_size=5))
def test_masking_twice_changes_nothing_more(parts: list[str]) -> None:
    """A mask must not become, or uncover, a finding of its own."""
    once = PiiMasker().mask(" ; ".join(parts), Counter())
    assert PiiMasker().mask(once, Counter()) == once


def test_check_digits_by_their_published_examples() -> None:
    """ISO/IEC 7812-1 and ISO 13616 give these."""
    assert is_luhn("79927398713")
    assert not is_luhn("79927398710")
    assert is_iban("GB82WEST12345698765432")
    assert not is_iban("GB83WEST12345698765432")

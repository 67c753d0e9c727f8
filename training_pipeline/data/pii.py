"""Mask personal data in a text: e-mail, card number, IBAN, IP address, phone number.

Each kind has a pattern for candidates and, where one exists, a check that decides: Luhn for cards, ISO 7064 mod 97 for
IBANs, `ipaddress` for IPs, `phonenumbers` (Google's metadata) for phones. Names and postal addresses are NOT found:
that takes a model, and a mask is no anonymisation.

Invariant: masking is idempotent, and text without a finding comes back as it was.
Sources: e-mail: the WHATWG HTML definition of a valid address; IBAN lengths: ISO 13616 (15 to 34).
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import phonenumbers

_CARD_DIGITS: Final = range(13, 20)
_IBAN_CHARACTERS: Final = range(15, 35)


class PiiKind(StrEnum):
    """What is masked; the mask is the kind in brackets."""

    EMAIL = "EMAIL"
    IBAN = "IBAN"
    CARD = "CARD"
    IP = "IP"
    PHONE = "PHONE"


_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_IBAN: Final = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)")
_CARD: Final = re.compile(
    r"(?<![\w.-])(?:[2-6]\d{12,18}|[2-6]\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -])\d{6}\2\d{5})(?![\w-])"
)
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")


def is_luhn(digits: str) -> bool:
    """Say whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for i, character in enumerate(reversed(digits)):
        value = int(character) * (2 if i % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004  the digit sum of a two-digit product
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Say whether a text without spaces is an IBAN: length and mod-97 check (ISO 7064)."""
    if len(text) not in _IBAN_CHARACTERS:
        return False
    moved = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


class PiiMasker:
    """Masks personal data.

    Args:
        phone_region: Two-letter region whose national phone numbers are found too; None finds only `+…` numbers.
    """

    def __init__(self, phone_region: str | None = None) -> None:
        self._phone_region = phone_region

    def mask(self, text: str, found: Counter[str]) -> str:
        """Return the text with masks, and count what was masked by kind."""
        # The order matters: an address may hold digits, a card number may read as a phone number.
        text = _replace(_EMAIL, PiiKind.EMAIL, _always, text, found)
        text = _mask_ibans(text, found)
        text = _replace(_CARD, PiiKind.CARD, _is_card, text, found)
        text = _replace(_IPV4, PiiKind.IP, _is_ip, text, found)
        text = _replace(_IPV6, PiiKind.IP, _is_ip, text, found)
        return self._mask_phones(text, found)

    def _mask_phones(self, text: str, found: Counter[str]) -> str:
        if not any(character.isdigit() for character in text):
            return text
        pieces = []
        end = 0
        for match in phonenumbers.PhoneNumberMatcher(text, self._phone_region):
            pieces += [text[end : match.start], f"[{PiiKind.PHONE}]"]
            end = match.end
            found[PiiKind.PHONE.value] += 1
        return "".join([*pieces, text[end:]])


def _replace(
    pattern: re.Pattern[str], kind: PiiKind, is_real: Callable[[str], bool], text: str, found: Counter[str]
) -> str:
    def masked(match: re.Match[str]) -> str:
        if not is_real(match[0]):
            return match[0]
        found[kind.value] += 1
        return f"[{kind}]"

    return pattern.sub(masked, text)


def _mask_ibans(text: str, found: Counter[str]) -> str:
    """Mask IBANs; the words after one may match its pattern, so shorter ends are tried too."""

    def masked(match: re.Match[str]) -> str:
        words = match[0].split(" ")
        for n_words in range(len(words), 0, -1):
            if is_iban("".join(words[:n_words])):
                found[PiiKind.IBAN.value] += 1
                return " ".join([f"[{PiiKind.IBAN}]", *words[n_words:]])
        return match[0]

    return _IBAN.sub(masked, text)


def _always(_: str) -> bool:
    return True


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    return len(digits) in _CARD_DIGITS and len(set(digits)) > 1 and is_luhn(digits)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # Shorter forms that would be valid, such as `a::b`, are scopes of a programming language far more often.
    return "." in text or (text.count(":") > 2 and any(character.isdigit() for character in text))  # noqa: PLR2004

"""From the body of comments:analyze to what is scored; errors are named as Perspective names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from console.errors import Problem
from console.perspective.attributes import Attributes
from console.perspective.documents import MAX_COMMENT_BYTES
from console.port.body import parse_object
from schemas import Role, Turn, is_visible, kept_turns

_MAX_ENTRIES: Final = 1_000
_TEXT_TYPES: Final = ("TEXT_TYPE_UNSPECIFIED", "PLAIN_TEXT")
_SCORE_TYPES: Final = ("SCORE_TYPE_UNSPECIFIED", "PROBABILITY")
_QUOTED: Final = 64


@dataclass(frozen=True)
class Analysis:
    """What a request asks."""

    comment: str
    turns: list[Turn]
    thresholds: Mapping[str, float | None]
    """By attribute: the least score that is answered."""
    languages: list[str]
    client_token: str | None


def read_analysis(raw: bytes, attributes: Attributes, knows_language: Callable[[str], bool]) -> Analysis:
    """Read a request.

    Args:
        raw: The body.
        attributes: What the bundle answers.
        knows_language: Whether the bundle was calibrated on a language (ISO 639-1).

    Raises:
        Problem: with Perspective's `errorType`.
    """
    document = parse_object(raw)
    comment = _comment(document)
    thresholds = _thresholds(document.get("requestedAttributes"), attributes)
    languages = _languages(document.get("languages"))
    if languages and not any(knows_language(_primary(language)) for language in languages):
        raise _language_not_supported(languages, next(iter(thresholds)))
    token = document.get("clientToken")
    if not isinstance(token, str | None):
        raise _invalid("clientToken must be a string.")
    turns = [*_context(document.get("context")), Turn(Role.USER, comment)]
    return Analysis(comment, kept_turns(turns), thresholds, languages, token)


@dataclass(frozen=True)
class Suggestion:
    """What somebody says the scores should be."""

    turns: list[Turn]
    scores: Mapping[str, float]
    """By attribute, 0 to 1."""
    languages: list[str]
    client_token: str | None


def read_suggestion(raw: bytes, attributes: Attributes) -> Suggestion:
    """Read a request of comments:suggestscore.

    Args:
        raw: The body.
        attributes: What the bundle answers.

    Raises:
        Problem: with Perspective's `errorType`.
    """
    document = parse_object(raw)
    comment = _comment(document)
    given = document.get("attributeScores")
    if not isinstance(given, dict) or not given:
        raise _invalid("attributeScores must be an object with at least one attribute.")
    scores = {_known(name, attributes): _suggested(name, scored) for name, scored in given.items()}
    token = document.get("clientToken")
    if not isinstance(token, str | None):
        raise _invalid("clientToken must be a string.")
    turns = [*_context(document.get("context")), Turn(Role.USER, comment)]
    return Suggestion(turns, scores, _languages(document.get("languages")), token)


def _suggested(name: str, scored: object) -> float:
    """Return the score of the whole comment; where only parts are scored, the highest of theirs."""
    if not isinstance(scored, dict) or not scored:
        raise _invalid(f"attributeScores.{name} must be an object with summaryScore or spanScores.")
    if (summary := scored.get("summaryScore")) is not None:
        return _value(summary, f"attributeScores.{name}.summaryScore")
    spans = scored.get("spanScores")
    if not isinstance(spans, list) or not 0 < len(spans) <= _MAX_ENTRIES:
        raise _invalid(f"attributeScores.{name} must have summaryScore, or 1 to {_MAX_ENTRIES} spanScores.")
    where = f"attributeScores.{name}.spanScores"
    return max(_value(span.get("score") if isinstance(span, dict) else None, where) for span in spans)


def _value(score: object, where: str) -> float:
    if not isinstance(score, dict) or score.get("type", _SCORE_TYPES[0]) not in _SCORE_TYPES:
        raise _invalid(f"{where} must be a score of type PROBABILITY.")
    value = score.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(f"{where}.value must be a number from 0 to 1.")
    return float(value)


def _comment(document: Mapping[str, Any]) -> str:
    comment = document.get("comment")
    if not isinstance(comment, dict):
        raise _problem("COMMENT_EMPTY", "Comment must be non-empty.")
    text = _text(comment, "comment")
    if not is_visible(text):
        raise _problem("COMMENT_EMPTY", "Comment must be non-empty.")
    if len(text.encode()) > MAX_COMMENT_BYTES:
        raise _problem("COMMENT_TOO_LONG", "Comment text too long.")
    return text


def _text(entry: object, where: str) -> str:
    if not isinstance(entry, dict):
        raise _invalid(f"{where} must be an object with text.")
    if entry.get("type", _TEXT_TYPES[0]) not in _TEXT_TYPES:
        raise _invalid(f"{where}.type must be PLAIN_TEXT.")
    text = entry.get("text", "")
    if not isinstance(text, str):
        raise _invalid(f"{where}.text must be a string.")
    return text


def _context(context: object) -> list[Turn]:
    """Return what was said before as words of others: context of the comment, not its author's."""
    if context is None:
        return []
    if not isinstance(context, dict):
        raise _invalid("context must be an object.")
    entries, article = context.get("entries"), context.get("articleAndParentComment")
    if entries is not None and article is not None:
        raise _invalid("context has entries and articleAndParentComment; expected one of them.")
    named: list[tuple[str, object]]
    if article is not None:
        if not isinstance(article, dict):
            raise _invalid("context.articleAndParentComment must be an object.")
        named = [(name, article[name]) for name in ("article", "parentComment") if article.get(name) is not None]
    else:
        if not isinstance(entries, list | None) or len(entries or []) > _MAX_ENTRIES:
            raise _invalid(f"context.entries must be a list of at most {_MAX_ENTRIES}.")
        named = [(f"entries[{i}]", entry) for i, entry in enumerate(entries or [])]
    texts = [_text(entry, f"context.{name}") for name, entry in named]
    return [Turn(Role.ASSISTANT, text) for text in texts if is_visible(text)]


def _thresholds(requested: object, attributes: Attributes) -> dict[str, float | None]:
    if requested is None or requested == {}:
        raise _problem("NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes")
    if not isinstance(requested, dict):
        raise _invalid("requestedAttributes must be an object.")
    return {name: _threshold(name, asked, attributes) for name, asked in requested.items()}


def _known(name: str, attributes: Attributes) -> str:
    if name not in attributes:
        shown = name if len(name) <= _QUOTED and name.replace("_", "").isalnum() and name.isascii() else "(not a name)"
        known = ", ".join(attributes.names) or "none"
        raise _invalid(f"Unknown requested attribute: {shown}. This model answers: {known}.")
    return name


def _threshold(name: str, asked: object, attributes: Attributes) -> float | None:
    _known(name, attributes)
    if not isinstance(asked, dict | None):
        raise _invalid(f"requestedAttributes.{name} must be an object.")
    asked = asked or {}
    if asked.get("scoreType", _SCORE_TYPES[0]) not in _SCORE_TYPES:
        raise _invalid(f"requestedAttributes.{name}.scoreType must be PROBABILITY.")
    threshold = asked.get("scoreThreshold")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | None):
        raise _invalid(f"requestedAttributes.{name}.scoreThreshold must be a number.")
    return threshold


def _languages(languages: object) -> list[str]:
    if languages is None:
        return []
    if not isinstance(languages, list) or not all(
        isinstance(one, str) and 0 < len(one) <= _QUOTED for one in languages
    ):
        raise _invalid("languages must be a list of language codes.")
    return languages


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


def _language_not_supported(languages: list[str], attribute: str) -> Problem:
    named = [language for language in languages if language.replace("-", "").isalnum() and language.isascii()]
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "language_not_supported",
        f"Attribute {attribute} does not support request languages: {', '.join(named)}",
        reason="LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
        details={"languageNotSupportedByAttributeError": {"requestedLanguages": named, "attribute": attribute}},
    )


def _invalid(message: str) -> Problem:
    return _problem("INVALID_REQUEST", message)


def _problem(reason: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, reason.lower(), message, reason=reason)

"""Read an annotator's answer: the closed set or an abstention.

Invariant: whatever the model wrote, the result is a category of the taxonomy or an abstention; nothing else of the text
is used, and no part of it is kept.
"""

import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import jiter

from schemas.taxonomy import Taxonomy
from training_pipeline.data.label_prompt import NO_RUNNER_UP

_MAX_ANSWER_CHARACTERS: Final = 2_000
_FENCE: Final = re.compile(r"\A```(?:json)?\s*(\{.*\})\s*```\Z", re.DOTALL)
_CATEGORY_VALUE: Final = re.compile(r'"category"\s*:\s*"([A-Za-z0-9][A-Za-z0-9_.-]*)"')
_MIN_KNOWN_MASS: Final = 0.5
"""Log-probabilities that leave more than half of the mass to other tokens say too little about the categories."""

_TOP_WEIGHT: Final[Mapping[int, float]] = {3: 1.0, 2: 0.8, 1: 0.6}
"""Weight of the named category by confidence; the runner-up gets the rest. The labelled chats use the same."""


class Status(StrEnum):
    """How a request for one label ended."""

    LABELLED = "labelled"
    REFUSAL = "refusal"
    """An abstention: the model declined, or the provider filtered the chat."""
    BAD_ANSWER = "bad_answer"
    """An abstention: truncated, not JSON, or outside the closed set."""
    FAILED = "failed"
    """No answer after all attempts; asked again in the next run."""


class Label(NamedTuple):
    """One valid answer."""

    category: str
    confidence: int
    runner_up: str


class AlternativeToken(NamedTuple):
    """A token the model might have written, with its log-probability."""

    text: str
    logprob: float


class AnswerToken(NamedTuple):
    """One token of the answer and its alternatives, itself included where the provider lists it."""

    text: str
    alternatives: Sequence[AlternativeToken]


class NotALabel(Exception):  # noqa: N818  the name says what was found
    """The text is no label.

    Args:
        found: What it is, without quoting it: it may repeat chat text.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def parse_answer(text: str, taxonomy: Taxonomy) -> Label:
    """Read one answer.

    Only one JSON object is read, bare or in one code fence. Text around it makes the answer void: a label that is
    picked out of prose may be one that the chat has put there.

    Raises:
        NotALabel: the text is anything else.
    """
    if len(text) > _MAX_ANSWER_CHARACTERS:
        raise NotALabel(f"an answer of {len(text)} characters")
    stripped = text.strip()
    fenced = _FENCE.match(stripped)
    try:
        document = jiter.from_json(
            (fenced[1] if fenced else stripped).encode("utf-8", "replace"),
            allow_inf_nan=False,
            catch_duplicate_keys=True,
        )
    except ValueError:
        raise NotALabel("not one JSON object (truncated, prose, or a key twice)") from None
    if not isinstance(document, dict):
        raise NotALabel(f"a JSON {type(document).__name__}")
    return _label(document, taxonomy)


def _label(document: dict[str, Any], taxonomy: Taxonomy) -> Label:
    if not document.keys() <= {"category", "confidence", "runner_up"}:
        raise NotALabel("unknown fields")
    category = document.get("category")
    if category not in taxonomy.codes:
        raise NotALabel("a category outside the closed set" if isinstance(category, str) else "no category")
    confidence = document.get("confidence", 3)
    if isinstance(confidence, bool) or not isinstance(confidence, int) or confidence not in _TOP_WEIGHT:
        raise NotALabel("a confidence outside 1 to 3")
    runner_up = document.get("runner_up", NO_RUNNER_UP)
    if runner_up not in (*taxonomy.codes, NO_RUNNER_UP):
        raise NotALabel("a runner-up outside the closed set")
    return Label(category, confidence, NO_RUNNER_UP if runner_up == category else runner_up)


def soft_label_of(label: Label) -> dict[str, float]:
    """Return the weights that an answer without log-probabilities stands for; they sum to 1."""
    if label.runner_up == NO_RUNNER_UP:
        return {label.category: 1.0}
    weight = _TOP_WEIGHT[label.confidence]
    weights = {label.category: weight, label.runner_up: round(1.0 - weight, 6)}
    return {code: value for code, value in weights.items() if value > 0}


def soft_label_from_tokens(tokens: Sequence[AnswerToken], label: Label, taxonomy: Taxonomy) -> dict[str, float] | None:
    """Return the probabilities of the categories where the model chose one, or None where they say too little.

    Args:
        tokens: The whole answer, token by token.
        label: What the answer says.
        taxonomy: Whose codes; a code of several tokens is told by its first where no other begins so.

    Returns:
        Code to probability, summing to 1 over the codes among the alternatives.
    """
    text = "".join(token.text for token in tokens)
    match = _CATEGORY_VALUE.search(text)
    if match is None or match[1] != label.category:
        return None
    place = match.start(1)
    start = 0
    for token in tokens:
        if start <= place < start + len(token.text):
            return _weights(token.alternatives, taxonomy)
        start += len(token.text)
    return None


def _weights(alternatives: Sequence[AlternativeToken], taxonomy: Taxonomy) -> dict[str, float] | None:
    mass: dict[str, float] = {}
    for alternative in alternatives:
        begun = alternative.text.strip(' "\n\t:,{}')
        codes = [code for code in taxonomy.codes if code.startswith(begun)] if begun else []
        # The beginning of several codes says nothing of either.
        if len(codes) == 1 and math.isfinite(alternative.logprob) and alternative.logprob <= 0:
            mass[codes[0]] = mass.get(codes[0], 0.0) + math.exp(alternative.logprob)
    total = sum(mass.values())
    if total < _MIN_KNOWN_MASS:
        return None
    return {code: value / total for code, value in sorted(mass.items(), key=lambda item: -item[1])}

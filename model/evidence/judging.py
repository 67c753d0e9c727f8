"""From what the model says of a conversation's window and pieces to its classification under a policy."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from model.bundle.bundle import Bundle
from model.calibration import FloatArray, ScoreArray
from model.decision import DecisionRule, Judgement
from model.errors import RowFailed
from model.evidence.rule import Unevaluated, evidence_of, on_the_wire
from model.policies.rules import rule_over
from schemas import Policy


class Stage(StrEnum):
    """Which part of the model answered the main window."""

    FIRST_STAGE = "first_stage"
    TRANSFORMER = "transformer"
    HEAD = "head"
    """A head on a frozen encoder."""


@dataclass(frozen=True)
class Classification:
    """What the classifier says of one conversation."""

    category: str
    probabilities: dict[str, float]
    """By code, all codes in the taxonomy's order: the main window's, calibrated, rounded to six decimals."""
    judgement: Judgement
    evidence: dict[str, float]
    """By code as well, see `model.evidence.rule`; equal to the probabilities where there are no pieces."""
    unevaluated: tuple[Unevaluated, ...] = ()
    stage: Stage = Stage.TRANSFORMER
    language: str | None = None
    """ISO 639-1 code of what the user writes, where it can be told and the bundle tells it."""
    longest_message: int | None = None
    """Characters of the user's longest message, as far as the classifier was given it."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one row."""

    probabilities: FloatArray
    """float32 [n_categories], calibrated."""
    stage: Stage


class Judging:
    """A bundle's evidence under a policy.

    Raises:
        BundleError: the policy is over another taxonomy, or the bundle's calibration cannot speak for it.
    """

    def __init__(self, bundle: Bundle, policy: Policy) -> None:
        self.rule = rule_over(bundle, policy)
        self._codes = bundle.taxonomy.codes
        rule = bundle.manifest.evidence
        self._weights: ScoreArray = np.zeros(len(self._codes)) if rule is None else rule.weight_row(self._codes)
        self._always = () if bundle.is_calibrated else (Unevaluated.UNCALIBRATED,)

    def under(self, rule: DecisionRule) -> "Judging":
        """Return the same under another policy.

        Args:
            rule: The policy over this very bundle.
        """
        other = copy(self)
        other.rule = rule
        return other

    def classification(
        self,
        window: Answer | RowFailed,
        pieces: Sequence[Answer | RowFailed],
        unevaluated: tuple[Unevaluated, ...],
        language: str | None,
        longest_message: int,
    ) -> Classification | RowFailed:
        """Return what is said of one conversation; a window that failed is the conversation's failure.

        Args:
            window: What the model says of the main window.
            pieces: What it says of the pieces.
            unevaluated: Why something of the conversation says nothing.
            language: What the user writes.
            longest_message: Characters of the user's longest message.
        """
        if isinstance(window, RowFailed):
            return window
        answered = [piece.probabilities for piece in pieces if isinstance(piece, Answer)]
        if len(answered) < len(pieces):
            unevaluated = (*unevaluated, Unevaluated.FAILURE)
        probabilities = on_the_wire(window.probabilities)
        row = evidence_of(probabilities, answered, self._weights)
        evidence = dict(zip(self._codes, row.tolist(), strict=True))
        category = self._codes[int(window.probabilities.argmax())]
        unevaluated = (*unevaluated, *self._always)
        return Classification(
            category=category,
            probabilities=dict(zip(self._codes, probabilities.tolist(), strict=True)),
            judgement=self.rule.judgement(
                evidence, category=category, unevaluated=unevaluated, language=language, longest_message=longest_message
            ),
            evidence=evidence,
            unevaluated=unevaluated,
            stage=window.stage,
            language=language,
            longest_message=longest_message,
        )

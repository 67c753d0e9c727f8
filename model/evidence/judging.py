"""From what the model says of a conversation's window and pieces to its classification under a policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from model.bundle.bundle import Bundle
from model.calibration import FloatArray, ScoreArray, banned_probability
from model.decision import DecisionRule, Judgement, decide
from model.errors import RowFailed
from model.evidence.rule import Unevaluated, evidence_of, on_the_wire, policy_scores
from schemas import CODES, Decision, Policy, UncalibratedLanguages


class Stage(StrEnum):
    """Which part of the model answered the main window."""

    FIRST_STAGE = "first_stage"
    TRANSFORMER = "transformer"


@dataclass(frozen=True)
class Classification:
    """What the classifier says of one conversation."""

    category: str
    probabilities: dict[str, float]
    """13 codes, the main window's, calibrated, rounded to six decimals."""
    judgement: Judgement
    evidence: dict[str, float]
    """13 codes, see `model.evidence.rule`; equal to the probabilities where there are no pieces."""
    unevaluated: tuple[Unevaluated, ...] = ()
    stage: Stage = Stage.TRANSFORMER
    language: str | None = None
    """ISO 639-1 code of what the user writes, where it can be told and the bundle tells it."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one row."""

    probabilities: FloatArray
    """float32 [13], calibrated."""
    stage: Stage


class Judging:
    """A bundle's evidence under a policy.

    Raises:
        BundleError: the bundle's calibration cannot speak for the policy.
    """

    def __init__(self, bundle: Bundle, policy: Policy) -> None:
        self._policy = policy
        self._curves = bundle.risk_curves(policy)
        self._banned = frozenset(code.value for code in policy.banned)
        rule = bundle.manifest.evidence
        self._weights: ScoreArray = np.zeros(len(CODES)) if rule is None else rule.weight_row
        self._is_score_of_evidence = bundle.manifest.format_version > 1
        is_exact = not self._is_score_of_evidence and bundle.languages is None
        self.rule = DecisionRule(policy, self._curves, is_exact=is_exact)

    def classification(
        self,
        window: Answer | RowFailed,
        pieces: Sequence[Answer | RowFailed],
        unevaluated: tuple[Unevaluated, ...],
        language: str | None,
    ) -> Classification | RowFailed:
        """Return what is said of one conversation; a window that failed is the conversation's failure.

        Args:
            window: What the model says of the main window.
            pieces: What it says of the pieces.
            unevaluated: Why something of the conversation says nothing.
            language: What the user writes.
        """
        if isinstance(window, RowFailed):
            return window
        answered = [piece.probabilities for piece in pieces if isinstance(piece, Answer)]
        if len(answered) < len(pieces):
            unevaluated = (*unevaluated, Unevaluated.FAILURE)
        probabilities = on_the_wire(window.probabilities)
        evidence = evidence_of(probabilities, answered, self._weights)
        category = CODES[int(window.probabilities.argmax())]
        judgement = decide(
            category=category,
            banned_probability=self._score(window.probabilities, evidence),
            curves=self._curves,
            policy=self._policy,
            at_best=self._at_best(unevaluated),
        )
        return Classification(
            category=category,
            probabilities=dict(zip(CODES, probabilities.tolist(), strict=True)),
            judgement=judgement,
            evidence=dict(zip(CODES, evidence.tolist(), strict=True)),
            unevaluated=unevaluated,
            stage=window.stage,
            language=language,
        )

    def _at_best(self, unevaluated: tuple[Unevaluated, ...]) -> Decision:
        foreign = self._policy.uncalibrated_languages
        if Unevaluated.LANGUAGE in unevaluated and foreign is UncalibratedLanguages.BLOCK:
            return Decision.BLOCK
        is_ignored = foreign is UncalibratedLanguages.AS_IS
        counted = [reason for reason in unevaluated if not (is_ignored and reason is Unevaluated.LANGUAGE)]
        return Decision.REVIEW if counted else Decision.ALLOW

    def _score(self, probabilities: FloatArray, evidence: ScoreArray) -> float:
        if self._is_score_of_evidence:
            return float(policy_scores(evidence[None], self._banned)[0])
        return float(banned_probability(probabilities[None], self._banned)[0])

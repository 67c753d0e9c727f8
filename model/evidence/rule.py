"""What of a conversation is evidence: its main window, its pieces, and the largest of what they say.

Category and probabilities are the main window's. The evidence of a category is the larger of the main window's
probability and the largest one of a piece times the category's weight; the score of a policy is the sum of the evidence
of its banned categories. What no window and no piece has read is named, and such a chat is not allowed.

Invariant: where a conversation has no pieces, its evidence equals its probabilities, digit by digit.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from model.calibration import WIRE_DECIMALS, FloatArray, ScoreArray
from model.evidence.language import LanguageDetector
from model.evidence.pieces import PieceRule, pieces_of
from model.windowing import Windowing, render_piece
from schemas import Turn, longest_user_message


class Unevaluated(StrEnum):
    """Why part of a chat says nothing, or nothing that was calibrated."""

    LENGTH = "length"
    """The users wrote more than is read."""
    FAILURE = "failure"
    """The model failed on a piece."""
    LANGUAGE = "language"
    """The bundle was not calibrated on the users' language."""
    CONTENT = "content"
    """The messages hold pictures, sound or files, which are not read."""
    UNCALIBRATED = "uncalibrated"
    """The bundle was not calibrated at all."""


class EvidenceRule(BaseModel):
    """What of a conversation is evidence besides its main window; part of a bundle's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pieces: PieceRule
    weights: dict[str, float] = Field(description="By category code: what a piece's probability counts, 0..1.")

    @field_validator("weights")
    @classmethod
    def _weights_are_shares(cls, weights: dict[str, float]) -> dict[str, float]:
        if not all(0 <= weight <= 1 for weight in weights.values()):
            raise ValueError(f"weights are {weights}; expected numbers from 0 to 1")
        return weights

    def weight_row(self, codes: Sequence[str]) -> ScoreArray:
        """Return the weights in the order of the output columns, float64 [n_categories]."""
        return np.array([self.weights[code] for code in codes])


class Reading(NamedTuple):
    """What is judged of conversations besides their main windows."""

    pieces: list[str]
    """Of all conversations, rendered."""
    owners: list[int]
    """For each piece the position of its conversation, ascending."""
    unevaluated: list[tuple[Unevaluated, ...]]
    """For each conversation why something of it says nothing."""
    languages: list[str | None]
    """For each conversation what its user writes; None where it cannot be told or is not looked for."""
    longest_messages: list[int]
    """For each conversation the characters of its user's longest message."""


def read(
    conversations: Sequence[Sequence[Turn]],
    are_cut: Sequence[bool],
    windowing: Windowing,
    rule: EvidenceRule | None,
    detector: LanguageDetector | None = None,
) -> Reading:
    """Return what is judged of conversations besides their main windows.

    Args:
        conversations: Turns with visible text, oldest first; none of the conversations empty.
        are_cut: Whether the main window has more tokens than a row, so that not all of it is read.
        windowing: The rules of the main window.
        rule: What is read besides; None for nothing.
        detector: What tells languages apart; None where the bundle does not.
    """
    reading = Reading([], [], [], [], [])
    for position, (turns, is_cut) in enumerate(zip(conversations, are_cut, strict=True)):
        reasons: tuple[Unevaluated, ...] = ()
        if rule is not None:
            pieces = pieces_of(turns, rule.pieces, windowing, window_is_cut=is_cut)
            reading.pieces.extend(map(render_piece, pieces.texts))
            reading.owners.extend([position] * len(pieces.texts))
            reasons = () if pieces.is_covered else (Unevaluated.LENGTH,)
        language = None if detector is None else detector.language(turns)
        if detector is not None and not detector.is_calibrated(language):
            reasons = (*reasons, Unevaluated.LANGUAGE)
        reading.unevaluated.append(reasons)
        reading.languages.append(language)
        reading.longest_messages.append(longest_user_message(turns))
    return reading


def most_suspicious(owners: Sequence[int], suspicion: FloatArray, n_each: int) -> NDArray[np.bool_]:
    """Return which pieces are among the `n_each` most suspicious ones of their conversation, bool [n_pieces].

    Args:
        owners: The conversation of each piece, ascending.
        suspicion: float32 [n_pieces]; of equal ones the first counts.
        n_each: Pieces of one conversation, at most.
    """
    owner = np.asarray(owners, dtype=np.int64)
    order = np.lexsort((np.arange(len(owner)), -suspicion, owner))
    starts = np.searchsorted(owner, owner)
    is_among = np.zeros(len(owner), dtype=np.bool_)
    # The conversations follow one another in both orders, so a position's rank in its own is the same in both.
    is_among[order] = np.arange(len(owner)) - starts < n_each
    return is_among


def on_the_wire(probabilities: FloatArray) -> ScoreArray:
    """Return probabilities as verdicts hold them, float64, rounded once."""
    # Python's rounding, which verdicts have had from their first day; numpy's differs in the last place now and then.
    rounded = [round(float(value), WIRE_DECIMALS) for value in probabilities.ravel()]
    return np.array(rounded, dtype=np.float64).reshape(probabilities.shape)


def evidence_of(probabilities: ScoreArray, pieces: Sequence[FloatArray], weights: ScoreArray) -> ScoreArray:
    """Return the evidence of one conversation, float64 [n_categories], rounded.

    Args:
        probabilities: float64 [n_categories], of the main window, rounded.
        pieces: float32 [n_categories] each.
        weights: float64 [n_categories].
    """
    if not pieces:
        return probabilities
    largest: FloatArray = np.max(np.stack(pieces), axis=0)
    evidence: ScoreArray = np.maximum(probabilities, largest * weights).round(WIRE_DECIMALS)
    return evidence

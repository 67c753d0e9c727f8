"""The chats that training never saw: one part fits what serving needs to fit, the other carries the guarantee.

Invariant: whatever is fitted on them (scaling, blend, exits) sees the same part, so that the chats in calibration.json
chose nothing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import FloatArray, banned_mask
from model.cascade.first_stage import FirstStage
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer, TokenIds
from schemas import Policy
from training_pipeline.bundle.calibrate import Calibration, FirstAnswers, calibrate, session_logits
from training_pipeline.bundle.scaling_fit import Groups, ScalingKind
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.split import calibration_split

FITTING_RATIO: Final = 0.3
"""Share of the held-out chats that fit the scaling; the others carry the guarantee."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out chats as a bundle would read them."""

    rows: list[TokenIds]
    labels: NDArray[np.int64]
    """int64 [n_chats], true column indices."""
    groups: Groups
    """The columns, and which are banned."""
    first: FirstAnswers | None
    """What the first stage says of them, where there is one."""

    @staticmethod
    def of(
        chats: LabelledChats,
        tokenizer: ConversationTokenizer,
        policy: Policy,
        first_stage: FirstStage | None,
        *,
        blend_weight: float | None = None,
    ) -> "HeldOut":
        """Return the chats, read and answered.

        Args:
            chats: The chats.
            tokenizer: The run's.
            policy: The bundle's default policy.
            first_stage: The bundle's, where it has one.
            blend_weight: Of its logits beside the transformer's; None fits it.
        """
        rows, first = chats.encode(tokenizer), None
        if first_stage is not None:
            logits = first_stage.logits(rows)
            first = FirstAnswers(logits, first_stage.answers(logits)[0], blend_weight)
        codes = chats.taxonomy.codes
        return HeldOut(rows, chats.labels, Groups(codes, banned_mask(policy.banned, codes)), first)

    def fitting(self, seed: int) -> tuple[list[TokenIds], NDArray[np.int64]]:
        """Return rows and labels of the part that may be fitted on, without what the first stage answers alone."""
        _, fitting = calibration_split(self.labels, calibration_ratio=FITTING_RATIO, seed=seed)
        if self.first is not None:
            fitting = fitting[~self.first.are_final[fitting]]
        return [self.rows[i] for i in fitting], self.labels[fitting]

    def part_that_fits(self, seed: int) -> NDArray[np.int64]:
        """Return the labels of the part that may be fitted on, int64 [n_chats]."""
        return self.labels[calibration_split(self.labels, calibration_ratio=FITTING_RATIO, seed=seed)[1]]

    def logits(self, model: bytes, *, pad_id: int, n_threads: int) -> FloatArray:
        """Return a model's logits, float32 [n_chats, n_categories]."""
        return session_logits(
            OnnxSession(model, n_threads=n_threads, pad_id=pad_id, n_categories=len(self.groups.codes)), self.rows
        )

    def calibrated(
        self, logits: FloatArray, *, seed: int, kind: ScalingKind, served: FloatArray | None = None
    ) -> Calibration:
        """Calibrate; see `training_pipeline.bundle.calibrate.calibrate`.

        Args:
            logits: float32 [n_chats, n_categories], by the model without exits.
            seed: Decides the parts.
            kind: One temperature, class groups, or whichever has the better cross-validated likelihood.
            served: The same by the model that will be served, where that is another one.
        """
        return calibrate(
            logits,
            self.labels,
            self.groups,
            temperature_ratio=FITTING_RATIO,
            seed=seed,
            kind=kind,
            first=self.first,
            served=served,
        )

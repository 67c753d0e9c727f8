"""Rows as `train` reads them: messages, category, votes, licence, and where each came from.

Invariant: a row is accepted by the serving codec, and says which model wrote it, by which prompt, from which cell.
"""

import hashlib
from collections import Counter
from typing import Any, Final

from schemas import CodecLimits, RecordRejected, Role, Turn, conversation_turns, decode_chat_event
from schemas.taxonomy import Taxonomy
from training_pipeline.chats import licences
from training_pipeline.data.answer_log import Answer
from training_pipeline.data.chat_rows import encode_row
from training_pipeline.data.injection import speaks_to_labeller
from training_pipeline.data.label_answer import Label, soft_label_of
from training_pipeline.data.label_prompt import NO_RUNNER_UP
from training_pipeline.data.pii import PiiMasker
from training_pipeline.synthesise.brief import Brief, Judge, Writer
from training_pipeline.synthesise.screens import holds_a_secret, masked
from training_pipeline.synthesise.writer_prompt import prompt_digest, writer_task
from training_pipeline.synthesise.writing import Draft, Drop, Dropped

SOURCE: Final = "synthetic"
_SURE: Final = 3


class RowMaker:
    """Makes rows of drafts.

    Args:
        taxonomy: Whose categories.
        brief: What was asked for.
        writer: Who wrote.
        judge: Who judges; None where nobody does.
        seed: Of the grid.
    """

    def __init__(self, taxonomy: Taxonomy, brief: Brief, writer: Writer, judge: Judge | None, seed: int) -> None:
        self._taxonomy = taxonomy
        self._brief = brief
        self._writer = writer
        self._judge = judge
        self._seed = seed
        self._prompt_digest = prompt_digest(writer_task(taxonomy, brief))
        content = brief.model_dump_json(exclude={"writer", "judge"})
        run = f"{taxonomy.model_dump_json()}\n{content}\n{writer.base_url}\n{writer.model}\n{seed}"
        self._run = hashlib.sha256(run.encode()).hexdigest()[:12]

    def row(
        self, draft: Draft, masker: PiiMasker | None, n_masked: Counter[str]
    ) -> tuple[dict[str, Any], list[Turn]] | Dropped:
        """Return a draft's row and its turns as serving reads them, or which screen it does not pass.

        Args:
            draft: What was written.
            masker: Masks personal data; None leaves it.
            n_masked: Counts by kind; added to for rows alone.
        """
        cell, messages = draft.cell, draft.messages
        if holds_a_secret(messages):
            return Dropped(cell, Drop.SECRET.value, "a message holds what looks like a key or a password")
        n_found: Counter[str] = Counter()
        if masker is not None:
            messages = masked(messages, masker, n_found)
        row = {
            "chat_id": f"{SOURCE}-{self._run}-{cell.category}-{cell.number}",
            "category": cell.category,
            "messages": messages,
            "source": SOURCE,
            "license": self._brief.license,
            "license_class": licences.licence_class(self._brief.license),
            "synthetic": self._provenance(draft),
        }
        try:
            turns = conversation_turns(decode_chat_event(encode_row(row), CodecLimits()))
        except RecordRejected as rejection:
            return Dropped(cell, rejection.reason.value, rejection.error)
        if cell.category not in self._taxonomy.banned and speaks_to_labeller(turns, self._taxonomy):
            return Dropped(cell, Drop.SPEAKS_TO_LABELLER.value, "a message names a label or aims at the labeller")
        n_masked.update(n_found)
        return row, turns

    def unscreened_turns(self, draft: Draft) -> list[Turn]:
        """Return a draft's turns as they would be judged, but for masks."""
        return [Turn(Role(message["role"]), message["content"]) for message in draft.messages]

    def with_votes(self, row: dict[str, Any], answer: Answer | None) -> dict[str, Any]:
        """Return a row with the votes of writer and judge, who agree on the category."""
        category = row["category"]
        votes = {"writer": [category, str(_SURE), NO_RUNNER_UP]}
        weights = soft_label_of(Label(category, _SURE, NO_RUNNER_UP))
        if answer is not None:
            votes["judge"] = [category, str(answer.confidence or _SURE), answer.runner_up or NO_RUNNER_UP]
            judged = answer.soft_label or weights
            codes = sorted(weights.keys() | judged.keys())
            weights = {code: (weights.get(code, 0.0) + judged.get(code, 0.0)) / 2 for code in codes}
        soft_label = {code: round(weight, 4) for code, weight in weights.items()}
        return row | {"soft_label": soft_label, "annotations": votes, "agreed": True}

    def _provenance(self, draft: Draft) -> dict[str, Any]:
        return {
            "taxonomy": self._taxonomy.ref.model_dump(mode="json"),
            "writer": draft.written.model or self._writer.model,
            "judge": self._judge and self._judge.model,
            "prompt_digest": self._prompt_digest,
            "request": draft.written.request,
            "seed": self._seed,
            "labelled": self._brief.labelled.value,
            "cell": draft.cell.provenance(),
        }

"""Turn votes into labelled chats: measure the agreement, keep what is sure enough, queue the rest for a person.

Invariant: every chat that was read ends in exactly one of the labelled file, the queue and the rejects; a chat that
speaks to its labeller is never labelled safe by models alone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from schemas.taxonomy import CHAT_13, Taxonomy, taxonomy_of
from training_pipeline.data.agreement import agreement_report
from training_pipeline.data.chat_rows import ChatRow, DropReason, Reject, read_chat_rows
from training_pipeline.data.dawid_skene import dawid_skene
from training_pipeline.data.errors import DataError
from training_pipeline.data.injection import speaks_to_labeller
from training_pipeline.data.stage_files import (
    StageFiles,
    StageReport,
    digests,
    finished_report,
)
from training_pipeline.data.votes import Vote, VotesByAnnotator, gather_votes, vote_matrix

STAGE: Final = "agree"

Weights = NDArray[np.float64]


class ConsensusMethod(StrEnum):
    """How the votes on a chat become weights."""

    VOTES = "votes"
    """Mean of the annotators' soft labels."""
    DAWID_SKENE = "dawid-skene"
    """Posterior under each annotator's estimated habits."""


class Keep(StrEnum):
    """Which chats count as labelled."""

    AGREED = "agreed"
    """All votes name one category."""
    CONSENSUS = "consensus"
    """The top category's weight reaches `min_weight`."""


class QueueReason(StrEnum):
    """Why a person should look at a chat."""

    TOO_FEW_VOTES = "too_few_votes"
    DISAGREEMENT = "disagreement"
    LOW_WEIGHT = "low_weight"
    SPEAKS_TO_LABELLER = "speaks_to_labeller"


class AgreeOptions(BaseModel):
    """What counts as labelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    consensus: ConsensusMethod = ConsensusMethod.VOTES
    keep: Keep = Keep.AGREED
    min_votes: int = Field(default=2, ge=1)
    min_weight: float = Field(default=0.7, gt=0, le=1)
    taxonomy: str = Field(default=CHAT_13.name, description="Whose categories: a name that ships, or a file.")


class _Judged(NamedTuple):
    row: ChatRow
    votes: VotesByAnnotator
    weights: Weights


def queue_path(out: Path) -> Path:
    """Return where the chats for a person go."""
    return out.with_suffix(".queue.jsonl")


def agree(
    paths: Sequence[Path],
    answer_paths: Sequence[Path],
    out: Path,
    options: AgreeOptions,
    *,
    tables: Sequence[Path] = (),
    gold: Path | None = None,
) -> StageReport:
    """Run the stage.

    Args:
        paths: The chats that were labelled, JSON lines; `annotations` they carry count as votes.
        answer_paths: Answers files that `label` wrote.
        out: The labelled chats; the queue, the rejects and the report go beside it.
        options: What counts as labelled.
        tables: Label tables (CSV), one annotator each.
        gold: Labelled chats to measure each annotator on.

    Raises:
        DataError: no chat has a vote, or a file is not what it should be.
    """
    taxonomy = taxonomy_of(options.taxonomy)
    inputs = digests([*paths, *answer_paths, *tables, *([gold] if gold else [])])
    wanted = options.model_dump(mode="json") | {"gold": gold is not None, "codes": taxonomy.codes}
    if finished := finished_report(out, STAGE, inputs, wanted):
        return finished
    with StageFiles(out, [out, queue_path(out)]) as files:
        rows = _distinct(paths, files)
        votes = gather_votes(rows, answer_paths, tables, taxonomy)
        annotators = sorted({name for chat in votes.values() for name in chat})
        if not annotators:
            raise DataError(f"{', '.join(map(str, paths))}: no chat has a vote; expected answers of these chats")
        judged = _judge(rows, votes, annotators, options, taxonomy)
        reasons = _write(judged, out, files, options, taxonomy)
    details = agreement_report(
        vote_matrix([votes[row.chat_id] for row in rows], annotators, taxonomy), annotators, taxonomy
    )
    details["n_queued_by_reason"] = dict(sorted(reasons.items()))
    details["accuracy_on_gold"] = _gold_accuracy(gold, votes, annotators, taxonomy) if gold else None
    return files.report(STAGE, inputs, wanted, details)


def _write(
    judged: Sequence[_Judged], out: Path, files: StageFiles, options: AgreeOptions, taxonomy: Taxonomy
) -> Counter[str]:
    """Write the labelled chats and the queue, most doubtful first; return the queue's reasons."""
    reasons: Counter[str] = Counter()
    queued = []
    for chat in judged:
        reason = _queue_reason(chat, options, taxonomy)
        if reason is None:
            files.write(_labelled_row(chat, options, taxonomy))
        else:
            reasons[reason.value] += 1
            doubt = {"queue_reason": reason.value, "doubt": _doubt(chat, taxonomy)}
            queued.append(_labelled_row(chat, options, taxonomy) | doubt)
    for row in sorted(queued, key=lambda row: -row["doubt"]):
        files.write(row, queue_path(out))
    return reasons


def _distinct(paths: Sequence[Path], files: StageFiles) -> list[ChatRow]:
    rows: dict[str, ChatRow] = {}
    for row in read_chat_rows(paths, files.reject):
        if first := rows.get(row.chat_id):
            error = f"{first.position} has this chat_id; votes are told apart by it, so each chat needs its own"
            reason = DropReason.REPEATED_CHAT_ID.value
            files.reject(Reject(position=row.position, reason=reason, error=error, chat_id=row.chat_id))
        else:
            rows[row.chat_id] = row
    return list(rows.values())


def _judge(
    rows: Sequence[ChatRow],
    votes: dict[str, VotesByAnnotator],
    annotators: list[str],
    options: AgreeOptions,
    taxonomy: Taxonomy,
) -> list[_Judged]:
    """Weigh the categories of each chat; chats without a vote get equal weights."""
    n_codes = len(taxonomy.codes)
    weights = np.full((len(rows), n_codes), 1 / n_codes)
    voted = [i for i, row in enumerate(rows) if votes[row.chat_id]]
    chats = [votes[rows[i].chat_id] for i in voted]
    if options.consensus is ConsensusMethod.DAWID_SKENE:
        weights[voted] = dawid_skene(vote_matrix(chats, annotators, taxonomy), n_codes).posterior
    else:
        weights[voted] = [_mean_weights(list(chat.values()), taxonomy) for chat in chats]
    return [_Judged(row, votes[row.chat_id], weights[i]) for i, row in enumerate(rows)]


def _mean_weights(votes: Sequence[Vote], taxonomy: Taxonomy) -> Weights:
    soft_labels = np.array([[vote.soft_label.get(code, 0.0) for code in taxonomy.codes] for vote in votes])
    mean: Weights = soft_labels.mean(axis=0)
    return mean / mean.sum()


def _top(chat: _Judged, taxonomy: Taxonomy) -> str:
    """Return the chat's category: of equal weights the one most voted for, then a banned one, as the taxonomy says."""
    counts = Counter(vote.category for vote in chat.votes.values())
    heaviest = float(chat.weights.max())
    tied = [code for code, weight in zip(taxonomy.codes, chat.weights, strict=True) if math.isclose(weight, heaviest)]
    return min(tied, key=lambda code: (-counts[code], code not in taxonomy.banned, code))


def _is_unanimous(chat: _Judged) -> bool:
    return len({vote.category for vote in chat.votes.values()}) == 1


def _queue_reason(chat: _Judged, options: AgreeOptions, taxonomy: Taxonomy) -> QueueReason | None:
    if len(chat.votes) < options.min_votes:
        return QueueReason.TOO_FEW_VOTES
    if _top(chat, taxonomy) not in taxonomy.banned and speaks_to_labeller(chat.row.turns, taxonomy):
        return QueueReason.SPEAKS_TO_LABELLER
    if options.keep is Keep.AGREED and not _is_unanimous(chat):
        return QueueReason.DISAGREEMENT
    if options.keep is Keep.CONSENSUS and float(chat.weights.max()) < options.min_weight:
        return QueueReason.LOW_WEIGHT
    return None


def _labelled_row(chat: _Judged, options: AgreeOptions, taxonomy: Taxonomy) -> dict[str, Any]:
    # Weights below a thousandth are noise of the estimate, and a number for every category is hard to read.
    weights = zip(taxonomy.codes, chat.weights, strict=True)
    soft_label = {code: round(float(w), 4) for code, w in weights if w >= 0.001}  # noqa: PLR2004
    unanimous = _is_unanimous(chat)
    return chat.row.fields | {
        # Where all agree, their word stands, whatever a model of their habits makes of it.
        "category": next(iter(chat.votes.values())).category if unanimous else _top(chat, taxonomy),
        "soft_label": soft_label,
        "annotations": {name: vote.annotation() for name, vote in sorted(chat.votes.items())},
        "agreed": unanimous and len(chat.votes) > 1,
        "consensus": options.consensus.value,
    }


def _doubt(chat: _Judged, taxonomy: Taxonomy) -> float:
    """Return the entropy of the weights, 0..1, plus 1 where banned and safe are both in play: those come first."""
    weights = chat.weights[chat.weights > 0]
    entropy = float(-(weights * np.log(weights)).sum()) / math.log(len(taxonomy.codes))
    sides = {vote.category in taxonomy.banned for vote in chat.votes.values()}
    return round(entropy + (1.0 if len(sides) > 1 else 0.0), 4)


def _gold_accuracy(
    gold: Path, votes: dict[str, VotesByAnnotator], annotators: Sequence[str], taxonomy: Taxonomy
) -> dict[str, Any]:
    """Return, per annotator, how many of the gold chats it was right on."""
    truth = {}
    for row in read_chat_rows([gold], lambda _: None):
        if (category := row.fields.get("category")) not in taxonomy.codes:
            raise DataError(
                f"{row.position}: category is not one of {', '.join(taxonomy.codes)}; expected labelled gold chats"
            )
        truth[row.chat_id] = category
    result = {}
    for name in annotators:
        right = [chat[name].category == truth[i] for i, chat in votes.items() if i in truth and name in chat]
        result[name] = {"n_chats": len(right), "accuracy": sum(right) / len(right) if right else None}
    return result

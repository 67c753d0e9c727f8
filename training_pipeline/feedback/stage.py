"""From joined reports to rows that `split` and `train` read: through `preprocess` and `agree`, as any other chats.

Text that is not masked yet stands in a folder of its own beside the output, which is gone when the stage ends.

Invariant: every reported text ends in exactly one of the rows, the queue and the rejects; every report that counts
stands in the votes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from schemas.taxonomy import CHAT_13, taxonomy_of
from schemas.verdict import wire_time
from training_pipeline.data.agree import AgreeOptions, ConsensusMethod, Keep, agree, queue_path
from training_pipeline.data.chat_rows import Reject, encode_row
from training_pipeline.data.errors import DataError
from training_pipeline.data.pii import PiiMasker
from training_pipeline.data.preprocess import PreprocessOptions, preprocess
from training_pipeline.data.stage_files import StageFiles, StageReport, rejects_path
from training_pipeline.feedback.join import ReportedText

STAGE: Final = "feedback"

DECISION_ONLY: Final = "decision_only"
"""Why a text is in the queue of which nobody named a category."""

_JOINED: Final = "joined"
_POSITION: Final = re.compile(rf"{_JOINED}\.jsonl:(\d+)|clean\.jsonl:(\d+)")


class FeedbackOptions(BaseModel):
    """How reports become rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_messages: int = Field(default=12, ge=1, description="Messages kept of a chat, from its end.")
    mask_pii: bool = False
    phone_region: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    consensus: ConsensusMethod = ConsensusMethod.VOTES
    keep: Keep = Keep.AGREED
    min_votes: int = Field(default=1, ge=1)
    min_weight: float = Field(default=0.7, gt=0, le=1)
    taxonomy: str = Field(default=CHAT_13.name, description="Whose categories: a name that ships, or a file.")


class Joined(NamedTuple):
    """What the join left."""

    texts: Sequence[ReportedText]
    rejects: Sequence[Reject]
    inputs: dict[str, str]
    """What was read: a file's digest, or a topic's offsets."""
    n_reports: int


def votes_path(out: Path) -> Path:
    """Return where it stands who said what."""
    return out.with_suffix(".votes.jsonl")


def write_rows(joined: Joined, out: Path, options: FeedbackOptions) -> StageReport:
    """Write the labelled rows, the queue, the votes, the rejects and the report.

    Raises:
        DataError: the options do not fit each other.
    """
    taxonomy_of(options.taxonomy)
    out.parent.mkdir(parents=True, exist_ok=True)
    masker, details = PiiMasker(options.phone_region), _counts(joined)
    with (
        TemporaryDirectory(prefix=".feedback-", dir=out.parent) as folder,
        StageFiles(out, [out, queue_path(out), votes_path(out)]) as files,
    ):
        for reject in joined.rejects:
            files.reject(reject)
        for vote in _votes(joined.texts, masker, mask_pii=options.mask_pii):
            files.write(vote, votes_path(out))
        if joined.texts:
            details |= _labelled(joined.texts, Path(folder), files, out, options)
    return files.report(STAGE, joined.inputs, options.model_dump(mode="json"), details)


def _counts(joined: Joined) -> dict[str, Any]:
    votes = [report.feedback for text in joined.texts for report in text.votes.values()]
    return {
        "n_reports": joined.n_reports,
        "n_votes": len(votes),
        "n_reporters": len({vote.reporter for vote in votes}),
        "n_texts": len(joined.texts),
        "n_queued_by_reason": {},
    }


def _labelled(
    texts: Sequence[ReportedText], folder: Path, files: StageFiles, out: Path, options: FeedbackOptions
) -> dict[str, Any]:
    """Have the stages that label any chats label these; return what they found."""
    rows = [text.row(options.last_messages) for text in texts]
    names = [str(row["extracted_from"]) for row in rows]
    joined, clean, labelled = (folder / f"{name}.jsonl" for name in (_JOINED, "clean", "labelled"))
    joined.write_bytes(b"".join(map(encode_row, rows)))
    masking = PreprocessOptions(
        near_duplicate_threshold=None, mask_pii=options.mask_pii, phone_region=options.phone_region
    )
    cleaned = preprocess([joined], clean, masking)
    _take_rejects(clean, names, files)
    details = {name: cleaned.details[name] for name in ("n_chats_by_language", "n_masked_by_kind")}
    kept = _lines(clean)
    voted = [row for row in kept if row["annotations"]]
    reasons: dict[str, int] = {}
    if voted:
        clean.write_bytes(b"".join(map(encode_row, voted)))
        agreeing = options.model_dump(include=set(AgreeOptions.model_fields))
        found = agree([clean], [], labelled, AgreeOptions.model_validate(agreeing)).details
        for row in _lines(labelled):
            files.write(row)
        for row in _lines(queue_path(labelled)):
            files.write(row, queue_path(out))
        _take_rejects(labelled, [str(row["extracted_from"]) for row in voted], files)
        reasons |= found.pop("n_queued_by_reason")
        details |= found
    for row in kept:
        if not row["annotations"]:
            files.write(row | {"queue_reason": DECISION_ONLY}, queue_path(out))
            reasons[DECISION_ONLY] = reasons.get(DECISION_ONLY, 0) + 1
    return details | {"n_queued_by_reason": reasons}


def _take_rejects(stage_out: Path, names: Sequence[str], files: StageFiles) -> None:
    """Take over another stage's rejects, by the events' own places in place of lines of a file that will be gone."""

    def named(text: str) -> str:
        return _POSITION.sub(lambda found: names[int(found[1] or found[2]) - 1], text)

    for line in _lines(rejects_path(stage_out)):
        reject = Reject.model_validate(line)
        changes = {"position": named(reject.position), "error": named(reject.error)}
        files.reject(reject.model_copy(update=changes))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _votes(texts: Sequence[ReportedText], masker: PiiMasker, *, mask_pii: bool) -> Iterator[dict[str, Any]]:
    """Yield who said what, in the order in which it was said about each text."""
    for text in texts:
        for reporter, (position, said) in text.votes.items():
            note = masker.mask(said.note, Counter()) if said.note is not None and mask_pii else said.note
            yield {
                "position": position,
                "chat_id": text.found.event.chat_id,
                "event": text.found.name,
                "fingerprint": text.found.fingerprint,
                "verdict_id": said.verdict_id,
                "reporter": reporter,
                "category": said.category,
                "decision": said.decision,
                "note": note,
                "reported_at": wire_time(said.reported_at),
            }


def refuse_where_no_row_is_left(report: StageReport, out: Path) -> None:
    """Refuse reports of which no row came; call it when the report has been printed.

    Raises:
        DataError: that is so; it names the commonest reason, a reject's or the queue's.
    """
    if report.n_written:
        return
    queued: dict[str, int] = report.details["n_queued_by_reason"]
    n_by_reason = {**report.n_rejected_by_reason, **queued}
    if not n_by_reason:
        raise DataError("no report was found; expected some; check the topic or file, and the times")
    reason = max(n_by_reason, key=lambda name: n_by_reason[name])
    where = queue_path(out) if reason in queued else rejects_path(out)
    raise DataError(
        f"no row is left of {report.details['n_reports']} reports; the commonest reason: {reason} "
        f"({n_by_reason[reason]}); expected a category that reporters agree on, and its event; all are in {where}"
    )

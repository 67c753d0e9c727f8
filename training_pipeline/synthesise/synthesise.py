"""Run the stage: rounds of writing, screening and judging.

They go on until each category has what was wanted, or all tries are used. A round asks, for each category, for as many
conversations as are still missing. Which are kept is decided in the order of their numbers and from the recorded
answers alone. So a run that was interrupted, at any request, ends with the same bytes as one that was not.

Invariant: every conversation that was asked for ends as one row or one reject; no two rows, and no row and an avoided
chat, are near-duplicates; with a judge, every row has the category that the judge names.
"""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas import Turn
from schemas.taxonomy import Taxonomy
from training_pipeline.data.answer_log import Answer
from training_pipeline.data.asking import Asking, Budget
from training_pipeline.data.chat_rows import Reject, encode_row, read_chat_rows
from training_pipeline.data.label_answer import Status
from training_pipeline.data.near_duplicates import DEFAULT_THRESHOLD, NearDuplicateIndex, shingles
from training_pipeline.data.pii import PiiMasker
from training_pipeline.data.stage_files import (
    StageFiles,
    StageReport,
    digests,
    finished_report,
    part_path,
)
from training_pipeline.synthesise.brief import Brief, Judge, Writer
from training_pipeline.synthesise.grid import Cell, Grid
from training_pipeline.synthesise.judging import Judging
from training_pipeline.synthesise.rows import RowMaker
from training_pipeline.synthesise.writing import Draft, Drop, Dropped, Missing, WriterAccount, Writing
from training_pipeline.synthesise.written_log import WrittenLog

STAGE: Final = "synthesise"

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how many conversations of the round are done, and how many it has."""


class SynthesisOptions(BaseModel):
    """How much, and what is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_category: int = Field(default=200, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)
    asked_ratio: float = Field(
        default=2.0, ge=1, le=100, description="Conversations asked for at most, per wanted one."
    )
    n_attempts: int = Field(default=3, ge=1, le=10, description="Requests for one conversation at most.")
    near_duplicate_threshold: float | None = Field(default=DEFAULT_THRESHOLD, gt=0, le=1)
    mask_pii: bool = True

    @property
    def most_asked(self) -> int:
        """Conversations that are asked for at most, of one category."""
        return math.ceil(self.per_category * self.asked_ratio)


@dataclass(frozen=True)
class Synthesis:
    """What to write, for which taxonomy, by whom."""

    taxonomy: Taxonomy
    brief: Brief
    writer: Writer
    judge: Judge | None
    options: SynthesisOptions
    inputs: Mapping[str, str]
    """Digests of the brief's file and the avoided chats, by name."""
    avoided: Sequence[Path] = ()

    def described(self) -> dict[str, Any]:
        """Return the options as the report holds them."""
        decides = {"base_url", "model", "output", "temperature", "max_answer_tokens", "extra_body"}
        return self.options.model_dump(mode="json") | {
            "taxonomy": self.taxonomy.ref.model_dump(mode="json"),
            "taxonomy_digest": hashlib.sha256(self.taxonomy.model_dump_json().encode()).hexdigest()[:16],
            "writer": self.writer.model_dump(mode="json", include=decides),
            "judge": self.judge and self.judge.model_dump(mode="json", include=decides),
        }


@dataclass
class CategoryBalance:
    """What came of one category."""

    n_asked: int = 0
    n_written: int = 0
    n_dropped_by_reason: Counter[str] = field(default_factory=Counter)
    n_judged_as: Counter[str] = field(default_factory=Counter)
    """Of those dropped because the judge names another category: which."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the report holds it."""
        return {
            "asked": self.n_asked,
            "written": self.n_written,
            "dropped": dict(sorted(self.n_dropped_by_reason.items())),
            "judged_as": dict(sorted(self.n_judged_as.items())),
        }


class Outcome(NamedTuple):
    """What a run came to."""

    report: StageReport | None
    """None where some conversations have no answer yet: nothing is written under the final name."""
    balance: dict[str, CategoryBalance]
    writer: WriterAccount
    judge: Judging | None
    part: Path | None
    """Where the rows so far are, if the run is not complete."""


def answers_folder(out: Path) -> Path:
    """Return where the answers of a run are kept by default."""
    return out.with_suffix(".answers")


def synthesise(
    wanted: Synthesis,
    out: Path,
    answers: Path,
    api_keys: Mapping[str, str | None],
    *,
    budget: Budget | None,
    on_progress: OnProgress = lambda _phase, _n_done, _n_total: None,
) -> Outcome:
    """Run the stage; returns at once where its report says that nothing has changed.

    Args:
        wanted: What to write.
        out: The conversations, JSON lines; rejects and report go beside it.
        answers: Folder of the recorded answers; what is in it is not asked again.
        api_keys: Keys by the endpoint's name.
        budget: What may be spent; None asks nothing and makes rows of what is recorded.
        on_progress: For a progress bar.

    Raises:
        DataError: a limit without prices, answers of another form, or an avoided file that cannot be read.
    """
    described = wanted.described()
    writing_account = WriterAccount(writer=wanted.writer.name)
    if finished := finished_report(out, STAGE, dict(wanted.inputs), described):
        return Outcome(finished, _balance_of(finished), writing_account, None, None)
    if budget is not None:
        budget.require_prices([wanted.writer, *([wanted.judge] if wanted.judge else [])])
    with WrittenLog(answers / "written.jsonl") as log:
        writing = Writing(wanted.brief, wanted.taxonomy, wanted.writer, log, n_attempts=wanted.options.n_attempts)
        judging = None
        if wanted.judge is not None:
            key = api_keys.get(wanted.judge.name)
            judging = Judging(wanted.judge, key, wanted.taxonomy, answers / "judged", budget)
        run = _Run(wanted, writing, judging, on_progress)
        asking = None
        if budget is not None:
            asking = Asking(wanted.writer, api_keys.get(wanted.writer.name), writing.task, budget)
        is_complete = run.run(asking)
    if not is_complete:
        out.parent.mkdir(parents=True, exist_ok=True)
        part_path(out).write_bytes(b"".join(encode_row(row) for row in run.rows))
        return Outcome(None, run.balance, writing.account, judging, part_path(out))
    report = _write(run, out, dict(wanted.inputs), described)
    return Outcome(report, run.balance, writing.account, judging, None)


def _write(run: "_Run", out: Path, inputs: dict[str, str], described: dict[str, Any]) -> StageReport:
    with StageFiles(out) as files:
        for row in run.rows:
            files.write(row)
        for dropped in run.dropped:
            files.reject(Reject(position=dropped.cell.position, reason=dropped.reason, error=dropped.error))
    details = {
        "categories": {code: balance.as_json() for code, balance in run.balance.items()},
        "n_masked_by_kind": dict(sorted(run.n_masked.items())),
    }
    return files.report(STAGE, inputs, described, details)


def _balance_of(report: StageReport) -> dict[str, CategoryBalance]:
    return {
        code: CategoryBalance(found["asked"], found["written"], Counter(found["dropped"]), Counter(found["judged_as"]))
        for code, found in report.details["categories"].items()
    }


class _Run:
    """The rounds of one run."""

    def __init__(self, wanted: Synthesis, writing: Writing, judging: Judging | None, on_progress: OnProgress) -> None:
        self._wanted = wanted
        self._writing = writing
        self._judging = judging
        self._on_progress = on_progress
        self._grid = Grid(wanted.brief, wanted.options.seed)
        self._keep = _Keeper(wanted)
        self.balance = {code: CategoryBalance() for code in wanted.taxonomy.codes}
        self.rows: list[dict[str, Any]] = []
        self.dropped: list[Dropped] = []

    @property
    def n_masked(self) -> Counter[str]:
        """Personal data that was masked, by kind."""
        return self._keep.n_masked

    def run(self, asking: Asking | None) -> bool:
        """Run rounds to the end; return whether every conversation that was asked for has its answers."""
        while cells := self._next_cells():
            if asking is not None:
                self._ask(cells, asking)
            found = [self._writing.read(cell) for cell in cells]
            kept = [self._screened(draft) for draft in found]
            is_judged = self._judge([chat for chat in kept if chat is not None])
            if not is_judged or any(isinstance(draft, Missing) for draft in found):
                return False
        return True

    def _next_cells(self) -> list[Cell]:
        """Return the cells of the next round, the categories in turn; empty once none is short or may be asked for."""
        most = self._wanted.options.most_asked
        numbered: list[tuple[int, str]] = []
        for code, balance in self.balance.items():
            n_more = min(self._wanted.options.per_category - balance.n_written, most - balance.n_asked)
            numbered += [(balance.n_asked + i, code) for i in range(n_more)]
            balance.n_asked += max(n_more, 0)
        columns = self._wanted.taxonomy.columns
        return [self._grid.cell(code, n) for n, code in sorted(numbered, key=lambda one: (one[0], columns[one[1]]))]

    def _ask(self, cells: Sequence[Cell], asking: Asking) -> None:
        n_done = 0

        def count() -> None:
            nonlocal n_done
            n_done += 1
            self._on_progress("write", n_done, len(cells))

        asyncio.run(self._writing.write(cells, asking, count))

    def _screened(self, found: Draft | Dropped | Missing) -> "_Kept | None":
        screened = self._keep.screened(found) if isinstance(found, Draft) else found
        if isinstance(screened, Dropped):
            self._drop(screened)
        return screened if isinstance(screened, _Kept) else None

    def _judge(self, kept: "Sequence[_Kept]") -> bool:
        """Let the judge decide on what passed the screens; return whether it has decided on all."""
        if self._judging is None:
            for chat in kept:
                self._accept(chat, None)
            return True
        chats = [(chat.row["chat_id"], chat.turns) for chat in kept]
        answers = self._judging.judge(chats, lambda n_done: self._on_progress("judge", n_done, len(chats)))
        for chat in kept:
            answer = answers[chat.row["chat_id"]]
            if answer is not None:
                self._decide(chat, answer)
        return all(answers.values())

    def _decide(self, chat: "_Kept", answer: Answer) -> None:
        cell = chat.draft.cell
        if answer.status is not Status.LABELLED or answer.category is None:
            self._drop(Dropped(cell, Drop.NOT_JUDGED.value, f"the judge gave no label: {answer.error}"))
        elif answer.category != cell.category:
            self.balance[cell.category].n_judged_as[answer.category] += 1
            error = f"the judge names {answer.category}; expected {cell.category}"
            self._drop(Dropped(cell, Drop.OTHER_CLASS.value, error))
        else:
            self._accept(chat, answer)

    def _accept(self, chat: "_Kept", answer: Answer | None) -> None:
        self.rows.append(self._keep.maker.with_votes(chat.row, answer))
        self.balance[chat.draft.cell.category].n_written += 1

    def _drop(self, dropped: Dropped) -> None:
        self.dropped.append(dropped)
        self.balance[dropped.cell.category].n_dropped_by_reason[dropped.reason] += 1


class _Kept(NamedTuple):
    """A draft that passed the screens."""

    draft: Draft
    row: dict[str, Any]
    turns: list[Turn]


class _Keeper:
    """Screens drafts one after the other; remembers them, to know near-duplicates."""

    def __init__(self, wanted: Synthesis) -> None:
        self._wanted = wanted
        self._masker = PiiMasker() if wanted.options.mask_pii else None
        self.n_masked: Counter[str] = Counter()
        self.maker = RowMaker(wanted.taxonomy, wanted.brief, wanted.writer, wanted.judge, wanted.options.seed)
        threshold = wanted.options.near_duplicate_threshold
        self._index = None if threshold is None else NearDuplicateIndex(threshold)
        self._known: list[tuple[Drop, str]] = []
        for row in read_chat_rows(wanted.avoided, lambda _: None):
            self._similar(row.turns, Drop.NEAR_AVOIDED, f"{row.position}, {row.chat_id}", only_if_new=False)

    def screened(self, draft: Draft) -> _Kept | Dropped:
        """Return what is kept of a draft, or why it is not."""
        made = self.maker.row(draft, self._masker, self.n_masked)
        if isinstance(made, Dropped):
            return made
        row, turns = made
        similar = self._similar(turns, Drop.NEAR_DUPLICATE, draft.cell.position, only_if_new=True)
        if similar is not None:
            return Dropped(draft.cell, *similar)
        return _Kept(draft, row, turns)

    def _similar(self, turns: Sequence[Turn], kind: Drop, name: str, *, only_if_new: bool) -> tuple[str, str] | None:
        """Return reason and error where a known chat says nearly the same, and remember this one."""
        if self._index is None:
            return None
        text = "\n".join(turn.text for turn in turns)
        similar = self._index.similar_then_add(len(self._known), shingles(text), only_if_new=only_if_new)
        self._known.append((kind, name))
        if not (similar and only_if_new):
            return None
        number, value = similar[0]
        known, of = self._known[number]
        return known.value, f"Jaccard similarity {value:.3f} with {of}"


def digests_of(brief: Path, avoided: Sequence[Path]) -> dict[str, str]:
    """Return the digests that a report names its inputs by."""
    return digests([brief, *avoided])

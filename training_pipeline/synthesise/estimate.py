"""What a run will ask and cost, without asking: the prompts are made and counted, the answers guessed.

Tokens are guessed at four characters each, as English has it; other scripts take up to three times as many.
"""

import math
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from training_pipeline.data.label_prompt import label_task, quote_chat
from training_pipeline.synthesise.brief import Judge, Length, Writer
from training_pipeline.synthesise.grid import Grid
from training_pipeline.synthesise.judging import Judging
from training_pipeline.synthesise.rows import RowMaker
from training_pipeline.synthesise.synthesise import Synthesis
from training_pipeline.synthesise.writing import Draft, Missing, Writing
from training_pipeline.synthesise.written_log import WrittenLog

_CHARACTERS_PER_TOKEN: Final = 4
_TOKENS_PER_WORD: Final = 1.4
_TOKENS_PER_MESSAGE: Final = 20
"""Of the JSON around a message."""
_LABEL_TOKENS: Final = 25


class Share(BaseModel):
    """What one model will be asked."""

    model_config = ConfigDict(extra="forbid")

    n_requests: int = 0
    n_recorded: int = 0
    """Answered by an earlier run: not asked again."""
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    cost_usd: float | None = None


class Estimate(BaseModel):
    """What a run will ask and cost if every conversation is kept, and at most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_conversations: int
    writer: Share
    judge: Share | None
    cost_usd: float | None
    """None where a price is missing."""
    most_requests: int
    """If all of them have to be written again, as often as the options allow."""
    most_cost_usd: float | None


def estimate(wanted: Synthesis, answers: Path) -> Estimate:
    """Count the requests of a first round; nothing is sent, and no file is written.

    Args:
        wanted: What would be written.
        answers: Folder of what is recorded already.
    """
    options = wanted.options
    log = WrittenLog(answers / "written.jsonl")
    log.read()
    writing = Writing(wanted.brief, wanted.taxonomy, wanted.writer, log, n_attempts=options.n_attempts)
    grid = Grid(wanted.brief, options.seed)
    found = [writing.read(grid.cell(code, n)) for n in range(options.per_category) for code in wanted.taxonomy.codes]
    missing = [cell for cell in found if isinstance(cell, Missing)]
    system_tokens = _tokens(writing.task.system)
    writer = Share(
        n_requests=len(missing),
        n_recorded=len(found) - len(missing),
        n_input_tokens=sum(system_tokens + _tokens(cell.prompt) for cell in missing),
        n_output_tokens=sum(_answer_tokens(cell.cell.length, wanted.writer) for cell in missing),
    )
    judge = None
    if wanted.judge is not None:
        drafts = [draft for draft in found if isinstance(draft, Draft)]
        judge = _judged(wanted, wanted.judge, missing, drafts, answers)
    for share, model in ((writer, wanted.writer), (judge, wanted.judge)):
        if share is not None and model is not None:
            share.cost_usd = model.cost_usd(share.n_input_tokens, share.n_output_tokens)
    n_judged = judge.n_requests if judge else 0
    tries = options.most_asked / options.per_category
    return Estimate(
        n_conversations=len(found),
        writer=writer,
        judge=judge,
        cost_usd=_sum(writer.cost_usd, judge.cost_usd if judge else 0.0),
        most_requests=math.ceil(tries * (options.n_attempts * writer.n_requests + n_judged)),
        most_cost_usd=_sum(
            _times(writer.cost_usd, tries * options.n_attempts), _times(judge.cost_usd, tries) if judge else 0.0
        ),
    )


def _judged(wanted: Synthesis, judge: Judge, missing: list[Missing], drafts: list[Draft], answers: Path) -> Share:
    judging = Judging(judge, None, wanted.taxonomy, answers / "judged", None)
    recorded = judging.recorded()
    maker = RowMaker(wanted.taxonomy, wanted.brief, wanted.writer, judge, wanted.options.seed)
    made = [maker.unscreened_turns(draft) for draft in drafts]
    unjudged = [turns for turns in made if judging.request(turns) not in recorded]
    prompt_tokens = _tokens(label_task(wanted.taxonomy).system)
    frame_tokens = _tokens(quote_chat([], last_messages=1, message_characters=100))
    chats_tokens = sum(_answer_tokens(cell.cell.length, wanted.writer) for cell in missing)
    chats_tokens += sum(_tokens("".join(turn.text for turn in turns)) for turns in unjudged)
    n_requests = len(missing) + len(unjudged)
    return Share(
        n_requests=n_requests,
        n_recorded=len(drafts) - len(unjudged),
        n_input_tokens=n_requests * (prompt_tokens + frame_tokens) + chats_tokens,
        n_output_tokens=n_requests * min(_LABEL_TOKENS, judge.max_answer_tokens),
    )


def _tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _answer_tokens(length: Length, writer: Writer) -> int:
    """Return the tokens of a conversation of middling length."""
    n_messages = sum(length.messages) / 2
    n_words = sum(length.words) / 2
    return min(writer.max_answer_tokens, math.ceil(n_messages * (_TOKENS_PER_MESSAGE + _TOKENS_PER_WORD * n_words)))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one + other, 6)


def _times(cost_usd: float | None, n: float) -> float | None:
    return None if cost_usd is None else cost_usd * n

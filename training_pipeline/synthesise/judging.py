"""Have a labeller judge what was written, by the prompt, the parser and the answers file of `label`.

The judge reads the conversation and not what it was asked to be, so it agrees for no reason but the text.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from schemas import Turn
from schemas.taxonomy import Taxonomy
from training_pipeline.data.answer_log import Answer, read_answers, request_digest
from training_pipeline.data.asking import Budget
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.label import AnnotatorAccount, label
from training_pipeline.data.label_answer import Status
from training_pipeline.data.label_prompt import quote_chat
from training_pipeline.synthesise.brief import Judge


class Judging:
    """A judge under one taxonomy.

    Args:
        judge: Who judges.
        api_key: None for an endpoint without keys.
        taxonomy: Whose categories.
        folder: Of the answers file, `<judge>.jsonl`.
        budget: What may be spent; None asks nothing and reads what is recorded.
    """

    def __init__(
        self, judge: Judge, api_key: str | None, taxonomy: Taxonomy, folder: Path, budget: Budget | None
    ) -> None:
        self._judge = judge
        self._api_key = api_key
        self._taxonomy = taxonomy
        self._folder = folder
        self._budget = budget
        self.accounts: list[AnnotatorAccount] = []
        """One for each round of the run."""

    @property
    def stopped(self) -> str | None:
        """Why the last round was not judged to its end."""
        return self.accounts[-1].stopped if self.accounts else None

    def judge(
        self, chats: Sequence[tuple[str, list[Turn]]], on_done: Callable[[int], None]
    ) -> dict[str, Answer | None]:
        """Return the answer on each chat; None where there is none yet.

        Args:
            chats: chat_id and turns.
            on_done: Called with how many are judged.
        """
        rows = [ChatRow(position=chat_id, chat_id=chat_id, turns=turns, fields={}) for chat_id, turns in chats]
        if self._budget is not None and rows:
            self.accounts += label(
                rows,
                [self._judge],
                {self._judge.name: self._api_key},
                self._folder,
                taxonomy=self._taxonomy,
                budget=self._budget,
                on_answer=lambda _, n_done: on_done(n_done),
            )
        answers = self.recorded()
        return {row.chat_id: answers.get(self.request(row.turns)) for row in rows}

    def request(self, turns: Sequence[Turn]) -> str:
        """Return the digest of the question on a chat."""
        prompt = quote_chat(
            turns, last_messages=self._judge.last_messages, message_characters=self._judge.message_characters
        )
        return request_digest(self._judge, prompt, self._taxonomy)

    def recorded(self) -> dict[str, Answer]:
        """Return the answers of the file by request; by chat would not do, since two may have one text."""
        path = self._folder / f"{self._judge.name}.jsonl"
        if not path.exists():
            return {}
        paid: dict[str, Answer] = {}
        for answer in read_answers(path):
            if answer.status is not Status.FAILED:
                paid.setdefault(answer.request, answer)
        return paid

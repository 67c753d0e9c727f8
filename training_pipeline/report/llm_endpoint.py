"""An LLM behind a chat-completions endpoint as a classifier: the annotators of the `label` stage, asked the test chats.

The prompt, the parser, the retries and the answers file are those of `label`, so a comparison that is run again asks
and pays nothing twice, and an answer outside the closed set is no category.

Invariant: a chat without a valid answer counts as wrong and is shown as such; a run that could not ask every chat is
refused, never reported on what it got.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from schemas import Turn
from schemas.taxonomy import Taxonomy
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.answer_log import Answer, read_answers, request_digest
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.errors import DataError
from training_pipeline.data.label import label
from training_pipeline.data.label_answer import Status
from training_pipeline.data.label_prompt import quote_chat
from training_pipeline.quality.evaluate import OnProgress, Predictions
from training_pipeline.quality.metrics import NO_ANSWER
from training_pipeline.report.document import Identity, Speed, Usage

_NAMED: Final = "one request at a time, as the endpoint answered it; network included, retries and rate limits not"


class LlmEndpoint:
    """One annotator as a classifier.

    Args:
        annotator: Endpoint, model, prices and limits.
        api_key: None for an endpoint without keys.
        answers: Folder of the answers files.
        max_cost_usd: Stop asking when a run has cost so much; needs prices.
    """

    is_attackable = False

    def __init__(
        self,
        annotator: Annotator,
        api_key: str | None,
        answers: Path,
        *,
        max_cost_usd: float | None = None,
    ) -> None:
        self._annotator = annotator
        self._api_key = api_key
        self._folder = answers
        self._max_cost_usd = max_cost_usd
        self._answers: list[Answer | None] = []
        self.identity = Identity(name=annotator.name, kind="llm", version=annotator.model, detail="LLM, zero-shot")

    def predict(self, chats: LabelledChats, on_progress: OnProgress | None = None) -> Predictions:
        """Ask every chat that has no answer yet.

        Raises:
            DataError: the endpoint, the key or the budget ended the run before every chat was asked.
        """
        rows = [
            ChatRow(position=str(i), chat_id=chat_id, turns=list(turns), fields={})
            for i, (chat_id, turns) in enumerate(zip(chats.chat_ids, chats.conversations, strict=True))
        ]
        (account,) = label(
            rows,
            [self._annotator],
            {self._annotator.name: self._api_key},
            self._folder,
            taxonomy=chats.taxonomy,
            max_cost_usd=self._max_cost_usd,
            on_answer=None if on_progress is None else lambda _, n_done: on_progress(n_done),
        )
        if account.stopped is not None:
            raise DataError(
                f"--llm {self._annotator.name}: {account.stopped}; {account.n_left} of {len(chats)} chats have no "
                f"answer; what was answered is kept in {self._folder}: run again to go on"
            )
        self._answers = self._read([self._request(row.turns, chats.taxonomy) for row in rows])
        return self._predictions(chats)

    def _request(self, turns: Sequence[Turn], taxonomy: Taxonomy) -> str:
        annotator = self._annotator
        prompt = quote_chat(
            turns, last_messages=annotator.last_messages, message_characters=annotator.message_characters
        )
        return request_digest(annotator, prompt, taxonomy)

    def _read(self, requests: Sequence[str]) -> list[Answer | None]:
        """Return the answer to each request; by request, because the same text may stand under several chat ids."""
        paid: dict[str, Answer] = {}
        for answer in read_answers(self._folder / f"{self._annotator.name}.jsonl"):
            if answer.status is not Status.FAILED:
                paid.setdefault(answer.request, answer)
        return [paid.get(request) for request in requests]

    def _predictions(self, chats: LabelledChats) -> Predictions:
        predicted = np.full(len(chats), NO_ANSWER, dtype=np.int64)
        probabilities = np.full((len(chats), len(chats.taxonomy.codes)), np.nan, dtype=np.float32)
        labelled = []
        for i, answer in enumerate(self._answers):
            if answer is None or answer.category is None:
                continue
            labelled.append(answer)
            predicted[i] = chats.taxonomy.columns[answer.category]
            weights = answer.soft_label or {answer.category: 1.0}
            probabilities[i] = [weights.get(code, 0.0) for code in chats.taxonomy.codes]
        has_scores = bool(labelled) and all(answer.has_logprobs for answer in labelled)
        return Predictions(
            chats.labels, predicted, probabilities, decisions=None, has_scores=has_scores, taxonomy=chats.taxonomy
        )

    def speed(self, _conversations: Sequence[Sequence[Turn]], _n_timed: int) -> Speed | None:
        """Return the times of the answers; None where the answers file holds none."""
        times_ms = [a.latency_ms for a in self._paid() if a.latency_ms is not None]
        if not times_ms:
            return None
        p50_ms, p95_ms = np.percentile(times_ms, [50, 95])
        return Speed(
            p50_ms=round(float(p50_ms), 2),
            p95_ms=round(float(p95_ms), 2),
            n_timed=len(times_ms),
            chats_per_s=None,
            n_chats_per_call=None,
            n_threads=None,
            detail=_NAMED,
        )

    def usage(self, _chats: LabelledChats) -> Usage | None:
        """Return tokens and cost of asking all chats once, those answered by an earlier run included."""
        paid = self._paid()
        n_input, n_output = sum(a.n_input_tokens for a in paid), sum(a.n_output_tokens for a in paid)
        cost_usd = self._annotator.cost_usd(n_input, n_output)
        return Usage(
            n_input_tokens=n_input,
            n_output_tokens=n_output,
            cost_usd=None if cost_usd is None else round(cost_usd, 6),
            detail="as the endpoint counted them, at the prices named; attempts that failed are not billed here",
        )

    def _paid(self) -> list[Answer]:
        """Return each answered request once, whatever the number of chats with its text."""
        return list({a.request: a for a in self._answers if a is not None}.values())

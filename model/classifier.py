"""Text in, category and risk out: windowing, tokenising, batching, inference and decision in one place.

Invariant: the result at position i belongs to conversation i, whatever the batches were, and a row that breaks the
model never takes a neighbour with it.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.batching import padded_tokens, plan_batches
from model.bundle import Bundle
from model.calibration import FloatArray, banned_probability
from model.decision import Judgement, decide
from model.errors import RowFailed
from model.onnx_runtime import RUN_ERRORS
from model.session import OnnxSession
from model.tokenization import ConversationTokenizer, TokenIds
from model.windowing import render
from schemas import CODES, Policy, Role, Turn

_PROBABILITY_DECIMALS = 6


@dataclass(frozen=True)
class Classification:
    """What the classifier says of one conversation."""

    category: str
    probabilities: dict[str, float]
    """13 codes, calibrated, rounded to six decimals."""
    judgement: Judgement


@dataclass(frozen=True)
class ClassifyStats:
    """Cost of one call. Times in seconds, on the monotonic clock."""

    n_rows: int = 0
    n_batches: int = 0
    n_tokens: int = 0
    n_padded_tokens: int = 0
    tokenize_s: float = 0.0
    infer_s: float = 0.0

    @property
    def padding_ratio(self) -> float:
        """Share of the computed tokens that were padding, 0..1."""
        return 1 - self.n_tokens / self.n_padded_tokens if self.n_padded_tokens else 0.0


class Classifier:
    """A bundle under a policy, ready to classify. Not to be shared between threads that call it at once.

    Several batches run side by side, one thread each, which gets more done than one after the other on all threads: no
    thread waits for another at the end of every operator. A lone batch has all threads, for the sake of its latency.

    Args:
        bundle: Verified bundle.
        policy: Banned categories and accepted error rates.
        n_threads: Inference threads; with more than one the model is loaded twice.
        max_padded_tokens: Token budget of one inference, padding included.
        max_rows: Row limit of one inference.

    Raises:
        BundleError: the model does not load, or its calibration cannot speak for the policy.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: Policy,
        *,
        n_threads: int,
        max_padded_tokens: int = 256,
        max_rows: int = 64,
    ) -> None:
        self.bundle = bundle
        self.policy = policy
        self._windowing = bundle.manifest.windowing
        self._scaling = bundle.manifest.logit_scaling
        self._banned = frozenset(code.value for code in policy.banned)
        self._curves = bundle.risk_curves(policy)
        self._tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=self._windowing.max_tokens)
        self._session = OnnxSession(bundle.model, n_threads=n_threads, pad_id=self._tokenizer.pad_id)
        self._lane_session = self._session
        if n_threads > 1:
            self._lane_session = OnnxSession(bundle.model, n_threads=1, pad_id=self._tokenizer.pad_id)
        self._lanes = ThreadPoolExecutor(n_threads, thread_name_prefix="inference")
        self._max_padded_tokens = max_padded_tokens
        self._max_rows = max_rows

    def warm_up(self) -> None:
        """Run short and long rows once, so that the first event does not pay for lazy allocations."""
        longest = self._windowing.max_tokens
        # Alone on all threads, then more than one batch, side by side.
        for lengths in ([1], [longest], [1, *[longest] * (1 + self._max_padded_tokens // longest)]):
            self.classify([[Turn(Role.USER, "warm " * n_words)] for n_words in lengths])

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Classify conversations.

        Args:
            conversations: Turns with visible text, oldest first; none of the conversations empty.

        Returns:
            One result per conversation, in order, and the cost of the call.
        """
        if not conversations:
            return [], ClassifyStats()
        started = time.perf_counter()
        rows = self._tokenizer.encode([render(turns, self._windowing) for turns in conversations])
        tokenized = time.perf_counter()
        lengths = [len(row) for row in rows]
        batches = plan_batches(lengths, max_padded_tokens=self._max_padded_tokens, max_rows=self._max_rows)
        results: list[Classification | RowFailed] = [RowFailed("not classified")] * len(rows)
        for batch, judged in zip(batches, self._run([[rows[i] for i in batch] for batch in batches]), strict=True):
            for index, result in zip(batch, judged, strict=True):
                results[index] = result
        stats = ClassifyStats(
            n_rows=len(rows),
            n_batches=len(batches),
            n_tokens=sum(lengths),
            n_padded_tokens=padded_tokens(lengths, batches),
            tokenize_s=tokenized - started,
            infer_s=time.perf_counter() - tokenized,
        )
        return results, stats

    def _run(self, batches: list[list[TokenIds]]) -> list[list[Classification | RowFailed]]:
        if len(batches) == 1:
            return [self._classify_rows(self._session, batches[0])]
        # Longest rows first: what is left for the end, when lanes fall idle, is short.
        judged = self._lanes.map(partial(self._classify_rows, self._lane_session), reversed(batches))
        return list(judged)[::-1]

    def _classify_rows(self, session: OnnxSession, rows: list[TokenIds]) -> list[Classification | RowFailed]:
        """Infer one batch; where it fails, halve it until the failing rows stand alone."""
        try:
            logits = session.logits(rows)
        except RUN_ERRORS as error:
            if len(rows) == 1:
                # ONNX Runtime's message may quote tensor shapes and node names, never token text.
                return [RowFailed(f"ONNX Runtime: {type(error).__name__}: {str(error)[:200]}")]
            middle = len(rows) // 2
            return self._classify_rows(session, rows[:middle]) + self._classify_rows(session, rows[middle:])
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(logits).all(axis=1))
        probabilities = self._scaling.probabilities(np.where(finite[:, None], logits, 0.0))
        scores = banned_probability(probabilities, self._banned)
        return [
            self._classification(probabilities[i], float(scores[i]))
            if finite[i]
            else RowFailed("the model returned NaN or infinity for this row")
            for i in range(len(rows))
        ]

    def _classification(self, probabilities: FloatArray, score: float) -> Classification:
        category = CODES[int(probabilities.argmax())]
        return Classification(
            category=category,
            probabilities={
                code: round(float(value), _PROBABILITY_DECIMALS)
                for code, value in zip(CODES, probabilities, strict=True)
            },
            judgement=decide(category=category, banned_probability=score, curves=self._curves, policy=self.policy),
        )

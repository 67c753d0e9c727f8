"""Text in, category and risk out: windowing, tokenising, batching, inference and decision in one place.

Invariant: the result at position i belongs to conversation i, whatever the batches were, and a row that breaks the
model never takes a neighbour with it.
"""

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.batching import padded_tokens, plan_batches, token_budget
from model.bundle.bundle import Bundle
from model.calibration import FloatArray, banned_mask
from model.decision import DecisionRule
from model.described.head_session import HeadSession
from model.errors import BundleError, RowFailed
from model.evidence.judging import Answer, Classification, Judging, Stage
from model.evidence.rule import Reading, most_suspicious, read
from model.inference.onnx_runtime import RUN_ERRORS
from model.inference.session import OnnxSession
from model.inference.timed_session import DEFAULT_TIMEOUT_S, MAX_ABANDONED, TimedRun, TimedSessions
from model.tokenization import ConversationTokenizer, TokenIds
from model.windowing import render
from schemas import Policy, Role, Turn


@dataclass(frozen=True)
class ClassifyStats:
    """Cost of one call. Times in seconds, on the monotonic clock."""

    n_rows: int = 0
    """Conversations."""
    n_first_stage: int = 0
    """Conversations whose main window the first stage answered alone."""
    n_pieces: int = 0
    """Rows besides the main windows."""
    n_pieces_first_stage: int = 0
    """Of these, answered by the first stage alone."""
    n_batches: int = 0
    n_tokens: int = 0
    """Tokens of the rows that the transformer saw."""
    n_padded_tokens: int = 0
    tokenize_s: float = 0.0
    """Windowing and the first stage included."""
    infer_s: float = 0.0
    n_timeouts: int = 0
    """Inferences that were ended because they took too long."""
    n_abandoned: int = 0
    """Of these, the ones that did not end."""

    @property
    def padding_ratio(self) -> float:
        """Share of the computed tokens that were padding, 0..1."""
        return 1 - self.n_tokens / self.n_padded_tokens if self.n_padded_tokens else 0.0


@dataclass(frozen=True)
class _Batch:
    """Rows of one inference, and what the first stage said of them."""

    rows: list[TokenIds]
    first: FloatArray | None

    def alone(self) -> "list[_Batch]":
        """Return one batch for each row."""
        return [_Batch([row], None if self.first is None else self.first[i : i + 1]) for i, row in enumerate(self.rows)]

    def halves(self) -> "tuple[_Batch, _Batch]":
        middle = len(self.rows) // 2
        first, second = (None, None) if self.first is None else (self.first[:middle], self.first[middle:])
        return _Batch(self.rows[:middle], first), _Batch(self.rows[middle:], second)


class Classifier:
    """A bundle under a policy, ready to classify. Not to be shared between threads that call it at once.

    Where the bundle has a first stage, it answers what it is confident of, and the transformer sees the other rows.

    Several batches run side by side, one thread each, which gets more done than one after the other on all threads: no
    thread waits for another at the end of every operator. A lone batch has all threads, for the sake of its latency.

    Args:
        bundle: Verified bundle.
        policy: Banned categories and accepted error rates.
        n_threads: Inference threads; with more than one the model is loaded twice.
        max_padded_tokens: Token budget of one inference, padding included.
        max_rows: Row limit of one inference.
        timeout_s: Longest time of one inference; see `model.inference.timed_session`.

    Raises:
        BundleError: the model does not load, the policy is over another taxonomy, or the bundle's calibration cannot
            speak for it.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: Policy,
        *,
        n_threads: int,
        max_padded_tokens: int = 256,
        max_rows: int = 64,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.bundle = bundle
        self.policy = policy
        self._windowing = bundle.manifest.windowing
        self._scaling = bundle.manifest.logit_scaling
        self._judging = Judging(bundle, policy)
        self.rule = self._judging.rule
        self._tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=self._windowing.max_tokens)
        _check_token_ids(bundle, self._tokenizer)
        self._sessions = TimedSessions(
            _opener(bundle, self._tokenizer.pad_id), n_threads=n_threads, timeout_s=timeout_s
        )
        self._stage = Stage.TRANSFORMER if bundle.head is None else Stage.HEAD
        self._n_sessions = n_threads
        self._max_padded_tokens = max_padded_tokens
        self._max_rows = max_rows

    def under(self, rule: DecisionRule) -> "Classifier":
        """Return this classifier under another default policy; both share one model, so only one may be in use.

        Args:
            rule: The policy over this very bundle.
        """
        other = copy(self)
        other.policy, other.rule = rule.policy, rule
        other._judging = self._judging.under(rule)  # noqa: SLF001  its own kind
        return other

    @property
    def banned_columns(self) -> NDArray[np.bool_]:
        """Which output columns count under the policy, bool [n_categories]."""
        return banned_mask(self.policy.counted, self.bundle.taxonomy.codes)

    @property
    def n_abandoned(self) -> int:
        """Inferences that never ended: each keeps a core and a model's memory until the process ends."""
        return self._sessions.n_abandoned_in_all

    @property
    def is_worn_out(self) -> bool:
        """Whether so many inferences never ended that the process should: each keeps a core and a model's memory."""
        return self.n_abandoned >= MAX_ABANDONED

    def warm_up(self) -> None:
        """Run short and long rows once, so that the first event does not pay for lazy allocations.

        Raises:
            BundleError: the model takes too long for these already.
        """
        longest = self._windowing.max_tokens
        # Alone on all threads, then more than one batch, side by side.
        for lengths in ([1], [longest], [1, *[longest] * (1 + self._max_padded_tokens // longest)]):
            conversations = [[Turn(Role.USER, "warm " * n_words)] for n_words in lengths]
            self.classify(conversations)
            # Once more without the first stage, which may have answered all of them.
            self._infer(self._encode(conversations), None, list(range(len(lengths))))
        if self.is_worn_out:
            raise BundleError(
                f"{self.bundle.ref.name} {self.bundle.ref.version}: inferences of the warm-up never ended; expected "
                "milliseconds; export it again from a run whose evaluation is sound"
            )

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Classify conversations.

        Args:
            conversations: Turns with visible text, oldest first; none of the conversations empty.

        Returns:
            One result per conversation, in order, and the cost of the call.

        Raises:
            InferenceStalled: too many inferences took too long; no result is known.
        """
        if not conversations:
            return [], ClassifyStats()
        started = time.perf_counter()
        windows = self._tokenizer.encode_whole([render(turns, self._windowing) for turns in conversations])
        are_cut = [len(parts) > 1 for parts in windows]
        manifest = self.bundle.manifest
        reading = read(conversations, are_cut, self._windowing, manifest.evidence, self.bundle.languages)
        pieces, owners = self._encode_pieces(reading)
        rows = [parts[0] for parts in windows] + pieces
        answers: list[Answer | RowFailed] = [RowFailed("not classified")] * len(rows)
        first, left = self._answer_first(rows, answers, owners)
        tokenized = time.perf_counter()
        inferred, stats = self._infer(rows, first, left)
        for index, answer in inferred.items():
            answers[index] = answer
        n_chats = len(conversations)
        n_left = sum(index < n_chats for index in left)
        return self._classifications(answers, owners, reading), replace(
            stats,
            n_rows=n_chats,
            n_first_stage=n_chats - n_left,
            n_pieces=len(owners),
            n_pieces_first_stage=len(owners) - (len(left) - n_left),
            tokenize_s=tokenized - started,
            infer_s=time.perf_counter() - tokenized,
        )

    def answered_first(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.bool_]:
        """Return which of these conversations the first stage answers alone, bool [n_conversations]."""
        if self.bundle.first_stage is None or not conversations:
            return np.zeros(len(conversations), dtype=np.bool_)
        return self.bundle.first_stage.answers(self.bundle.first_stage.logits(self._encode(conversations)))[0]

    def _encode(self, conversations: Sequence[Sequence[Turn]]) -> list[TokenIds]:
        return self._tokenizer.encode([render(turns, self._windowing) for turns in conversations])

    def _encode_pieces(self, reading: Reading) -> tuple[list[TokenIds], list[int]]:
        """Return the rows of the pieces, and the conversation of each."""
        rows: list[TokenIds] = []
        owners: list[int] = []
        if reading.pieces:
            for owner, parts in zip(reading.owners, self._tokenizer.encode_whole(reading.pieces), strict=True):
                rows += parts
                owners += [owner] * len(parts)
        return rows, owners

    def _classifications(
        self, answers: list[Answer | RowFailed], owners: list[int], reading: Reading
    ) -> list[Classification | RowFailed]:
        n_chats = len(reading.unevaluated)
        pieces: list[list[Answer | RowFailed]] = [[] for _ in range(n_chats)]
        for owner, answer in zip(owners, answers[n_chats:], strict=True):
            pieces[owner].append(answer)
        return [
            self._judging.classification(*of_chat)
            for of_chat in zip(
                answers[:n_chats],
                pieces,
                reading.unevaluated,
                reading.languages,
                reading.longest_messages,
                strict=True,
            )
        ]

    def _answer_first(
        self, rows: list[TokenIds], answers: list[Answer | RowFailed], owners: Sequence[int]
    ) -> tuple[FloatArray | None, list[int]]:
        """Let the first stage answer; return its logits of all rows and the positions that are left.

        Args:
            rows: Main windows, then pieces.
            answers: One for each row; those of the first stage are written into it.
            owners: The conversation of each piece, ascending.
        """
        if self.bundle.first_stage is None:
            return None, list(range(len(rows)))
        logits = self.bundle.first_stage.logits(rows)
        is_answered, probabilities = self.bundle.first_stage.answers(logits)
        if self.bundle.manifest.evidence is not None:
            rule, n_windows = self.bundle.manifest.evidence.pieces, len(rows) - len(owners)
            pieces = probabilities[n_windows:]
            is_answered[n_windows:] |= self.bundle.first_stage.decides(pieces, rule.exit_margin)
            if rule.transformer_pieces is not None and self.bundle.first_stage.answers_alone:
                suspicion = np.where(is_answered[n_windows:], -1.0, self.bundle.first_stage.suspicion(pieces))
                is_answered[n_windows:] |= ~most_suspicious(owners, suspicion, rule.transformer_pieces)
        for index in np.flatnonzero(is_answered):
            answers[index] = Answer(probabilities[index], Stage.FIRST_STAGE)
        return logits, np.flatnonzero(~is_answered).tolist()

    def _infer(
        self, rows: list[TokenIds], first: FloatArray | None, left: list[int]
    ) -> tuple[dict[int, Answer | RowFailed], ClassifyStats]:
        """Let the transformer answer the rows at the positions that are left."""
        lengths = [len(rows[i]) for i in left]
        budget = token_budget(lengths, n_sessions=self._n_sessions, max_padded_tokens=self._max_padded_tokens)
        planned = plan_batches(lengths, max_padded_tokens=budget, max_rows=self._max_rows)
        batches = [[left[i] for i in positions] for positions in planned]
        judged = self._run([_Batch([rows[i] for i in b], None if first is None else first[b]) for b in batches])
        answers = {
            index: answer
            for batch, batch_answers in zip(batches, judged, strict=True)
            for index, answer in zip(batch, batch_answers, strict=True)
        }
        stats = ClassifyStats(
            n_batches=len(batches),
            n_tokens=sum(lengths),
            n_padded_tokens=padded_tokens(lengths, planned),
            n_timeouts=self._sessions.n_timeouts,
            n_abandoned=self._sessions.n_abandoned,
        )
        return answers, stats

    def _run(self, batches: list[_Batch]) -> list[list[Answer | RowFailed]]:
        # Longest rows first: what is left for the end, when sessions fall idle, is short.
        return self._sessions.run(self._classify_batch, batches[::-1])[::-1]

    def _classify_batch(self, session: TimedRun, batch: _Batch) -> list[Answer | RowFailed]:
        """Infer one batch; where it fails, halve it until the failing rows stand alone."""
        try:
            logits = session.logits(batch.rows)
        except RUN_ERRORS as error:
            if len(batch.rows) == 1:
                # ONNX Runtime's message may quote tensor shapes and node names, never token text.
                return [RowFailed(f"ONNX Runtime: {type(error).__name__}: {str(error)[:200]}")]
            return [answer for half in batch.halves() for answer in self._classify_batch(session, half)]
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(logits).all(axis=1))
        logits = np.where(finite[:, None], logits, 0.0)
        if batch.first is not None and self.bundle.first_stage is not None:
            logits = self.bundle.first_stage.blended(logits, batch.first)
        return [
            Answer(row, self._stage) if is_finite else RowFailed("the model returned NaN or infinity for this row")
            for row, is_finite in zip(self._scaling.probabilities(logits), finite, strict=True)
        ]


def _opener(bundle: Bundle, pad_id: int) -> Callable[[int], OnnxSession]:
    """Return what opens a session with a number of threads: where the logits of this bundle come from."""
    head, n_categories = bundle.head, len(bundle.taxonomy.codes)
    if head is not None:
        return lambda n_threads: HeadSession(bundle.model, head, n_threads=n_threads, pad_id=pad_id)
    return lambda n_threads: OnnxSession(bundle.model, n_threads=n_threads, pad_id=pad_id, n_categories=n_categories)


def _check_token_ids(bundle: Bundle, tokenizer: ConversationTokenizer) -> None:
    network = bundle.first_stage and bundle.first_stage.network
    if network and len(network.vectors) < tokenizer.n_token_ids:
        raise BundleError(
            f"{bundle.ref.name}: the first stage has vectors of {len(network.vectors)} token ids, the tokenizer has "
            f"{tokenizer.n_token_ids}; expected one for each; export the bundle again from its run"
        )

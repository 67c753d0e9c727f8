"""What can be measured: a bundle, a hub model, an LLM endpoint; all answer the same chats in the same order."""

from collections.abc import Sequence
from typing import Protocol

from model import Classifier
from schemas import Policy, Turn
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.evaluate import OnProgress, Predictions, predict
from training_pipeline.report.document import Identity, Speed, Usage
from training_pipeline.report.speed import time_answers

Conversations = Sequence[Sequence[Turn]]


class Candidate(Protocol):
    """One model that answers labelled chats."""

    @property
    def identity(self) -> Identity:
        """Name and origin."""
        ...

    @property
    def is_attackable(self) -> bool:
        """Whether asking again with disguised chats costs nothing but time."""
        ...

    def predict(self, chats: LabelledChats, on_progress: OnProgress | None = None) -> Predictions:
        """Answer every chat.

        Raises:
            ValueError: the model cannot answer; says what to do.
        """
        ...

    def speed(self, conversations: Conversations, n_timed: int) -> Speed | None:
        """Return how long answers take; None where nothing is known. Called after `predict`."""
        ...

    def usage(self, chats: LabelledChats) -> Usage | None:
        """Return what one pass over these chats takes. Called after `predict`."""
        ...


class BundleCandidate:
    """A bundle, through the classes that serve it.

    Args:
        classifier: The loaded bundle under a policy.
        n_threads: Inference threads of it.
    """

    is_attackable = True

    def __init__(self, classifier: Classifier, *, n_threads: int) -> None:
        self._classifier = classifier
        self._n_threads = n_threads
        ref = classifier.bundle.ref
        self.identity = Identity(
            name=f"{ref.name} {ref.version}",
            kind="bundle",
            version=ref.version,
            digest=ref.digest,
            detail=f"ONNX bundle, {len(classifier.bundle.model) / 1e6:.1f} MB, as the worker serves it",
        )

    @property
    def policy(self) -> Policy:
        """The policy it decides under."""
        return self._classifier.policy

    def predict(self, chats: LabelledChats, on_progress: OnProgress | None = None) -> Predictions:
        """Answer every chat as the worker would."""
        return predict(self._classifier, chats, on_progress)

    def speed(self, conversations: Conversations, n_timed: int) -> Speed | None:
        """Return the classifier's times: window, tokenizer, model and decision."""
        self._classifier.warm_up()
        return time_answers(
            self._classifier.classify,
            conversations,
            n_timed=n_timed,
            n_threads=self._n_threads,
            detail="window, tokenizer, model and decision on this CPU; no Kafka",
        )

    def usage(self, chats: LabelledChats) -> Usage | None:
        """Return the tokens that the model reads."""
        _, stats = self._classifier.classify(chats.conversations)
        return local_usage(stats.n_tokens)


def local_usage(n_tokens: int) -> Usage:
    """Return the usage of a model on our own machine."""
    return Usage(n_input_tokens=n_tokens, n_output_tokens=0, detail="own CPU; no price per token was named")


def priced(usage: Usage, usd_per_million_tokens: float) -> Usage:
    """Return a usage at one price for input and output tokens alike."""
    cost_usd = (usage.n_input_tokens + usage.n_output_tokens) * usd_per_million_tokens / 1e6
    detail = f"at {usd_per_million_tokens:g} USD per million tokens, as named for this run"
    return usage.model_copy(update={"cost_usd": round(cost_usd, 6), "detail": detail})

"""Who predicts for a batch: one model under one policy, and the verdicts that name them.

Invariant: a predictor never changes. A batch is looked up, classified, decided and named by one, so that no verdict
holds the probabilities of one model under the name of another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model import Bundle, BundleError, Classification, Classifier, available_cpus, load_bundle, load_policy
from schemas import Policy, PolicyRef, Role, Turn
from worker.settings.model import ModelSettings
from worker.verdict_builder import VerdictBuilder

_PROBE: Final = [[Turn(Role.USER, "hello")], [Turn(Role.USER, "hello"), Turn(Role.ASSISTANT, "hi")]]
"""Conversations that any model must have an answer to."""


class ModelStuck(BundleError):  # noqa: N818  the name says what happened
    """Inferences of a new model never ended: each attempt costs a core and a model's memory for good."""


@dataclass(frozen=True)
class Predictor:
    """A warmed-up classifier and the builder that names its model and policy."""

    classifier: Classifier
    builder: VerdictBuilder

    @classmethod
    def of(cls, classifier: Classifier, *, replay_id: str | None = None) -> "Predictor":
        """Return the predictor of a classifier."""
        policy = PolicyRef(name=classifier.policy.name, version=classifier.policy.version)
        return cls(classifier, VerdictBuilder(classifier.bundle.ref, policy, replay_id, classifier.rule))

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Name, version and digest of the model, and the policy, as metrics show them."""
        model, policy = self.builder.model, self.builder.policy
        return model.name, model.version, model.digest, f"{policy.name} {policy.version}"


PredictorSource = Callable[[], Predictor]
"""Returns the predictor of the next batch."""


@dataclass(frozen=True)
class Loaded:
    """A bundle and a policy as they were read, verified and not yet built."""

    bundle: Bundle
    policy: Policy

    @classmethod
    def read(cls, settings: ModelSettings) -> "Loaded":
        """Read and verify both; the bundle's signature, too, where the settings name a key.

        Raises:
            BundleError, PolicyError: one of them is refused.
        """
        bundle = load_bundle(settings.path, public_key=settings.public_key_file)
        return cls(bundle, load_policy(settings.policy_path))


def build_predictor(loaded: Loaded, settings: ModelSettings, *, replay_id: str | None = None) -> Predictor:
    """Return the predictor of a bundle and a policy, warmed up, after it has answered.

    Args:
        loaded: The bundle and the policy.
        settings: Threads and limits.
        replay_id: What its verdicts are marked with.

    Raises:
        BundleError: the model does not load or does not answer, or its calibration cannot speak for the policy.
        ModelStuck: it does not answer, and what it was asked never ends.
    """
    classifier = Classifier(
        loaded.bundle,
        loaded.policy,
        n_threads=settings.n_threads or available_cpus(),
        max_padded_tokens=settings.max_padded_tokens,
        max_rows=settings.max_rows,
        timeout_s=settings.timeout_s,
    )
    try:
        _prove(classifier, loaded)
    except BundleError as error:
        if classifier.n_abandoned:
            raise ModelStuck(str(error)) from error
        raise
    return Predictor.of(classifier, replay_id=replay_id)


def _prove(classifier: Classifier, loaded: Loaded) -> None:
    classifier.warm_up()
    # Right digests say that these are the files that were exported, not that the model in them works.
    answers, _ = classifier.classify(_PROBE)
    for answer in answers:
        if not isinstance(answer, Classification):
            raise BundleError(
                f"{loaded.bundle.ref.name} {loaded.bundle.ref.version}: fails on a greeting ({answer.error}); expected "
                "probabilities; export it again from a run whose evaluation is sound"
            )

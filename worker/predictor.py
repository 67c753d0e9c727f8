"""Who predicts for a batch: one model under one policy, and the verdicts that name them.

Invariant: a predictor never changes. A batch is looked up, classified, decided and named by one, so that no verdict
holds the probabilities of one model under the name of another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from model import Bundle, BundleError, Classification, Classifier, available_cpus, load_bundle, load_policy
from model.policies.policy_set import PolicySet
from schemas import Policy, Role, Turn
from worker.process.metrics import Metrics
from worker.settings.model import ModelSettings
from worker.verdict_builder import VerdictBuilder

log = structlog.get_logger()

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
        bundle = classifier.bundle
        policies = PolicySet([classifier.rule])
        return cls(classifier, VerdictBuilder(bundle.ref, classifier.policy, bundle.taxonomy, replay_id, policies))

    @property
    def labels(self) -> tuple[str, str, str, str, str]:
        """Name, version and digest of the model, the policy and the taxonomy, as metrics show them."""
        model, policy = self.builder.model, self.builder.policy
        return model.name, model.version, model.digest, f"{policy.name} {policy.version}", str(self.builder.taxonomy)

    @property
    def is_calibrated(self) -> bool:
        """Whether the model's risks were measured; else it allows nothing that a policy bans anything of."""
        return self.classifier.bundle.is_calibrated

    def logged(self) -> dict[str, Any]:
        """Return what the log says of a predictor that is taken into use."""
        return {
            "model": self.builder.model.model_dump(),
            "taxonomy": self.builder.taxonomy.model_dump(),
            "policy": self.builder.policy.model_dump(),
            "calibrated": self.is_calibrated,
        }


def show_calibration(predictor: Predictor, metrics: Metrics, role: str) -> None:
    """Say in log and metric whether what is taken into use was calibrated.

    Args:
        predictor: What is taken into use.
        metrics: Where it is shown.
        role: `live` or `shadow`.
    """
    metrics.model_calibrated.labels(role).set(predictor.is_calibrated)
    if not predictor.is_calibrated:
        log.warning(
            "model_not_calibrated",
            role=role,
            remedy="no chat is allowed under a policy that bans anything; calibrate the bundle on labelled chats",
        )


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
            BundleError, PolicyError: one of them is refused, or the policy is of another taxonomy than the bundle.
        """
        bundle = load_bundle(settings.path, public_key=settings.public_key_file)
        return cls(bundle, load_policy(settings.policy_path, bundle))


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

"""Who predicts for a batch: one model under one set of policies, and the verdicts that name them.

Invariant: a predictor never changes. A batch is looked up, classified, decided and named by one, so that no verdict
holds the probabilities of one model under the name of another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import structlog

from model import Bundle, BundleError, Classification, Classifier, available_cpus, load_bundle, load_policy
from model.policies.folder import NOTHING_READ, FolderReading, read_folder
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over, policies_with
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
    """A warmed-up classifier and the builder that names its model and decides under the policies."""

    classifier: Classifier
    builder: VerdictBuilder

    @classmethod
    def of(
        cls, classifier: Classifier, policies: PolicySet | None = None, *, replay_id: str | None = None
    ) -> "Predictor":
        """Return the predictor of a classifier.

        Args:
            classifier: Under the default policy.
            policies: All that decide; None: the default policy alone, behind the taxonomy's floor.
            replay_id: What its verdicts are marked with.
        """
        bundle = classifier.bundle
        deciding = policies_over(bundle, [classifier.policy]) if policies is None else policies
        return cls(classifier, VerdictBuilder(bundle.ref, classifier.policy, bundle.taxonomy, replay_id, deciding))

    def under(self, policies: PolicySet) -> "Predictor":
        """Return the predictor of the same model, not loaded again, under other policies."""
        return Predictor.of(self.classifier.under(policies.default), policies, replay_id=self.builder.replay_id)

    @property
    def policies(self) -> tuple[str, ...]:
        """Names and versions of the policies that decide, the default one first."""
        return tuple(f"{policy.name} {policy.version}" for policy in self.builder.deciding)

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
            "policies": self.policies,
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


def show_policies(new: Predictor, metrics: Metrics, old: Predictor | None = None) -> None:
    """Show by a metric which policies decide.

    Args:
        new: What is taken into use.
        metrics: Where it is shown.
        old: What was in use.
    """
    shown = set(_names_and_versions(new))
    for name, version in shown:
        metrics.policy_info.labels(name, version).set(1)
    if old is not None:
        for gone in set(_names_and_versions(old)) - shown:
            metrics.policy_info.remove(*gone)


def _names_and_versions(predictor: Predictor) -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in predictor.builder.deciding]


PredictorSource = Callable[[], Predictor]
"""Returns the predictor of the next batch."""


@dataclass(frozen=True)
class Loaded:
    """A bundle and its policies as they were read, verified and not yet built."""

    bundle: Bundle
    policy: Policy
    """The default policy."""
    floor: frozenset[str] = frozenset()
    """What the operator adds to the taxonomy's floor."""
    folder: FolderReading = NOTHING_READ
    """The other policies, and the files that were refused."""

    @classmethod
    def read(cls, settings: ModelSettings, *, may_hold: bool = True) -> "Loaded":
        """Read and verify all; the bundle's signature, too, where the settings name a key.

        Args:
            settings: Where all is.
            may_hold: As `over`.

        Raises:
            BundleError, PolicyError: the bundle or the default policy is refused, or the policy is of another taxonomy
                than the bundle, or the folder of policies cannot be listed.
        """
        bundle = load_bundle(settings.path, public_key=settings.public_key_file)
        return cls.over(bundle, settings, may_hold=may_hold)

    @classmethod
    def over(
        cls, bundle: Bundle, settings: ModelSettings, *, before: FolderReading = NOTHING_READ, may_hold: bool = True
    ) -> "Loaded":
        """Read the policies over a bundle.

        Args:
            bundle: Verified.
            settings: Where the policies are.
            before: What their folder gave before: what is refused now stays as it was.
            may_hold: Whether blocks are remembered; else policies of the folder that hold are refused.

        Raises:
            PolicyError: as `read`.
        """
        policy = load_policy(settings.policy_path, bundle)
        folder = NOTHING_READ
        if settings.policies_dir is not None:
            folder = read_folder(settings.policies_dir, bundle, policy, before=before, may_hold=may_hold)
        return cls(bundle, policy, settings.floor_codes, folder)

    @cached_property
    def policies(self) -> PolicySet:
        """All that decides.

        Raises:
            BundleError: the bundle's calibration cannot speak for the default policy or for the floor.
        """
        # By name and not by file: how files are called changes no byte of a verdict.
        others = sorted(self.folder.rules.values(), key=lambda rule: rule.policy.name)
        return policies_with(self.bundle, self.policy, others, floor=self.floor)


def build_predictor(loaded: Loaded, settings: ModelSettings, *, replay_id: str | None = None) -> Predictor:
    """Return the predictor of a bundle and its policies, warmed up, after it has answered.

    Args:
        loaded: The bundle and the policies.
        settings: Threads and limits.
        replay_id: What its verdicts are marked with.

    Raises:
        BundleError: the model does not load or does not answer, or its calibration cannot speak for the policy.
        ModelStuck: it does not answer, and what it was asked never ends.
    """
    policies = loaded.policies
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
    return Predictor.of(classifier, policies, replay_id=replay_id)


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

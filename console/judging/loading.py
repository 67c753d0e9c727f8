"""From settings to a classifier that has answered, and the policies it answers under.

Invariant: a policy file that is refused costs its own policy and nothing else, as with the worker.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog

from console.errors import SettingsError
from console.settings.console import ModelSettings
from model import (
    Bundle,
    BundleError,
    Classification,
    Classifier,
    DecisionRule,
    PolicyError,
    available_cpus,
    load_bundle,
    load_policy,
)
from model.policies.folder import NOTHING_READ, read_folder
from model.policies.rules import rule_over
from schemas import Role, Turn

log = structlog.get_logger()

_PROBE: Final = [[Turn(Role.USER, "hello")]]


class Policies(NamedTuple):
    """The policies that decide, and the files that were refused."""

    rules: tuple[DecisionRule, ...]
    """The default policy's first, the others by name."""
    refused: Mapping[str, str]
    """By file name: what is wrong with it."""


class Loaded(NamedTuple):
    """What answers."""

    classifier: Classifier
    rules: list[DecisionRule]
    """For every policy, the default one first."""
    refused: Mapping[str, str] = {}
    """Policy files that were refused, by name: what is wrong with each."""


def load_policies(settings: ModelSettings, bundle: Bundle) -> Policies:
    """Return the policies; where the default one's file is refused the bundle's own stands in its place.

    Raises:
        BundleError: the bundle's own policy cannot be used.
        PolicyError, SettingsError: the default policy's file is missing, or the folder cannot be read.
    """
    default, refused = _default(settings, bundle)
    folder = NOTHING_READ
    if settings.policies_path is not None:
        if not settings.policies_path.is_dir():
            raise SettingsError(f"{settings.policies_path}: not a folder; expected policy files, TOML or JSON")
        folder = read_folder(settings.policies_path, bundle, default.policy)
    others = sorted(folder.rules.values(), key=lambda rule: rule.policy.name)
    return Policies((default, *others), {**refused, **folder.refused})


def _default(settings: ModelSettings, bundle: Bundle) -> tuple[DecisionRule, dict[str, str]]:
    path = settings.policy_path
    if path is None:
        return rule_over(bundle, bundle.default_policy), {}
    try:
        return rule_over(bundle, load_policy(path, bundle)), {}
    except (PolicyError, BundleError) as error:
        if not path.exists():
            # A setting that names nothing is mended at once, by whoever starts it.
            raise
        return rule_over(bundle, bundle.default_policy), {path.name: str(error)}


def load_classifier(settings: ModelSettings) -> Loaded:
    """Return a classifier that is warmed up and has answered, and its policies.

    Raises:
        BundleError, PolicyError, SettingsError: the bundle or the folder of policies is refused.
    """
    bundle = load_bundle(settings.path, public_key=settings.public_key_file)
    rules, refused = load_policies(settings, bundle)
    classifier = Classifier(
        bundle,
        rules[0].policy,
        n_threads=settings.n_threads or available_cpus(),
        max_padded_tokens=settings.max_padded_tokens,
        max_rows=settings.max_rows,
        timeout_s=settings.timeout_s,
    )
    classifier.warm_up()
    (answer,), _ = classifier.classify(_PROBE)
    if not isinstance(answer, Classification):
        raise BundleError(f"{bundle.ref.name} {bundle.ref.version}: fails on a greeting ({answer.error})")
    for file, error in refused.items():
        log.error("policy_refused", file=file, error=error, default=str(rules[0].policy.name))
    return Loaded(classifier, [classifier.rule, *rules[1:]], refused)

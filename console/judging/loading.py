"""From settings to a classifier that has answered, and the policies it answers under."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from console.errors import SettingsError
from console.settings.console import ModelSettings
from model import (
    Bundle,
    BundleError,
    Classification,
    Classifier,
    DecisionRule,
    available_cpus,
    load_bundle,
    load_policy,
)
from model.policies.rules import rule_over
from schemas import Policy, Role, Turn

_PROBE: Final = [[Turn(Role.USER, "hello")]]


def load_policies(settings: ModelSettings, bundle: Bundle) -> list[Policy]:
    """Return the policies, the default one first.

    Raises:
        PolicyError: a file is no policy.
        SettingsError: the folder cannot be read, or two policies have one name.
    """
    default = bundle.default_policy if settings.policy_path is None else load_policy(settings.policy_path)
    policies = [default, *(load_policy(path) for path in _files(settings.policies_path))]
    names = [policy.name for policy in policies]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(
            f"{settings.policies_path}: more than one policy is called {', '.join(twice)}, the default one counted; "
            "expected each name once; rename one"
        )
    return policies


def _files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise SettingsError(f"{folder}: not a folder; expected policy files, TOML or JSON")
    return sorted(path for path in folder.iterdir() if path.suffix in {".toml", ".json"} and path.is_file())


def load_classifier(settings: ModelSettings) -> tuple[Classifier, list[DecisionRule]]:
    """Return a classifier that is warmed up and has answered, and a rule for every policy, the default one first.

    Raises:
        BundleError, PolicyError, SettingsError: a file is refused.
    """
    bundle = load_bundle(settings.path, public_key=settings.public_key_file)
    policies = load_policies(settings, bundle)
    classifier = Classifier(
        bundle,
        policies[0],
        n_threads=settings.n_threads or available_cpus(),
        max_padded_tokens=settings.max_padded_tokens,
        max_rows=settings.max_rows,
        timeout_s=settings.timeout_s,
    )
    classifier.warm_up()
    (answer,), _ = classifier.classify(_PROBE)
    if not isinstance(answer, Classification):
        raise BundleError(f"{bundle.ref.name} {bundle.ref.version}: fails on a greeting ({answer.error})")
    return classifier, [classifier.rule, *_rules(bundle, policies[1:])]


def _rules(bundle: Bundle, policies: Sequence[Policy]) -> list[DecisionRule]:
    return [rule_over(bundle, policy) for policy in policies]

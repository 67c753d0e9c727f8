"""What the demo's worker is going to judge by: the taxonomy of its bundle and what its policy bans."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.errors import ModelRefusedError
from model import DEFAULT_BUNDLE_PATH, BundleError, PolicyError, load_bundle, load_policy
from schemas import Taxonomy
from testkit.worker_process import PREFIX

BUNDLE_SETTING = f"{PREFIX}MODEL__PATH"
POLICY_SETTING = f"{PREFIX}MODEL__POLICY_PATH"


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """Categories, and which of them are banned."""

    taxonomy: Taxonomy
    banned: frozenset[str]


def read_model(environment: Mapping[str, str]) -> ModelInUse:
    """Read what the worker will read, before anything is started.

    Args:
        environment: The worker's: it names bundle and policy, or leaves the shipped ones.

    Raises:
        ModelRefusedError: the worker would refuse one of them.
    """
    policy_path = environment.get(POLICY_SETTING)
    try:
        bundle = load_bundle(Path(environment.get(BUNDLE_SETTING) or DEFAULT_BUNDLE_PATH))
        policy = load_policy(Path(policy_path) if policy_path else None, bundle)
    except (BundleError, PolicyError) as error:
        raise ModelRefusedError(str(error)) from error
    return ModelInUse(bundle.taxonomy, policy.banned)

"""The policies that decide on an archive: the default policy, and those of a folder. A bad file refuses the run."""

from pathlib import Path

from model.bundle.bundle import Bundle
from model.bundle.policy_file import PolicyError, load_policy
from model.decision import DecisionRule
from model.policies.policy_set import PolicySet
from schemas import Policy

_SUFFIXES = (".toml", ".json")


def policy_set(bundle: Bundle, policy: Path | None, folder: Path | None) -> PolicySet:
    """Return the rules of a bundle's policies, the default policy's first.

    Args:
        bundle: Whose curves they use.
        policy: File of the default policy; None: the bundle's own.
        folder: Further policies, a file each; None: there are none.

    Raises:
        PolicyError: a file is refused, two policies share a name, or the folder holds none.
        BundleError: the bundle's calibration cannot speak for one of them.
    """
    return rules_of(bundle, [load_policy(policy, bundle), *_of_folder(folder, bundle)])


def rules_of(bundle: Bundle, policies: list[Policy]) -> PolicySet:
    """Return the rules of policies over a bundle, the first one the default."""
    names: set[str] = set()
    for policy in policies:
        if policy.name in names:
            raise PolicyError(
                f"two policies are called {policy.name!r}; expected each name once, that of the default policy "
                "included; rename one"
            )
        names.add(policy.name)
    return PolicySet([DecisionRule(policy, bundle.risk_curves(policy)) for policy in policies])


def _of_folder(folder: Path | None, bundle: Bundle) -> list[Policy]:
    if folder is None:
        return []
    files = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES) if folder.is_dir() else []
    if not files:
        raise PolicyError(f"{folder}: found no policy file; expected a folder with files that end in .toml or .json")
    return [load_policy(path, bundle) for path in files]

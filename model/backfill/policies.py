"""The policies that decide on an archive: the default policy, those of a folder, and the floor before all of them.

A bad file refuses the run: what it would leave out, nobody would judge again after days.
"""

from collections.abc import Sequence
from pathlib import Path

from model.bundle.bundle import Bundle
from model.bundle.policy_file import PolicyError, load_policy
from model.policies.folder import RESERVED, policy_files
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from schemas import Policy


def policies_of(bundle: Bundle, policy: Path | None, folder: Path | None) -> list[Policy]:
    """Return policies over a bundle, the default policy first.

    Args:
        bundle: What they are over.
        policy: File of the default policy; None: the bundle's own.
        folder: Further policies, a file each; None: there are none.

    Raises:
        PolicyError: a file is refused, two policies share a name, or the folder holds none.
    """
    return [load_policy(policy, bundle), *_of_folder(folder, bundle)]


def policy_set(bundle: Bundle, policies: Sequence[Policy], *, floor: frozenset[str] = frozenset()) -> PolicySet:
    """Return the rules of policies, behind the floor.

    Args:
        bundle: Its taxonomy's floor counts too.
        policies: The default policy first.
        floor: More codes that no policy may allow.

    Raises:
        PolicyError: two policies share a name, or one has a name that means something else.
        BundleError: the bundle's calibration cannot speak for one of them, or the floor is over another taxonomy.
    """
    names: set[str] = set()
    for policy in policies:
        if policy.name in names:
            raise PolicyError(
                f"two policies are called {policy.name!r}; expected each name once, that of the default policy "
                "included; rename one"
            )
        if policy.name in RESERVED:
            raise PolicyError(
                f"a policy is called {policy.name!r}, which means something else where decisions are named by their "
                "policies; expected another name; rename it"
            )
        names.add(policy.name)
    return policies_over(bundle, policies, floor=floor)


def _of_folder(folder: Path | None, bundle: Bundle) -> list[Policy]:
    if folder is None:
        return []
    files = policy_files(folder) if folder.is_dir() else []
    if not files:
        raise PolicyError(f"{folder}: found no policy file; expected a folder with files that end in .toml or .json")
    return [load_policy(path, bundle) for path in files]

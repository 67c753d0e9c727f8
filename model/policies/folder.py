"""A folder of policies over one bundle: a file that is refused costs its own policy and no other.

Invariant: no two policies that are read have one name, and none has the default policy's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model.bundle.bundle import Bundle
from model.bundle.policy_file import PolicyError, load_policy
from model.decision import DecisionRule
from model.errors import BundleError
from model.policies.context import EVERY_POLICY
from model.policies.floor import FLOOR_NAME
from model.policies.rules import rule_over
from schemas import Policy

SUFFIXES: Final = frozenset({".toml", ".json"})
RESERVED: Final = frozenset({FLOOR_NAME, EVERY_POLICY})
"""Names that mean something else where decisions are named by their policies."""


@dataclass(frozen=True)
class FolderReading:
    """What the files of a folder give."""

    rules: Mapping[str, DecisionRule] = field(default_factory=dict)
    """By file name, in their order: the policies in use, for a refused file the one that it held before."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By file name: what is wrong with it."""

    @property
    def policies(self) -> Mapping[str, Policy]:
        """By file name."""
        return {name: rule.policy for name, rule in self.rules.items()}

    def without(self, refused: Mapping[str, str]) -> "FolderReading":
        """Return this reading with more files refused, by name and cause, and their policies left out."""
        rules = {name: rule for name, rule in self.rules.items() if name not in refused}
        return FolderReading(rules, {**self.refused, **refused})


NOTHING_READ: Final = FolderReading()


def policy_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold policies, *.toml and *.json, by name; hidden ones are left alone.

    Raises:
        PolicyError: it cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PolicyError(
            f"{folder}: cannot be listed ({error.strerror}); expected a folder of policy files, *.toml and *.json; "
            "check the mount and its rights, and the name"
        ) from None
    return [path for path in entries if path.suffix in SUFFIXES and not path.name.startswith(".")]


def read_folder(
    folder: Path, bundle: Bundle, default: Policy, *, before: FolderReading = NOTHING_READ, may_hold: bool = True
) -> FolderReading:
    """Read the policies of a folder; files that are refused are named, and change nothing.

    Args:
        folder: Policy files.
        bundle: Over which they are.
        default: The default policy, whose name is taken.
        before: What the folder gave before: a refused file keeps the policy that it held.
        may_hold: Whether blocks are remembered; else policies that hold are refused.

    Raises:
        PolicyError: the folder cannot be listed.
    """
    rules: dict[str, DecisionRule] = {}
    refused: dict[str, str] = {}
    named = {default.name: "the default policy"}
    in_use = {policy.name: policy for policy in before.policies.values()}
    for path in policy_files(folder):
        for policy in _candidates(path, bundle, in_use, before, refused, may_hold=may_hold):
            if (owner := named.get(policy.name)) is not None:
                refused.setdefault(
                    path.name,
                    f"{path}: holds policy {policy.name!r}, as does {owner}; expected each name once; rename one, or "
                    "remove a file",
                )
                continue
            try:
                rules[path.name] = rule_over(bundle, policy)
            except BundleError as error:
                refused.setdefault(path.name, f"{path}: {error}")
                continue
            named[policy.name] = path.name
            break
    return FolderReading(rules, refused)


def _candidates(
    path: Path,
    bundle: Bundle,
    in_use: Mapping[str, Policy],
    before: FolderReading,
    refused: dict[str, str],
    *,
    may_hold: bool,
) -> Iterator[Policy]:
    """Yield what a file may stand for, the best first: what it holds, else what it held before."""
    try:
        policy = load_policy(path, bundle)
        _refuse(policy, path, in_use, may_hold=may_hold)
    except PolicyError as error:
        refused[path.name] = str(error)
    else:
        yield policy
    if (kept := before.policies.get(path.name)) is not None:
        yield kept


def _refuse(policy: Policy, path: Path, in_use: Mapping[str, Policy], *, may_hold: bool) -> None:
    if policy.hold_block_s > 0 and not may_hold:
        raise PolicyError(
            f"{path}: policy {policy.name!r} sets hold_block_s, and kafka.state_topic is not set; expected a topic in "
            "which blocks are remembered, or no holds; set MODERATION_KAFKA__STATE_TOPIC, or remove hold_block_s"
        )
    if policy.name in RESERVED:
        raise PolicyError(
            f"{path}: the policy is called {policy.name!r}, which means something else in verdicts and overrides; "
            "expected another name; rename it"
        )
    refuse_same_version(policy, in_use.get(policy.name), path)


def refuse_same_version(policy: Policy, in_use: Policy | None, path: Path) -> None:
    """Refuse another policy under the name and version of one in use: readers of verdicts could not tell them apart.

    Args:
        policy: The new one.
        in_use: The one of this name that decides now, if there is one.
        path: Where the new one stands.

    Raises:
        PolicyError: it is that.
    """
    if in_use is None or policy == in_use:
        return
    if (policy.taxonomy, policy.name, policy.version) == (in_use.taxonomy, in_use.name, in_use.version):
        raise PolicyError(
            f"{path}: another policy under the name and version in use, {policy.name} {policy.version}; expected a "
            "new version, by which readers of verdicts tell them apart; raise `version`"
        )

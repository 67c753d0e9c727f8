"""Find the bundle and the policy that took a decision, among those at hand.

A verdict names its bundle by digest. Its policy it names by name and version only, but its id is a digest over the
policy's content too: where the id comes out equal, this is the very policy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model import Bundle, BundleError, PolicyError, load_bundle, load_policy
from model.bundle.files import read_file, sha256_of
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.registry import POINTER_NAME, is_registry, read_registry
from model.decision import DecisionRule
from model.policies.folder import read_folder
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over, policies_with, rule_over
from schemas import Policy, Taxonomy, Verdict, verdict_id
from worker.explain.changes import Borders, borders_of

_LISTED: Final = ("", "deny", "allow")
"""A verdict does not name the list that its chat is on; its id is another one for each."""
_REMEDY: Final = "name a bundle's folder, or a registry, with --bundle"


@dataclass(frozen=True)
class Judge:
    """The policy over the bundle by which a verdict was decided."""

    rule: DecisionRule
    taxonomy: Taxonomy
    borders: Borders
    is_proven: bool
    """Whether the verdict's id says that it is this very policy; else only name and version say so."""


class JudgeUnknown(Exception):  # noqa: N818  the name says what is missing
    """Bundle or policy of a verdict are not at hand; the text says which, and what to do."""


class Judges:
    """Bundles and policies at hand.

    Args:
        bundles: Folders of bundles, or registries, whose earlier bundles count too.
        policies: Policy files; the bundles' own count too.
        folder: Files of the policies that decide beside them.
        floor: What the operator adds to the floor of a taxonomy.
    """

    def __init__(
        self,
        bundles: Sequence[Path],
        policies: Sequence[Path],
        *,
        folder: Path | None = None,
        floor: frozenset[str] = frozenset(),
    ) -> None:
        self._bundles = bundles
        self._policies = policies
        self._folder = folder
        self._floor = floor
        self._found: dict[str, Bundle | str] = {}
        """By digest: the bundle, or why there is none."""

    def of(self, verdict: Verdict) -> Judge:
        """Return who decided.

        Raises:
            JudgeUnknown: bundle or policy are not at hand.
        """
        digest = verdict.model.digest
        if digest not in self._found:
            self._found[digest] = self._bundle(verdict)
        bundle = self._found[digest]
        if isinstance(bundle, str):
            raise JudgeUnknown(bundle)
        policy, is_proven = self._policy(verdict, bundle)
        try:
            rule = rule_over(bundle, policy)
        except BundleError as error:
            raise JudgeUnknown(str(error)) from None
        return Judge(rule, bundle.taxonomy, borders_of(rule), is_proven)

    def _bundle(self, verdict: Verdict) -> Bundle | str:
        problems: list[str] = []
        for folder in self._folders(problems):
            try:
                if sha256_of(read_file(folder, MANIFEST_NAME, _REMEDY)) == verdict.model.digest:
                    return load_bundle(folder)
            except BundleError as error:
                problems.append(str(error))
        model = verdict.model
        missing = (
            f"bundle {model.name} {model.version} ({model.digest[:19]}…) is not at hand; name its folder, or a "
            "registry that held it, with --bundle"
        )
        return "; ".join([missing, *problems])

    def _folders(self, problems: list[str]) -> Iterator[Path]:
        for path in self._bundles:
            if not is_registry(path):
                yield path
                continue
            try:
                registry = read_registry(path)
            except BundleError as error:
                problems.append(str(error))
                continue
            root = path.parent if path.name == POINTER_NAME else path
            for entry in (registry.current, *reversed(registry.history)):
                yield root / entry.location

    def _policy(self, verdict: Verdict, bundle: Bundle) -> tuple[Policy, bool]:
        wanted, candidates, problems = verdict.policy, [bundle.default_policy], []
        for path in self._policies:
            try:
                candidates.append(load_policy(path, bundle))
            except PolicyError as error:
                problems.append(str(error))
        named = [one for one in candidates if (one.name, one.version) == (wanted.name, wanted.version)]
        for policy in named:
            if verdict.verdict_id in self._ids_under(policy, verdict, bundle):
                return policy, True
        if named:
            return named[-1], False
        raise JudgeUnknown(
            "; ".join([f"policy {wanted.name} {wanted.version} is not at hand; name its file with --policy", *problems])
        )

    def _ids_under(self, policy: Policy, verdict: Verdict, bundle: Bundle) -> Iterator[str]:
        """Yield the ids that a verdict has where this is the default policy, on each list."""
        for policies in self._sets_under(policy, bundle):
            yield from (_id_of(verdict, policies, listed) for listed in _LISTED)

    def _sets_under(self, policy: Policy, bundle: Bundle) -> Iterator[PolicySet]:
        """Yield what decides where this is the default policy: it alone, with the floor, with the others."""
        try:
            yield PolicySet([rule_over(bundle, policy)])
            yield policies_over(bundle, [policy], floor=self._floor)
            if self._folder is not None:
                others = read_folder(self._folder, bundle, policy).rules.values()
                yield policies_with(bundle, policy, others, floor=self._floor)
        except (BundleError, PolicyError):
            # What cannot be read proves nothing.
            return


def _id_of(verdict: Verdict, policies: PolicySet, listed: str) -> str:
    """Return the id that a verdict has where these policies decided and its chat is on this list."""
    return verdict_id(
        chat_id=verdict.chat_id,
        fingerprint=verdict.content_fingerprint,
        model_digest=verdict.model.digest,
        rules_version=verdict.rules_version,
        policies_digest=policies.digest_at(verdict.decided_at),
        previous=verdict.previous,
        override_revision=verdict.override_revision,
        decisions=verdict.decisions,
        listed=listed,
    )

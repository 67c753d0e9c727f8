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
from schemas import Policy, Taxonomy, Verdict, policies_digest, verdict_id
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
    """

    def __init__(self, bundles: Sequence[Path], policies: Sequence[Path]) -> None:
        self._bundles = bundles
        self._policies = policies
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
            rule = DecisionRule(policy, bundle.risk_curves(policy))
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
            if verdict.verdict_id in {_id_under(policy, verdict, listed) for listed in _LISTED}:
                return policy, True
        if named:
            return named[-1], False
        raise JudgeUnknown(
            "; ".join([f"policy {wanted.name} {wanted.version} is not at hand; name its file with --policy", *problems])
        )


def _id_under(policy: Policy, verdict: Verdict, listed: str) -> str:
    """Return the id that a verdict has where this policy alone decided."""
    return verdict_id(
        chat_id=verdict.chat_id,
        fingerprint=verdict.content_fingerprint,
        model_digest=verdict.model.digest,
        rules_version=verdict.rules_version,
        policies_digest=policies_digest([policy]),
        previous=verdict.previous,
        override_revision=verdict.override_revision,
        listed=listed,
    )

"""What changed from one verdict of a chat to the next: pure, over documents as `worker explain --json` has them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_MOST_POLICIES: Final = 20

_FIELDS: Final = (
    ("decision", ("decision",)),
    ("decided_by", ("decided_by",)),
    ("category", ("category", "code")),
    ("score", ("banned_probability",)),
    ("language", ("language",)),
    ("stage", ("stage",)),
    ("policy_version", ("policy", "version")),
    ("policy_name", ("policy", "name")),
    ("model", ("model", "digest")),
    ("rules_version", ("rules_version",)),
    ("taxonomy", ("taxonomy", "name")),
    ("actor", ("actor",)),
)
"""What is compared, and where it stands in a verdict."""

Change = dict[str, Any]
"""{what, before, after}; of `policies` before and after are decisions by policy."""


def with_changes(outcomes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return outcomes with `changed` beside each verdict: a list against the verdict before it, null for the first.

    Args:
        outcomes: In the order of their publication.
    """
    before: Mapping[str, Any] | None = None
    found = []
    for one in outcomes:
        verdict = one.get("verdict")
        if verdict is None:
            found.append({**one})
            continue
        found.append({**one, "changed": None if before is None else list(changes(before, verdict))})
        before = verdict
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Yield what differs between two verdicts, the decision first; nothing where the later one repeats the earlier."""
    if before.get("content_fingerprint") != after.get("content_fingerprint"):
        yield {"what": "text", "before": None, "after": None}
    for what, path in _FIELDS:
        old, new = _at(before, path), _at(after, path)
        if old != new:
            yield {"what": what, "before": _shown(what, old, before), "after": _shown(what, new, after)}
    yield from _policies(before, after)


def _policies(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    default = _at(after, ("policy", "name"))
    old, new = (
        {name: said.get("decision") for name, said in (one.get("decisions") or {}).items() if name != default}
        for one in (before, after)
    )
    differ = [name for name in {**old, **new} if old.get(name) != new.get(name)][:_MOST_POLICIES]
    if differ:
        yield {
            "what": "policies",
            "before": {name: old.get(name) for name in differ},
            "after": {name: new.get(name) for name in differ},
        }


def _shown(what: str, value: Any, verdict: Mapping[str, Any]) -> Any:
    if what != "model":
        return value
    return " ".join(str(_at(verdict, ("model", name)) or "") for name in ("name", "version", "digest"))[:80]


def _at(document: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found

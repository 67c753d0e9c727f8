"""Verdicts of the shipped bundle in files, for the tests of `policy simulate`."""

from collections.abc import Sequence
from pathlib import Path

from model import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from model.policies.context import NO_CONTEXT
from model.policies.rules import policies_over
from schemas import DEFAULT_POLICY, Source, Verdict, encode_verdict
from tests.policy_cases import some_readings, twenty_policies

STRICT = """
name = "strict"
version = "2"
banned = ["D", "I", "J", "M"]
max_banned_to_safe_rate = 0.01
max_safe_to_banned_rate = 0.05
"""


def shipped() -> Bundle:
    """Return the shipped bundle."""
    return load_bundle(DEFAULT_BUNDLE_PATH)


def verdicts(bundle: Bundle, n: int, *, n_chats: int | None = None) -> list[Verdict]:
    """Return verdicts under the default policy, each on an event of its own.

    Args:
        bundle: Who judged.
        n: How many.
        n_chats: Chats that they are of; each of another one without.
    """
    policies = policies_over(bundle, [DEFAULT_POLICY])
    some = policies_over(bundle, twenty_policies())
    return [
        read._replace(context=NO_CONTEXT).verdict(
            bundle,
            policies,
            chat_id=f"chat-{i % (n_chats or n)}",
            source=Source(topic="chat-events", partition=0, offset=i, timestamp_ms=1_700_000_000_000 + i),
        )
        for i, read in enumerate(some_readings(bundle, some, n))
    ]


def written(path: Path, found: Sequence[Verdict | bytes]) -> Path:
    """Write one line each; return the file."""
    lines = [one if isinstance(one, bytes) else encode_verdict(one) for one in found]
    path.write_bytes(b"\n".join(lines) + b"\n\n")
    return path

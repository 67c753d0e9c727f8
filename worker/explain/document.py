"""What was found of a chat, as one JSON document for programs. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.verdict_v1 import VERDICT_V1_SCHEMA_VERSION, VerdictV1
from worker.explain.explained import Explained
from worker.explain.look import TopicLook
from worker.explain.outcomes import ChatHistory, ChatOutcome, reason_of
from worker.record import Place


def document(
    chat_id: str,
    at: datetime | None,
    history: ChatHistory,
    explanations: Mapping[Place, Explained],
    looks: Sequence[TopicLook],
    *,
    is_complete: bool,
) -> dict[str, Any]:
    """Return everything.

    Args:
        chat_id: The chat.
        at: The time that was asked about; None for now.
        history: What was found.
        explanations: One for each kept verdict, by its place.
        looks: What was looked through.
        is_complete: Whether it was looked through to its end.
    """
    return {
        "event": "chat_explained",
        "chat_id": chat_id,
        "at": None if at is None else at.isoformat(),
        "complete": is_complete,
        "n_outcomes": history.n_found,
        "n_left_out": history.n_left_out,
        "outcomes": [
            _outcome(one, explanations.get(one.place), is_in_force=one is history.in_force)
            for one in history.outcomes()
        ],
        "looked_through": [_look(look) for look in looks],
    }


def _outcome(outcome: ChatOutcome, explanation: Explained | None, *, is_in_force: bool) -> dict[str, Any]:
    topic, partition, offset = outcome.place
    source = outcome.source
    found: dict[str, Any] = {
        "kind": outcome.kind.value,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "published_at": moment(outcome.published_ms),
        "in_force": is_in_force,
        "source": None if source is None else source.model_dump(mode="json"),
    }
    if explanation is None:
        letter = outcome.letter
        return found | {"reason": reason_of(outcome), "error": None if letter is None else letter.error}
    return found | {"verdict": _verdict(explanation), "explanation": _explanation(explanation)}


def _verdict(explanation: Explained) -> dict[str, Any]:
    verdict = explanation.verdict
    if verdict.schema_version == VERDICT_V1_SCHEMA_VERSION:
        return VerdictV1.model_validate(VerdictV1.fields_of(verdict), from_attributes=True).model_dump(mode="json")
    return verdict.model_dump(mode="json")


def _explanation(explanation: Explained) -> dict[str, Any]:
    judge = explanation.judge
    if judge is None:
        return {"policy": None, "unknown": explanation.unknown, "recomputed": None, "changes": []}
    policy, score = judge.rule.policy, explanation.verdict.banned_probability
    return {
        "policy": {
            **policy.model_dump(mode="json"),
            "proven": judge.is_proven,
            **judge.borders._asdict(),
            "safe_to_banned_risk": judge.rule.curves.safe_to_banned_risk(score) if policy.counted else None,
        },
        "unknown": explanation.unknown,
        "recomputed": explanation.recomputed,
        "changes": [
            {
                "what": change.what,
                "decision": change.decision.value,
                "code": change.code,
                "found": change.found,
                "needed": change.needed,
                "reasons": list(change.reasons),
            }
            for change in explanation.changes
        ],
    }


def _look(look: TopicLook) -> dict[str, Any]:
    return {
        "topic": look.topic,
        "partitions": look.read,
        "n_partitions": len(look.ranges),
        "all_partitions_because": look.whole_because,
        "n_records": look.n_records,
        "oldest_offsets": {str(one.partition): one.start for one in look.ranges if one.partition in look.read},
    }


def moment(time_ms: int) -> str | None:
    """Return a time as ISO 8601 with milliseconds; None where a record has none."""
    if time_ms < 0:
        return None
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat(timespec="milliseconds")

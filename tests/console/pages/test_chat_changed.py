"""What changed from one verdict of a chat to the next: pure."""

from typing import Any

from console.pages.chat.changed import changes, with_changes
from schemas import DecidedBy, Decision, ModelRef, PolicyDecision
from tests.schemas.payloads import make_verdict


def said(**fields: Any) -> dict[str, Any]:
    """Return a verdict as the account has it."""
    return make_verdict(**fields).model_dump(mode="json")


def test_each_difference_is_named_once() -> None:
    """With what it was and what it became."""
    before = said()
    after = said(
        decision=Decision.BLOCK,
        banned_probability=0.9,
        content_fingerprint="2e" * 16,
        model=ModelRef(name="ad-safety", version="2.0.0", digest=f"sha256:{'cd' * 32}"),
        cache_hit=True,
    )
    found = {one["what"]: (one["before"], one["after"]) for one in changes(before, after)}
    assert found["decision"] == ("allow", "block")
    assert found["score"] == (0.12, 0.9)
    assert found["text"] == (None, None)
    assert found["model"][1].startswith("ad-safety 2.0.0 sha256:cdcd")
    assert found.keys() == {"decision", "score", "text", "model"}


def test_a_repeat_changes_nothing() -> None:
    """Another event, another time, another id: the same verdict."""
    assert list(changes(said(), said(event_id="other", verdict_id="1f" * 16, cache_hit=True))) == []


def test_other_policies_are_named_where_they_say_something_else() -> None:
    """Also one that came and one that went; the default policy is told as the decision."""

    def policies(**decisions: Decision) -> dict[str, PolicyDecision]:
        own = {"default": Decision.ALLOW, **decisions}
        return {
            name: PolicyDecision(version="1", decision=one, decided_by=DecidedBy.MODEL) for name, one in own.items()
        }

    before = said(decisions=policies(toys=Decision.ALLOW, cars=Decision.ALLOW, same=Decision.REVIEW))
    after = said(decisions=policies(toys=Decision.BLOCK, beer=Decision.ALLOW, same=Decision.REVIEW))
    (found,) = changes(before, after)
    assert found["before"] == {"toys": "allow", "cars": "allow", "beer": None}
    assert found["after"] == {"toys": "block", "cars": None, "beer": "allow"}


def test_dead_letters_between_two_verdicts_are_no_verdicts() -> None:
    """A verdict is compared with the verdict before it; the first has none."""
    outcomes: list[dict[str, Any]] = [
        {"kind": "verdict", "verdict": said()},
        {"kind": "dead_letter", "reason": "schema_error"},
        {"kind": "verdict", "verdict": said(decision=Decision.REVIEW)},
    ]
    first, letter, last = with_changes(outcomes)
    assert first["changed"] is None
    assert "changed" not in letter
    assert [one["what"] for one in last["changed"]] == ["decision"]


def test_a_verdict_of_version_1_is_compared_by_what_it_has() -> None:
    """It has fewer fields."""
    old = {"decision": "allow", "banned_probability": 0.1, "content_fingerprint": "1e" * 16}
    found = {one["what"] for one in changes(old, said())}
    assert {"score", "category", "language", "rules_version"} <= found

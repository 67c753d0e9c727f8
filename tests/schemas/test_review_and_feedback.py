"""Reviews name what asks for a person; reports count only where they are about a verdict that is known."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from schemas import (
    DecidedBy,
    Decision,
    Feedback,
    FeedbackRefused,
    PolicyDecision,
    Verdict,
    decode_feedback,
    decode_review,
    encode_feedback,
    encode_review,
    feedback_on,
    review_of,
)
from schemas.contracts import CONTRACTS
from schemas.feedback import MAX_NOTE_CHARACTERS, MAX_REPORT_BYTES, accepted
from tests.schemas.payloads import CANARY, make_verdict

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def said(decision: Decision, decided_by: DecidedBy = DecidedBy.MODEL) -> PolicyDecision:
    """Return what one policy says."""
    return PolicyDecision(version="1", decision=decision, decided_by=decided_by)


def asking() -> Verdict:
    """Return a verdict on which two of four policies ask for a person."""
    decisions = {
        "default": said(Decision.REVIEW),
        "toys": said(Decision.BLOCK),
        "cars": said(Decision.REVIEW, DecidedBy.HOLD),
        "news": said(Decision.ALLOW),
    }
    return make_verdict(decision=Decision.REVIEW, decisions=decisions)


def schema_of(name: str) -> Draft202012Validator:
    """Return what checks documents against a generated contract."""
    return Draft202012Validator(next(one for one in CONTRACTS if one.name == name).json_schema())


def report(**fields: Any) -> Feedback:
    """Return a report on `make_verdict()`, with `fields` laid over it."""
    verdict = make_verdict()
    whole = {
        "verdict_id": verdict.verdict_id,
        "source": verdict.source,
        "category": "D",
        "reporter": "r-1",
        "reported_at": NOW,
        **fields,
    }
    return Feedback.model_validate(whole)


def test_a_review_names_the_policies_that_ask_and_nothing_of_the_text() -> None:
    """One record a verdict, whoever asks; the fingerprint ties a person's answer to this text."""
    verdict = asking()
    review = review_of(verdict)
    assert review is not None
    assert [(one.name, one.decided_by) for one in review.policies] == [
        ("default", DecidedBy.MODEL),
        ("cars", DecidedBy.HOLD),
    ]
    assert (review.verdict_id, review.fingerprint) == (verdict.verdict_id, verdict.content_fingerprint)
    document = orjson.loads(encode_review(review))
    schema_of("review").validate(document)
    assert decode_review(encode_review(review)) == review
    assert document["source"] == verdict.source.model_dump()
    assert len(encode_review(review)) < len(verdict.model_dump_json())


def test_a_verdict_on_which_nobody_asks_has_no_review() -> None:
    """Blocked and allowed chats are nobody's work."""
    assert review_of(make_verdict()) is None
    assert review_of(make_verdict(decisions={"default": said(Decision.BLOCK)}, decision=Decision.BLOCK)) is None


def test_an_event_id_beyond_64_bits_is_carried_into_the_review() -> None:
    """Upstream may send one, and a review must not end a batch."""
    review = review_of(make_verdict(event_id=2**70, decisions={"default": said(Decision.REVIEW)}))
    assert review is not None
    assert decode_review(encode_review(review)).event_id == 2**70


def test_a_report_on_a_verdict_names_its_event_and_text_and_comes_back_from_bytes() -> None:
    """Then whoever joins needs no verdict: the event's own fingerprint tells whether it is about this text."""
    verdict = make_verdict()
    made = feedback_on(verdict, reporter="r-1", reported_at=NOW, category="D", decision=Decision.BLOCK, note="no")
    assert (made.source, made.fingerprint) == (verdict.source, verdict.content_fingerprint)
    assert made.taxonomy == verdict.taxonomy
    assert made.chat_id is None, "an erased chat leaves no name behind"
    schema_of("feedback").validate(orjson.loads(encode_feedback(made)))
    assert decode_feedback(encode_feedback(made)) == made


def test_a_category_of_another_taxonomy_is_refused_with_those_there_are() -> None:
    """A typo must not become a label."""
    with pytest.raises(FeedbackRefused, match="expected one of A, B"):
        feedback_on(make_verdict(), reporter="r", reported_at=NOW, category="question")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"category": None}, "neither category nor decision"),
        ({"note": CANARY * MAX_NOTE_CHARACTERS}, "note"),
        ({"reporter": ""}, "reporter"),
        ({"verdict_id": CANARY}, "verdict_id"),
        ({"fingerprint": CANARY}, "fingerprint"),
        ({"decision": CANARY}, "decision"),
        ({"source": CANARY}, "source"),
        ({"schema_version": 2}, "schema_version"),
        ({"reported_at": "2026-01-02T03:04:05"}, "reported_at"),
    ],
)
def test_a_report_that_is_none_is_refused_by_field_and_quoted_nowhere(changes: dict[str, Any], named: str) -> None:
    """The topic is open to others; what they write may be anything, and errors end in logs."""
    good = report().model_dump(mode="json", exclude_none=True)
    with pytest.raises(FeedbackRefused) as caught:
        decode_feedback(orjson.dumps({**good, **changes}))
    assert named in str(caught.value)
    assert "expected" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b"\xff", b"{" + b" " * MAX_REPORT_BYTES + b"}"])
def test_bytes_that_hold_no_report_are_refused(raw: bytes | None) -> None:
    """Decoding is total: one bad record ends nothing."""
    with pytest.raises(FeedbackRefused, match="expected"):
        decode_feedback(raw)


def test_the_longest_report_fits() -> None:
    """The limit on bytes must not refuse what the fields allow, whatever alphabet it is in."""
    longest = report(
        note="\U0001f600" * MAX_NOTE_CHARACTERS,
        reporter="\U0001f600" * 128,
        chat_id="\U0001f600" * 256,
        decision=Decision.BLOCK,
        fingerprint="ab" * 16,
    )
    escaped = orjson.loads(encode_feedback(longest))
    assert decode_feedback(encode_feedback(longest)) == longest
    assert len(ascii(escaped)) < MAX_REPORT_BYTES


@pytest.mark.parametrize(
    ("changes", "is_accepted"),
    [
        ({}, True),
        ({"fingerprint": "1e" * 16}, True),
        ({"fingerprint": "1e" * 16, "verdict_id": "aa" * 16}, True),
        ({"chat_id": "chat-1"}, True),
        ({"verdict_id": "aa" * 16}, False),
        ({"fingerprint": "2e" * 16}, False),
        ({"chat_id": "chat-2"}, False),
        ({"category": "question"}, False),
        ({"category": None, "decision": Decision.ALLOW}, True),
    ],
)
def test_only_what_matches_a_known_verdict_by_id_or_text_is_kept(changes: dict[str, Any], *, is_accepted: bool) -> None:
    """And is completed from it, so that a source that somebody made up leads nowhere."""
    verdict = make_verdict()
    others = [make_verdict(verdict_id="cc" * 16, content_fingerprint="3e" * 16)]
    made_up = verdict.source.model_copy(update={"offset": 7})
    kept = accepted(report(source=made_up, **changes), [*others, verdict])
    assert (kept is not None) == is_accepted
    if kept is not None:
        assert (kept.source, kept.fingerprint, kept.taxonomy) == (
            verdict.source,
            verdict.content_fingerprint,
            verdict.taxonomy,
        )
        assert kept.chat_id is None
    assert accepted(report(**changes), others) is None

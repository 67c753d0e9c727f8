"""The fast encoder against pydantic's, which defines what a verdict looks like on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter

from schemas import Decision, PreviousDecision, Verdict, encode_verdict
from tests.schemas.payloads import make_verdict
from worker.cache.entries import MAX_VALUE_BYTES

PREVIOUS = PreviousDecision(
    decision=Decision.BLOCK, offset=7, decided_at=datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=timezone(timedelta(hours=5)))
)


@pytest.mark.parametrize("event_id", [None, 0, -7, 2**63, 10**30, "", 'é\u2028\U0001f600\\"', "a" * 256])
def test_the_encoder_writes_byte_for_byte_what_the_model_defines(event_id: str | int | None) -> None:
    """Integers beyond 64 bits reach us from upstream; an encoder that raised on one would stop its partition."""
    changes = {"event_id": event_id, "cache_hit": True, "replay_id": "r", "previous": PREVIOUS}
    verdict = make_verdict().model_copy(update=changes)
    assert encode_verdict(verdict) == TypeAdapter(Verdict).dump_json(verdict)


@pytest.mark.parametrize("name", ["decided_at", "previous"])
def test_a_full_second_is_written_with_its_decimals(name: str) -> None:
    """Without them, as orjson writes it, a reader with a fixed pattern would fail."""
    full = datetime(2026, 1, 1, tzinfo=UTC)
    value = full if name == "decided_at" else PREVIOUS.model_copy(update={"decided_at": full})
    verdict = make_verdict().model_copy(update={name: value})
    encoded = encode_verdict(verdict)
    assert encoded == TypeAdapter(Verdict).dump_json(verdict)
    assert b'"2026-01-01T00:00:00.000000Z"' in encoded


def test_the_largest_taxonomy_with_the_longest_codes_makes_a_verdict_that_topics_and_cache_take() -> None:
    """Else a bundle could be loaded whose every verdict is dead-lettered."""
    codes = [f"{number:03d}".ljust(64, "x") for number in range(256)]
    numbers = dict.fromkeys(codes, 0.003906)
    longest = {"chat_id": "\U0001f600" * 256, "event_id": "\u2028" * 256, "occurred_at": "\x00" * 256}
    verdict = make_verdict(
        probabilities=numbers, category={"code": codes[0], "name": "\x00" * 128}, replay_id="r" * 256, **longest
    )
    assert len(encode_verdict(verdict)) <= MAX_VALUE_BYTES
    ordinary = {f"category-{number:03d}": 0.003906 for number in range(256)}
    assert (
        len(encode_verdict(make_verdict(probabilities=ordinary, category={"code": "category-000", "name": "x"})))
        < 15_000
    )

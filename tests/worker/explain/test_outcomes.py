"""The outcomes of one chat among all others."""

import orjson
import pytest

from schemas import CodecLimits, ModelRef, encode_verdict
from schemas.verdict_v1 import VerdictV1
from tests.schemas.payloads import make_verdict
from tests.worker.explain.records import CHAT, letter_record, record, verdict_record
from worker.explain.outcomes import ChatHistory, OutcomeKind, dead_letter_of, reason_of, verdict_of
from worker.kafka.topic_scan import ScannedRecord

LIMITS = CodecLimits()


def history_of(*records: ScannedRecord, limit: int = 10, until_ms: int | None = None) -> ChatHistory:
    """Return what is found of the chat in records of both topics."""
    history = ChatHistory(limit=limit, until_ms=until_ms)
    for one in records:
        found = verdict_of(one, CHAT) if one.topic == "verdicts" else dead_letter_of(one, CHAT, LIMITS)
        if found is not None:
            history.add(found)
    return history


def test_outcomes_come_in_order_and_the_newest_record_is_in_force() -> None:
    """Two topics, read one after the other; a replay publishes a verdict on an old record late."""
    late = verdict_record(9, source=verdict_source(1))
    history = history_of(verdict_record(1), verdict_record(3), late, letter_record(2), letter_record(4))
    kinds = [(one.kind, one.place[2]) for one in history.outcomes()]
    letter, verdict = OutcomeKind.DEAD_LETTER, OutcomeKind.VERDICT
    assert kinds == [(verdict, 1), (letter, 2), (verdict, 3), (letter, 4), (verdict, 9)]
    assert history.in_force is not None
    assert history.in_force.place == ("chat-events.dlq", 0, 4)


def verdict_source(offset: int) -> object:
    """Return the input record of another verdict."""
    return make_verdict().source.model_copy(update={"partition": 0, "offset": offset})


def test_other_chats_are_passed_over_by_key_and_by_content() -> None:
    """A key that is the chat's says nothing where the value is of another one."""
    stranger = record("verdicts", 0, 5, CHAT.encode(), encode_verdict(make_verdict(chat_id="chat-2")))
    history = history_of(verdict_record(1, chat_id="chat-2"), stranger, letter_record(2, key=b"chat-2"))
    # The dead letter's value names the chat, whatever its key says.
    assert [one.place[2] for one in history.outcomes()] == [2]


def test_a_time_leaves_later_outcomes_aside_and_a_limit_the_oldest() -> None:
    """What was in force then; and a chat of a million verdicts fits in memory."""
    records = [verdict_record(offset) for offset in range(6)]
    assert history_of(*records, until_ms=1_003).n_found == 4
    few = history_of(*records, limit=2)
    assert ([one.place[2] for one in few.outcomes()], few.n_left_out) == ([4, 5], 4)


def test_a_tombstone_is_told_from_a_dead_letter_and_from_what_nobody_can_read() -> None:
    """Three things that are no verdict, each with another meaning."""
    strange = record("verdicts", 0, 3, CHAT.encode(), b'{"schema_version": 3}')
    no_headers = record("chat-events.dlq", 0, 4, CHAT.encode(), b"x")
    history = history_of(letter_record(1), letter_record(2, is_tombstone=True), strange, no_headers)
    found = {one.place[2]: (one.kind, reason_of(one)) for one in history.outcomes()}
    assert found == {
        1: (OutcomeKind.DEAD_LETTER, "schema_error"),
        2: (OutcomeKind.TOMBSTONE, "tombstone"),
        3: (OutcomeKind.UNREADABLE, None),
        4: (OutcomeKind.UNREADABLE, None),
    }


@pytest.mark.parametrize("version", [1, 2])
def test_verdicts_of_both_versions_are_read(version: int) -> None:
    """Topics hold version 1 until it expires there."""
    verdict = make_verdict(model=ModelRef(name="m", version="1", digest=f"sha256:{'cd' * 32}"))
    raw = orjson.dumps(
        verdict.model_dump(mode="json")
        if version == 2
        else VerdictV1.model_validate(
            {**verdict.model_dump(), "schema_version": 1, "category": verdict.category.model_dump()}
        ).model_dump(mode="json")
    )
    (found,) = history_of(record("verdicts", 0, 1, CHAT.encode(), raw)).outcomes()
    assert found.verdict is not None
    assert found.verdict.schema_version == version

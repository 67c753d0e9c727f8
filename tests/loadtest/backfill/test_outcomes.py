"""Outcomes are compared field by field; what is missing, different or there twice is counted, never passed over."""

from pathlib import Path
from typing import Any

import orjson

from loadtest.backfill.archive import records_of
from loadtest.backfill.outcomes import compared, of_record, of_tables, once_each
from loadtest.chats import ChatPool
from schemas import CodecLimits, RecordRejected, decode_conversation
from testkit.records import OutputRecord, Place
from tests.model.backfill.archives import as_values, chat, quick_bundle, write_values
from tests.model.backfill.test_run import classify

PLACE = Place("t", 0, 1)


def _verdict(**fields: Any) -> OutputRecord:
    source = {"topic": "t", "partition": 0, "offset": 1, "timestamp_ms": 5}
    value = {"chat_id": "c", "event_id": 7, "source": source, "decided_at": "now", "cache_hit": False} | fields
    return OutputRecord("verdicts", 0, 9, b"c", orjson.dumps(value), {})


def test_a_verdict_is_known_by_the_record_that_it_answers_and_loses_what_is_of_the_run() -> None:
    """The clock and the cache differ between any two runs."""
    place, said = of_record(_verdict(), "verdicts")
    assert place == PLACE
    assert said == of_record(_verdict(decided_at="later", cache_hit=True), "verdicts")[1]
    assert said["event_id"] == "7"


def test_a_dead_letter_is_known_by_its_origin() -> None:
    """Its reason counts, its text may be cut."""
    headers = {
        "reason": "decode_error",
        "error": "found x",
        "origin_topic": "t",
        "origin_partition": "0",
        "origin_offset": "1",
        "origin_timestamp_ms": "5",
    }
    record = OutputRecord("dlq", 0, 3, None, b"?", headers)
    assert of_record(record, "verdicts") == (PLACE, {"rejected": "decode_error"})


def test_differences_are_counted_by_field() -> None:
    """Missing on either side counts, too."""
    other = Place("t", 0, 2)
    found = compared({PLACE: {"a": 1, "b": 1}, other: {"a": 1}}, {PLACE: {"a": 1, "b": 2}})
    assert (found.n_missing, found.n_different, found.by_field) == (1, 1, {"b": 1})
    assert not found.are_equal
    assert compared({PLACE: {"a": 1}}, {PLACE: {"a": 1}}).are_equal
    assert once_each([(PLACE, {"a": 1}), (PLACE, {"a": 1})])[1] == 1


def test_a_last_decimal_is_no_difference_and_is_counted() -> None:
    """Rows that share a batch move a probability by less than that; a decision never moves unseen."""
    one = {"probabilities": {"A": 0.4, "B": 0.6}, "banned_to_safe_risk": 0.1, "decision": "allow"}
    near = one | {"probabilities": {"A": 0.400001, "B": 0.599999}}
    found = compared({PLACE: one}, {PLACE: near})
    assert (found.n_different, found.n_last_decimal) == (0, 1)
    for change in (
        {"probabilities": {"A": 0.40001, "B": 0.59999}},
        {"probabilities": {"B": 0.6, "A": 0.4}, "decision": "block"},
        {"banned_to_safe_risk": 0.2},
        {"banned_to_safe_risk": None},
    ):
        assert compared({PLACE: one}, {PLACE: one | change}).n_different == 1


def test_rows_of_an_output_are_read_as_verdicts_are(tmp_path: Path) -> None:
    """Maps as objects, and rejections by their reason."""
    write_values(tmp_path / "in.parquet", [*as_values([chat(1, event_id="e")]), b"?"])
    classify(tmp_path / "in.parquet", tmp_path / "out", quick_bundle(tmp_path / "quick"))
    found = dict(of_tables(tmp_path / "out"))
    assert found[Place("chat-events", 3, 1)] == {"rejected": "decode_error"}
    verdict = found[Place("chat-events", 3, 0)]
    assert (verdict["chat_id"], verdict["event_id"]) == ("c-1", "e")
    assert abs(sum(verdict["probabilities"].values()) - 1) < 1e-3
    assert "input_row" not in verdict


def test_one_record_in_a_hundred_is_bad() -> None:
    """Rejections are compared as well."""
    pool = ChatPool([[{"role": "user", "content": "hi"}]], "run")
    n_bad = 0
    for record in records_of(pool, 600):
        try:
            decode_conversation(record.value, CodecLimits())
        except RecordRejected:
            n_bad += 1
    assert n_bad == 6

"""records.json and JSON lines to conversations."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.windowing import Windowing, render
from schemas import RESULTS_OF_TOOLS, CodecLimits, Role, conversation_turns, decode_chat_event
from tests.bad_inputs import bad_inputs
from tests.training_pipeline.data.chat_files import chat, read_lines, rejects_of, write_lines
from training_pipeline.data import extract
from training_pipeline.data.chat_rows import Reject, messages_of, read_chat_rows
from training_pipeline.data.errors import DataError
from training_pipeline.data.record_files import read_records
from training_pipeline.data.resumable_output import checkpoint_path

LIMITS = CodecLimits()

texts = st.text(min_size=0, max_size=40)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from([role.value for role in Role]), "content": texts}), max_size=20
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_a_list_and_json_lines_of_the_same_chats_extract_alike(tmp_path: Path) -> None:
    """Upstream's export is a list, everybody else's is lines; which of the two must not matter."""
    chats = [chat("a", "which phone?", "this one", "cheaper"), chat("b", 'a "quoted" [text] {with, brackets}')]
    as_list = tmp_path / "records.json"
    as_list.write_bytes(b" \xef\xbb\xbf"[1:] + orjson.dumps(chats, option=orjson.OPT_INDENT_2))
    as_lines = write_lines(tmp_path / "records.jsonl", chats)
    rows = []
    for path in (as_list, as_lines):
        extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
        rows.append([{**row, "extracted_from": ""} for row in read_lines(tmp_path / "out.jsonl")])
    assert rows[0] == rows[1]
    assert [row["chat_id"] for row in rows[0]] == ["a", "b"]


@settings(deadline=None)
@given(st.lists(json_values, max_size=6), st.sampled_from([None, orjson.OPT_INDENT_2]))
def test_every_element_of_any_list_is_read_once_and_whole(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: int | None
) -> None:
    """The scan knows only strings and brackets, so any JSON must come out of it as it went in."""
    path = tmp_path_factory.mktemp("list") / "records.json"
    path.write_bytes(orjson.dumps(values, option=indent | orjson.OPT_NON_STR_KEYS if indent else None))
    records = list(read_records(path))
    assert [orjson.loads(record.raw) for record in records] == values
    assert [record.number for record in records] == list(range(1, len(values) + 1))


def test_each_bad_record_is_rejected_with_the_workers_reason_and_spoils_no_other(tmp_path: Path) -> None:
    """Training must not read what serving would dead-letter; a loss without a reason would never be noticed."""
    bad = [item for item in bad_inputs() if item.value and b"\n" not in item.value and item.name != "BOM"]
    lines = [
        line for i, item in enumerate(bad) for line in (item.value or b"", orjson.dumps(chat(f"good-{i}", "hello")))
    ]
    path = write_lines(tmp_path / "records.jsonl", lines)
    report = extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
    found = rejects_of(tmp_path / "out.jsonl")
    assert found == {f"records.jsonl#{2 * i + 1}": item.reason for i, item in enumerate(bad) if item.reason}
    assert report.n_written == len(lines) - len(found)


@settings(deadline=None)
@given(messages, st.none() | texts, st.none() | texts)
def test_an_extracted_chat_renders_to_the_window_that_serving_reads(
    rows: list[dict[str, str]], formatted: str | None, query: str | None
) -> None:
    """Training on other windows than serving reads would silently cost accuracy (law 6)."""
    event = decode_chat_event(orjson.dumps(chat("c", "x")), LIMITS).model_copy(
        update={
            "messages": decode_chat_event(
                orjson.dumps(chat("c", messages=[*rows, chat("c", "x")["messages"][0]])), LIMITS
            ).messages[: len(rows)],
            "formatted_chat": formatted,
            "query": query,
        }
    )
    turns = conversation_turns(event)
    if not turns:
        return
    row = {"chat_id": "c", "messages": messages_of(event, last=12)}
    extracted = decode_chat_event(orjson.dumps(row), LIMITS)
    assert render(conversation_turns(extracted), Windowing()) == render(turns, Windowing())
    roles = [message["role"] for message in row["messages"]]
    assert len(roles) <= 24
    assert len([role for role in roles if role not in RESULTS_OF_TOOLS]) <= 12


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A day of extraction must not start over, and no chat may be missing or twice afterwards."""
    chats: list[Any] = [chat(f"chat-{i}", f"question {i}") for i in range(2500)]
    chats[700] = b"{"
    path = write_lines(tmp_path / "records.jsonl", chats)
    out = tmp_path / "out.jsonl"
    n_seen = 0

    def interrupt(_done: int, _total: int) -> None:
        nonlocal n_seen
        n_seen += 1
        if n_seen == 2300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract.extract_files([path], out, last_messages=12, on_progress=interrupt)
    assert not out.exists(), "an incomplete output must not look complete"
    n_before, n_seen = n_seen, 10_000
    report = extract.extract_files([path], out, last_messages=12, on_progress=interrupt)
    assert n_seen - 10_000 < len(chats) - n_before + 1_000, "the second run read everything again"
    expected = [row["chat_id"] for row in chats if isinstance(row, dict)]
    assert [row["chat_id"] for row in read_lines(out)] == expected
    assert (rejects_of(out), report.n_written) == ({"records.jsonl#701": "decode_error"}, 2499)
    assert not checkpoint_path(out).exists()


def test_a_changed_input_starts_afresh(tmp_path: Path) -> None:
    """Going on in a different file would mix two exports."""
    out = tmp_path / "out.jsonl"
    path = write_lines(tmp_path / "records.jsonl", [chat(f"old-{i}", "hello") for i in range(1500)])

    def interrupt(done: int, total: int) -> None:
        if done > total * 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract.extract_files([path], out, last_messages=12, on_progress=interrupt)
    write_lines(path, [chat("new", "hello")])
    extract.extract_files([path], out, last_messages=12)
    assert [row["chat_id"] for row in read_lines(out)] == ["new"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'[{"chat_id": "a"}', "does not end"),
        (b'[{"chat_id": "a"}] {}', "text follows"),
        (b'["unclosed', "does not end"),
    ],
)
def test_a_broken_list_is_an_error_and_leaves_no_output(tmp_path: Path, content: bytes, found: str) -> None:
    """Half an export that passes as a whole one is the costliest kind of loss."""
    path = tmp_path / "records.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=found):
        extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
    assert not (tmp_path / "out.jsonl").exists()


def test_an_empty_file_extracts_to_nothing(tmp_path: Path) -> None:
    """An hour without chats is no error."""
    path = tmp_path / "records.json"
    path.write_bytes(b"")
    assert extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12).n_written == 0


def test_ids_past_64_bits_stay_whole(tmp_path: Path) -> None:
    """The codec accepts them, so they must neither stop the stage nor lose digits."""
    path = write_lines(tmp_path / "r.jsonl", [b'{"chat_id":"c","event_id":' + b"9" * 30 + b',"query":"hello"}'])
    extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
    (row,) = read_chat_rows([tmp_path / "out.jsonl"], lambda _: None)
    assert row.fields["event_id"] == "9" * 30


def test_rejects_hold_no_chat_text(tmp_path: Path) -> None:
    """Rejects are read by people who may not read chats."""
    path = write_lines(
        tmp_path / "r.jsonl", [{"chat_id": "c", "messages": [{"role": "secretword", "content": "canary"}]}]
    )
    extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
    content = (tmp_path / "out.rejects.jsonl").read_bytes()
    assert Reject.model_validate_json(content).reason == "schema_error"
    assert b"secretword" not in content
    assert b"canary" not in content

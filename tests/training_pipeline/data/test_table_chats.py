import csv
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from schemas import CodecLimits, conversation_turns, decode_chat_event
from training_pipeline.data.commands import app
from training_pipeline.data.errors import DataError
from training_pipeline.data.stage_files import StageReport
from training_pipeline.data.table_chats import TableOptions, extract_table, table_options

_LABELLED = TableOptions(text_column="message", label_column="type")
_THREADS = TableOptions(
    text_column="message", thread_column="thread", author_column="author", time_column="at", id_column="id"
)
_HEADER = ("id", "thread", "author", "at", "message")


def _table(tmp_path: Path, *rows: Sequence[str], name: str = "messages.csv") -> Path:
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def _extracted(
    tmp_path: Path, options: TableOptions, *rows: Sequence[str], last_messages: int = 12
) -> tuple[list[dict[str, Any]], StageReport]:
    out = tmp_path / "out" / "raw.jsonl"
    report = extract_table([_table(tmp_path, *rows)], out, options, last_messages=last_messages)
    return [orjson.loads(line) for line in out.read_bytes().splitlines()], report


def _rejects(tmp_path: Path) -> list[dict[str, str]]:
    return [orjson.loads(line) for line in (tmp_path / "out" / "raw.rejects.jsonl").read_bytes().splitlines()]


def test_labels_are_trimmed_lowered_and_filtered(tmp_path: Path) -> None:
    """Whoever typed them meant one label; how often each spelling came is in the report."""
    options = _LABELLED.model_copy(update={"allowed": ("question", "Answer")})
    chats, report = _extracted(
        tmp_path,
        options,
        ("message", "type"),
        ("how?", "question"),
        ("where?", " Question "),
        ("there", "answer"),
        ("so", "ANSWER"),
        ("buy now", "advert"),
        ("well", ""),
    )
    assert [chat["category"] for chat in chats] == ["question", "question", "answer", "answer"]
    assert report.n_rejected_by_reason == {"empty_label": 1, "label_not_allowed": 1}
    assert report.details["n_rows_by_spelling"] == {
        "answer": {"answer": 1, "ANSWER": 1},
        "question": {"question": 1, " Question ": 1},
    }
    assert report.details["n_chats_by_category"] == {"answer": 2, "question": 2}
    assert report.details["n_rows_by_refused_label"] == {"advert": 1}
    assert _rejects(tmp_path)[0]["error"] == "label is advert; expected answer, question"


def test_a_taxonomy_turns_names_and_spellings_into_its_codes(tmp_path: Path) -> None:
    """People label with the names that they read."""
    options = _LABELLED.model_copy(update={"taxonomy": "toxicity"})
    rows = [("hi", "Not Toxic"), ("good day", "not_toxic"), ("oaf", "TOXIC"), ("fool", "toxic"), ("eh", "rude")]
    chats, report = _extracted(tmp_path, options, ("message", "type"), *rows)
    assert [chat["category"] for chat in chats] == ["not_toxic", "not_toxic", "toxic", "toxic"]
    assert report.n_rejected_by_reason == {"label_not_allowed": 1}


def test_codes_of_a_taxonomy_keep_their_case(tmp_path: Path) -> None:
    """Training and bundles compare codes to the letter."""
    chats, _ = _extracted(
        tmp_path, _LABELLED.model_copy(update={"taxonomy": "chat-13"}), ("message", "type"), ("a", "m"), ("b", "M")
    )
    assert [chat["category"] for chat in chats] == ["M", "M"]


def test_allowed_labels_that_the_taxonomy_lacks_are_refused(tmp_path: Path) -> None:
    """A typo would reject every row of a class."""
    options = _LABELLED.model_copy(update={"taxonomy": "community", "allowed": ("question", "spam")})
    with pytest.raises(DataError, match="--allowed spam: not in the taxonomy; expected some of answer, comment"):
        _extracted(tmp_path, options, ("message", "type"), ("a", "question"))


def test_a_text_with_two_labels_goes_whole_and_a_repeated_one_but_for_the_first(tmp_path: Path) -> None:
    """Nobody knows which of two labels is right, and a repeated text would stand on both sides of a split."""
    chats, report = _extracted(
        tmp_path,
        _LABELLED,
        ("message", "type"),
        ("thanks", "comment"),
        ("Thanks ", "comment"),
        ("which one", "question"),
        ("which  one", "answer"),
        ("hello", "comment"),
    )
    assert [chat["messages"][0]["content"] for chat in chats] == ["thanks", "hello"]
    assert report.n_rejected_by_reason == {"conflicting_labels": 2, "exact_duplicate": 1}
    errors = {reject["reason"]: reject["error"] for reject in _rejects(tmp_path)}
    assert errors["conflicting_labels"] == "the same text has the labels answer, question; expected one"
    assert errors["exact_duplicate"] == "same text as messages.csv:2"


def test_a_class_of_one_row_is_rejected(tmp_path: Path) -> None:
    """It can be learnt or checked, not both; rows that other reasons take do not count for it."""
    chats, report = _extracted(tmp_path, _LABELLED, ("message", "type"), ("a", "x"), ("b", "x"), ("c", "y"), ("C", "y"))
    assert [chat["category"] for chat in chats] == ["x", "x"]
    assert report.n_rejected_by_reason == {"exact_duplicate": 1, "single_row_of_label": 1}


def test_rows_without_text_are_rejected_and_no_reject_holds_text(tmp_path: Path) -> None:
    """A label column that was named by mistake may hold chat text."""
    rows = [("", "x"), ("  \u200b ", "x"), ("secret words", "another secret, much longer than any label would be")]
    options = _LABELLED.model_copy(update={"allowed": ("x",)})
    _, report = _extracted(tmp_path, options, ("message", "type"), *rows, ("a", "x"), ("b", "x"))
    assert report.n_rejected_by_reason == {"empty_text": 2, "label_not_allowed": 1}
    assert "secret" not in (tmp_path / "out" / "raw.rejects.jsonl").read_text()


def test_where_nothing_is_left_it_says_what_was_there_and_leaves_the_rejects(tmp_path: Path) -> None:
    """An empty file of chats would only fail in a later stage."""
    options = _LABELLED.model_copy(update={"allowed": ("question",)})
    with pytest.raises(DataError, match=r"no chat is left of 2 rows .*labels are spam 2, expected question"):
        _extracted(tmp_path, options, ("message", "type"), ("a", "spam"), ("b", "spam"))
    assert len(_rejects(tmp_path)) == 2
    assert not (tmp_path / "out" / "raw.jsonl").exists()


def test_a_message_gets_the_earlier_ones_of_its_thread_in_the_order_of_their_times(tmp_path: Path) -> None:
    """An answer is one because of what was asked before; tables are often sorted by something else."""
    chats, _ = _extracted(
        tmp_path,
        _THREADS,
        _HEADER,
        ("2", "t", "ann", "2026-01-01T10:05:00+01:00", "second"),
        ("1", "t", "bob", "2026-01-01T09:00:00Z", "first"),
        ("9", "other", "cid", "1767258000", "elsewhere"),
        ("3", "t", "bob", "1767258400000", "third"),
    )
    by_id = {chat["chat_id"]: chat for chat in chats}
    turns = [(turn["role"], turn["content"]) for turn in by_id["3"]["messages"]]
    assert turns == [("user", "first"), ("assistant", "second"), ("user", "third")]
    assert [turn["content"] for turn in by_id["1"]["messages"]] == ["first"]
    assert [turn["content"] for turn in by_id["9"]["messages"]] == ["elsewhere"]
    assert by_id["2"]["messages"][-1]["createdAt"] == "2026-01-01T09:05:00.000Z"
    assert by_id["3"]["thread"] == "t"


def test_context_is_cut_to_the_last_messages(tmp_path: Path) -> None:
    """Threads of a community have no end."""
    rows = [(str(n), "t", "ann", f"2026-01-01T10:0{n}:00Z", f"message {n}") for n in range(5)]
    chats, _ = _extracted(tmp_path, _THREADS, _HEADER, *rows, last_messages=2)
    assert [turn["content"] for turn in chats[-1]["messages"]] == ["message 3", "message 4"]


def test_a_row_whose_label_is_refused_is_still_context(tmp_path: Path) -> None:
    """The thread was what it was, whatever is taught of it."""
    options = TableOptions(text_column="message", label_column="type", allowed=("answer",), thread_column="thread")
    rows = [("t", "why?", "question"), ("t", "because", "answer"), ("u", "so", "answer")]
    chats, _ = _extracted(tmp_path, options, ("thread", "message", "type"), *rows)
    assert [turn["content"] for turn in chats[0]["messages"]] == ["why?", "because"]


def test_ids_must_be_there_and_differ_and_times_be_times(tmp_path: Path) -> None:
    """Each is counted under its own reason."""
    _, report = _extracted(
        tmp_path,
        _THREADS,
        _HEADER,
        ("1", "t", "ann", "2026-01-01", "a"),
        ("1", "t", "ann", "2026-01-02", "b"),
        ("", "t", "ann", "2026-01-03", "c"),
        ("4", "t", "ann", "yesterday", "d"),
    )
    assert report.n_rejected_by_reason == {"bad_time": 1, "empty_id": 1, "repeated_chat_id": 1}


def test_chats_are_valid_events_whose_id_rests_on_their_text(tmp_path: Path) -> None:
    """The same row has the same id in the next export of the table."""
    options = TableOptions(text_column="message", keep_columns=("part",))
    chats, _ = _extracted(tmp_path, options, ("message", "part"), ("hello", "dev"), ("bye", "train"))
    for chat in chats:
        assert conversation_turns(decode_chat_event(orjson.dumps(chat), CodecLimits()))
    assert [chat["part"] for chat in chats] == ["dev", "train"]
    assert chats[0]["chat_id"] != chats[1]["chat_id"]
    assert "category" not in chats[0]
    again, _ = _extracted(tmp_path, options, ("message", "part"), ("new", "dev"), ("hello", "dev"))
    assert again[1]["chat_id"] == chats[0]["chat_id"]


def test_a_second_run_over_the_same_table_does_nothing(tmp_path: Path) -> None:
    """As every stage of the pipeline."""
    rows = [("message", "type"), ("a", "x"), ("b", "x")]
    _extracted(tmp_path, _LABELLED, *rows)
    written = (tmp_path / "out" / "raw.jsonl").stat()
    _extracted(tmp_path, _LABELLED, *rows)
    assert (tmp_path / "out" / "raw.jsonl").stat().st_ino == written.st_ino


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "name the column of the texts with --text-column"),
        ({"text_column": "m", "allowed": ("a",)}, "without label_column"),
        ({"text_column": "m", "author_column": "a"}, "without thread_column"),
        ({"text_column": "m", "keep_columns": ("category",)}, "are fields of every chat"),
    ],
)
def test_options_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    """Each with what is missing."""
    with pytest.raises(DataError, match=message):
        table_options([Path("a.csv")], given)


def test_tables_and_records_do_not_mix() -> None:
    """One run has one meaning of columns."""
    with pytest.raises(DataError, match="beside files that are no tables"):
        table_options([Path("a.csv"), Path("b.jsonl")], {"text_column": "m"})
    with pytest.raises(DataError, match=r"found label_column, text_column and no table"):
        table_options([Path("b.jsonl")], {"text_column": "m", "label_column": "n"})
    assert table_options([Path("b.jsonl")], {}) is None


def test_the_command_reads_parquet_and_csv_alike(tmp_path: Path) -> None:
    """The cleaning of a labelled table is one command."""
    columns = {
        "message": ["why?", "so", "and how?", None, "spam"],
        "type": ["Question", "answer", "QUESTION", "x", "ad"],
    }
    columns = {name: [*values, "because"] for name, values in columns.items()}
    columns["type"][-1] = "answer "
    parquet.write_table(pa.table(columns), tmp_path / "messages.parquet")
    rows = zip(*([value or "" for value in values] for values in columns.values()), strict=True)
    _table(tmp_path, tuple(columns), *rows)
    outputs = []
    for name in ("messages.parquet", "messages.csv"):
        out = tmp_path / f"{name}.jsonl"
        arguments = ["extract", "--records", str(tmp_path / name), "--text-column", "message", "--label-column", "type"]
        result = CliRunner().invoke(app, [*arguments, "--allowed", "question,answer,comment", "--out", str(out)])
        assert result.exit_code == 0, result.output
        summary = orjson.loads(result.stdout.splitlines()[-1])
        assert summary["n_written"] == 4
        assert summary["n_rejected_by_reason"] == {"empty_text": 1, "label_not_allowed": 1}
        assert "taken for one label" in result.stderr
        chats = [orjson.loads(line) for line in out.read_bytes().splitlines()]
        outputs.append([(chat["chat_id"], chat["category"]) for chat in chats])
    assert outputs[0] == outputs[1]


def test_a_plain_table_gets_to_know_what_to_set(tmp_path: Path) -> None:
    """Whoever runs a shipped recipe on two columns of his own: all settings at once, ready to be copied."""
    options = TableOptions(text_column="message", keep_columns=("part",), **_COLUMNS)
    with pytest.raises(DataError, match=r"no column 'message'; found 'text', 'label'") as caught:
        _extracted(tmp_path, options, ("text", "label"), ("how?", "question"))
    settings = [word for word in shlex.split(str(caught.value).partition("in a recipe:")[2]) if "=" in word]
    assert settings == [
        "stages.extract.table.text_column=YOURS",
        *(f"stages.extract.table.{name}=null" for name in _COLUMNS),
        "stages.extract.table.keep_columns=[]",
        "stages.split.by=null",
    ]
    kept = TableOptions(text_column="text", keep_columns=("part", "label"))
    with pytest.raises(DataError, match=r"no column 'part'.*--set 'stages.extract.table.keep_columns=\[label\]'"):
        _extracted(tmp_path, kept, ("text", "label"), ("how?", "question"))


_COLUMNS = {name: name for name in ("id_column", "thread_column", "author_column", "time_column")}

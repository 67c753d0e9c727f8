"""Recorded answers pass through `agree` like answers that were paid for."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from training_pipeline.data.agree import AgreeOptions, agree
from training_pipeline.data.answer_log import read_answers
from training_pipeline.data.errors import DataError
from training_pipeline.data.recorded_answers import ANNOTATORS, write_recorded_answers


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def _chat(chat_id: str, **fields: Any) -> dict[str, Any]:
    return {"chat_id": chat_id, "messages": [{"role": "user", "content": f"text {chat_id}"}], **fields}


def test_agree_labels_the_chats_that_have_an_answer_and_queues_the_others(tmp_path: Path) -> None:
    """The recipe runs as it would with models behind it."""
    data = _write(tmp_path / "data.jsonl", [_chat("a"), _chat("b"), _chat("c")])
    recorded = _write(
        tmp_path / "recorded.jsonl", [_chat("c", category="M"), _chat("a", category="B"), _chat("x", category="A")]
    )
    assert write_recorded_answers([data], [recorded], tmp_path / "answers") == 2
    files = [tmp_path / "answers" / f"{name}.jsonl" for name in ANNOTATORS]
    assert [answer.chat_id for answer in read_answers(files[0])] == ["a", "c"]
    report = agree([data], files, tmp_path / "labelled.jsonl", AgreeOptions())
    labelled = [orjson.loads(line) for line in (tmp_path / "labelled.jsonl").read_bytes().splitlines()]
    assert [(row["chat_id"], row["category"], row["agreed"]) for row in labelled] == [
        ("a", "B", True),
        ("c", "M", True),
    ]
    assert report.details["n_queued_by_reason"] == {"too_few_votes": 1}


def test_a_recorded_chat_without_a_category_is_refused(tmp_path: Path) -> None:
    """Raw chats given by mistake would leave every chat without a label."""
    data = _write(tmp_path / "data.jsonl", [_chat("a")])
    with pytest.raises(DataError, match="category is None; expected labelled chats"):
        write_recorded_answers([data], [data], tmp_path / "answers")

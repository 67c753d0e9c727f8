"""Extracted chats to clean ones."""

from pathlib import Path

from model.windowing import Windowing, render
from schemas import CodecLimits, conversation_turns, decode_chat_event
from tests.training_pipeline.data.chat_files import chat, read_lines, rejects_of, write_lines
from training_pipeline.data.chat_rows import encode_row
from training_pipeline.data.preprocess import PreprocessOptions, preprocess

LONG = "please explain to me in detail how the gearbox of an old lorry is taken apart and put together again"


def test_each_chat_ends_as_a_row_or_as_a_reject_with_its_reason(tmp_path: Path) -> None:
    """Nothing may vanish: the counts of a data set are part of its record."""
    rows = [
        chat("grows", "hello"),
        chat("one", LONG),
        chat("copy", LONG),
        chat("nearly", LONG + " please"),
        b"broken",
        chat("short", "x"),
        chat("grows", "hello", "hi", "which laptop should I buy for my daughter"),
        chat("german", "Wie spät fährt der letzte Zug von Hamburg nach Berlin, und was kostet die Fahrkarte?"),
    ]
    path = write_lines(tmp_path / "chats.jsonl", rows)
    out = tmp_path / "out.jsonl"
    report = preprocess([path], out, PreprocessOptions(min_characters=3, languages=("en",)))
    assert rejects_of(out) == {
        "chats.jsonl:1": "older_state",
        "chats.jsonl:3": "exact_duplicate",
        "chats.jsonl:4": "near_duplicate",
        "chats.jsonl:5": "decode_error",
        "chats.jsonl:6": "too_short",
        "chats.jsonl:8": "other_language",
    }
    assert [row["chat_id"] for row in read_lines(out)] == ["one", "grows"]
    assert report.n_written + sum(report.n_rejected_by_reason.values()) == len(rows)


def test_the_window_of_a_row_is_what_serving_renders(tmp_path: Path) -> None:
    """Duplicates are judged on the text the model sees, so it must be that text."""
    texts = [f"turn {i} " + "word " * 300 for i in range(9)]
    path = write_lines(
        tmp_path / "chats.jsonl",
        [chat("a", *texts), {"chat_id": "q", "query": "\uff46\uff55\uff4c\uff4c\u200bwidth \ufb01sh"}],
    )
    preprocess([path], tmp_path / "out.jsonl", PreprocessOptions())
    for row in read_lines(tmp_path / "out.jsonl"):
        event = decode_chat_event(encode_row(row), CodecLimits())
        assert row["window"] == render(conversation_turns(event), Windowing())


def test_masking_reaches_messages_window_and_the_other_texts_and_drops_context(tmp_path: Path) -> None:
    """A mask in one field and the address in the next would be none."""
    fields = {"query": "mail a@b.io", "formatted_chat": "a@b.io", "context": {"user": "a@b.io"}, "license": "MIT"}
    path = write_lines(tmp_path / "chats.jsonl", [chat("a", "my address is a@b.io, write to it", **fields)])
    preprocess([path], tmp_path / "out.jsonl", PreprocessOptions(mask_pii=True))
    assert b"a@b.io" not in (tmp_path / "out.jsonl").read_bytes()
    (row,) = read_lines(tmp_path / "out.jsonl")
    assert row["messages"][0]["content"] == "my address is [EMAIL], write to it"
    assert row["license"] == "MIT"


def test_the_language_is_the_users_and_undetermined_where_it_cannot_be_told(tmp_path: Path) -> None:
    """Assistants often answer in English, whatever they are asked in."""
    rows = [
        chat("fr", "Pourriez-vous m'expliquer pourquoi le ciel est bleu ce matin ?", LONG),
        chat("zh", "美联储本月将加息多少个基点"),
        chat("none", "123 456 ???"),
    ]
    path = write_lines(tmp_path / "chats.jsonl", rows)
    preprocess([path], tmp_path / "out.jsonl", PreprocessOptions())
    assert [row["language"] for row in read_lines(tmp_path / "out.jsonl")] == ["fr", "zh", "und"]


def test_a_finished_stage_runs_again_only_when_something_changed(tmp_path: Path) -> None:
    """The recipe is run over and over; unchanged stages must cost nothing, and an edited output must be noticed."""
    path = write_lines(tmp_path / "chats.jsonl", [chat("a", "hello there")])
    out = tmp_path / "out.jsonl"
    calls: list[int] = []

    def run(options: PreprocessOptions) -> int:
        calls.clear()
        preprocess([path], out, options, on_progress=lambda done, _: calls.append(done))
        return len(calls)

    assert run(PreprocessOptions()) == 1
    assert run(PreprocessOptions()) == 0
    assert run(PreprocessOptions(mask_pii=True)) == 1
    out.write_bytes(b"")
    assert run(PreprocessOptions(mask_pii=True)) == 1
    write_lines(path, [chat("b", "hello there")])
    assert run(PreprocessOptions(mask_pii=True)) == 1
    assert [row["chat_id"] for row in read_lines(out)] == ["b"]

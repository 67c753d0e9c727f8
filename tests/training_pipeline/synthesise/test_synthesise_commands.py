"""The command as a person calls it: rows and table, the dry run, the exit codes, the errors."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import typer

from tests.training_pipeline.data.chat_files import read_lines
from tests.training_pipeline.data.completion_server import Answer, CompletionServer, Prompt, completion, error
from tests.training_pipeline.synthesise.fake_writer import asked_of, obedient
from training_pipeline.synthesise.__main__ import main
from training_pipeline.synthesise.commands import app

BRIEF = """
audience = "people who test"
setting = "a channel"
personas = ["a beginner", "a regular"]
topics = ["saving", "sound"]
tones = ["terse"]
lengths = [{{ name = "two", messages = [2, 2], words = [2, 20] }}]
speakers = [{{ name = "ana" }}, {{ name = "bot", role = "assistant" }}]
labelled = "{labelled}"

[writer]
base_url = "{base_url}"
model = "fake"
api_key_env = "TEST_KEY"
first_backoff_s = 0.01
max_attempts = 1
{prices}
"""
PRICES = "usd_per_million_input_tokens = 1.0\nusd_per_million_output_tokens = 10.0"

Cli = Callable[..., int]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Return a function that runs the command in this process, three conversations a category, and its exit code."""
    monkeypatch.setenv("TEST_KEY", "key-canary")

    def run(*arguments: str | Path) -> int:
        common = ("--taxonomy", "community", "--brief", tmp_path / "brief.toml", "--per-category", "3")
        monkeypatch.setattr(sys, "argv", ["training_pipeline.synthesise", *map(str, (*common, *arguments))])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    return run


@pytest.fixture
def write_brief(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the brief."""

    def write(base_url: str, *, labelled: str = "last", prices: str = PRICES) -> Path:
        path = tmp_path / "brief.toml"
        path.write_text(BRIEF.format(base_url=base_url, labelled=labelled, prices=prices), encoding="utf-8")
        return path

    return write


Write = Callable[..., Path]


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return the JSON line for machines."""
    found: dict[str, object] = orjson.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_command_writes_rows_table_and_report(
    cli: Cli, write_brief: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table's message is the one that is of the category."""
    out, table = tmp_path / "work" / "chats.jsonl", tmp_path / "work" / "chats.csv"
    with CompletionServer(obedient) as server:
        write_brief(server.base_url)
        assert cli("--out", out, "--csv", table) == 0
        assert set(server.authorisations) == {"Bearer key-canary"}
    found = last_line(capsys)
    assert (found["stage"], found["complete"]) == ("synthesise", True)
    rows = read_lines(out)
    with table.open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [cell["chat_id"] for cell in cells] == [row["chat_id"] for row in rows]
    assert [cell["message"] for cell in cells] == [row["messages"][-1]["content"] for row in rows]
    by_users = [[one["content"] for one in row["messages"] if one["role"] == "user"] for row in rows]
    assert [cell["message"] for cell in cells] == [texts[-1] for texts in by_users]
    assert cells[0]["conversation"].count("\n") == 1
    assert {cell["category"] for cell in cells} == {"question", "answer", "comment"}
    assert "key-canary" not in "".join(path.read_text() for path in out.parent.rglob("*.json*"))


def test_a_dry_run_sends_nothing_writes_nothing_and_needs_no_key(
    cli: Cli, write_brief: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what one runs before one has a key; what is recorded is not counted again."""
    out = tmp_path / "work" / "chats.jsonl"
    with CompletionServer(obedient) as server:
        write_brief(server.base_url)
        monkeypatch.delenv("TEST_KEY")
        assert cli("--out", out, "--dry-run") == 0
        assert server.requests == []
        assert not out.parent.exists()
        found = last_line(capsys)
        monkeypatch.setenv("TEST_KEY", "k")
        assert cli("--out", out) == 0
        n_sent = len(server.requests)
        capsys.readouterr()
        assert cli("--out", out, "--dry-run", "--per-category", "5") == 0
        assert len(server.requests) == n_sent
    more = last_line(capsys)
    writer, judge = found["writer"], found["judge"]
    assert isinstance(writer, dict)
    assert isinstance(judge, dict)
    assert (writer["n_requests"], judge["n_requests"], n_sent) == (9, 9, 18)
    assert 9 * 200 < writer["n_input_tokens"] < 9 * 2_000
    cost_usd = sum(share["n_input_tokens"] + 10 * share["n_output_tokens"] for share in (writer, judge)) / 1e6
    assert found["cost_usd"] == pytest.approx(cost_usd)
    assert isinstance(more["writer"], dict)
    assert (more["writer"]["n_requests"], more["writer"]["n_recorded"]) == (6, 9)


def test_without_prices_a_dry_run_says_that_it_knows_no_cost(
    cli: Cli, write_brief: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is not zero."""
    write_brief("http://127.0.0.1:9/v1", prices="")
    assert cli("--out", tmp_path / "chats.jsonl", "--dry-run") == 0
    output = capsys.readouterr()
    assert orjson.loads(output.out.splitlines()[-1])["cost_usd"] is None
    assert "a price is missing" in output.err


def test_exit_codes_tell_what_is_left_to_do(
    cli: Cli, write_brief: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """4: run it again. 5: running it again helps nothing."""

    def refuses_comments(prompt: Prompt, n_before: int) -> Answer:
        asked = asked_of(prompt)
        is_comment = asked is not None and asked.category == "comment"
        return completion("", finish_reason="content_filter") if is_comment else obedient(prompt, n_before)

    out = tmp_path / "chats.jsonl"
    with CompletionServer(lambda *_: error(500)) as server:
        write_brief(server.base_url)
        assert cli("--out", out) == 4
        assert "run the same command again" in capsys.readouterr().err
        server.script = refuses_comments
        assert cli("--out", out) == 5
    output = capsys.readouterr()
    assert "fewer than 3 of comment" in output.err
    found = orjson.loads(output.out.splitlines()[-1])
    assert found["categories"]["comment"] == {"asked": 6, "written": 0, "dropped": {"refusal": 6}, "judged_as": {}}
    assert len(read_lines(out)) == 6


def test_a_replay_without_answers_says_so(
    cli: Cli, write_brief: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again would find as little."""
    out = tmp_path / "chats.jsonl"
    write_brief("http://127.0.0.1:9/v1")
    assert cli("--out", out, "--recorded") == 4
    errors = capsys.readouterr().err
    assert f"there are no recorded answers in {out.with_suffix('.answers')}" in errors
    assert "run without --recorded to ask, or name the folder of an earlier run with --answers" in errors
    assert "the same command" not in errors
    with CompletionServer(obedient) as server:
        write_brief(server.base_url)
        assert cli("--out", out, "--per-category", "1") == 0
    capsys.readouterr()
    assert cli("--out", out, "--recorded") == 4
    assert "answers of some conversations are missing in" in capsys.readouterr().err


def test_wrong_calls_are_refused_with_what_was_found_and_expected(
    cli: Cli, write_brief: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked or written."""
    write_brief("http://127.0.0.1:9/v1")
    monkeypatch.delenv("TEST_KEY")
    out = tmp_path / "chats.jsonl"
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    calls: list[tuple[tuple[str | Path, ...], str]] = [
        (("--out", out), "TEST_KEY not set"),
        (("--out", out, "--taxonomy", "comunity"), "neither a file nor one of"),
        (("--out", out, "--writer", "one"), "without --annotators"),
        (("--out", out, "--dry-run", "--brief", bad), "not TOML"),
        (("--out", out, "--recorded", "--avoid", tmp_path), "is a directory"),
    ]
    for arguments, expected in calls:
        assert cli(*arguments) in {2, 3}, arguments
        assert expected in capsys.readouterr().err
    assert not out.exists()


def test_every_option_is_explained() -> None:
    """--help is the manual."""
    command = typer.main.get_command(app)
    assert command.help
    assert "Exit codes" in command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name

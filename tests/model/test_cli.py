"""`python -m model`: what it prints and how it exits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from model import Bundle
from schemas import CHAT_13, CodecLimits
from tests.command_line import Ended, run_main

REPOSITORY = Path(__file__).parents[2]
JUDGEMENT = {
    "taxonomy",
    "category",
    "probabilities",
    "banned_probability",
    "banned_to_safe_risk",
    "decision",
    "decided_by",
    "evidence",
    "unevaluated",
    "stage",
    "language",
}


def run(*arguments: str | Path | bytes, stdin: bytes = b"") -> Ended:
    """Run one command to its end."""
    return run_main("model", *arguments, stdin=stdin)


def run_process(*arguments: str | Path | bytes) -> "subprocess.CompletedProcess[bytes]":
    """Run one command in a process of its own: starting Python takes longer than most of them."""
    return subprocess.run(
        [sys.executable, "-m", "model", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=120,
        check=False,
    )


def json_lines(output: bytes) -> list[dict[str, Any]]:
    """Parse standard output."""
    return [orjson.loads(line) for line in output.splitlines()]


def test_json_lines_are_answered_one_for_one_and_in_order(
    bundle_path: Path, sample_chats: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The contract of design.md, section 3: other tools join the answers to the events by position."""
    good = sample_chats[:5]
    lines = [orjson.dumps(chat) for chat in good]
    lines[2:2] = [b"not json", b"", orjson.dumps({"chat_id": "x", "messages": []})]
    data = b"\n".join(lines) + b"\n"
    answer = run("classify", "--jsonl", "-", "--bundle", bundle_path, stdin=data)
    assert answer.returncode == 0, answer.stderr
    found = json_lines(answer.stdout)
    assert found[2:4] == [
        {"rejected": "decode_error", "line": 3},
        # Line 4 is blank.
        {"rejected": "empty_conversation", "line": 5},
    ]
    judged = found[:2] + found[4:]
    assert [one["chat_id"] for one in judged] == [chat["chat_id"] for chat in good]
    for one in judged:
        assert one.keys() == {"chat_id", *JUDGEMENT}
        assert list(one["probabilities"]) == list(CHAT_13.codes)
    path = tmp_path / "events.jsonl"
    path.write_bytes(data)
    assert json_lines(run("classify", "--jsonl", path, "--bundle", bundle_path).stdout) == found


def test_texts_are_shown_as_a_table_or_as_json(bundle_path: Path) -> None:
    """A person tries a sentence; brackets in it are text, and bytes that are no UTF-8 do no harm."""
    texts: list[str | bytes] = ["which phone should i buy", "[/b] odd [red]", b"\xff latin"]
    table = run_process("classify", *texts, "--bundle", bundle_path)
    assert table.returncode == 0, table.stderr
    assert b"[/b] odd [red]" in table.stdout
    assert table.stdout.count(b"decision") == len(texts)
    as_json = run("classify", *texts, "--json", "--bundle", bundle_path)
    assert [one.keys() for one in json_lines(as_json.stdout)] == [JUDGEMENT] * len(texts)


def test_a_blank_text_is_named_and_left_out(bundle_path: Path) -> None:
    """One of many had refused the whole call, and nobody could see which."""
    answer = run("classify", "which phone", "\u200b ", "which laptop", "--json", "--bundle", bundle_path)
    assert answer.returncode == 0
    assert b"TEXT 2 of 3 is left out: no visible character" in answer.stderr
    first, blank, last = json_lines(answer.stdout)
    assert blank == {"rejected": "empty_conversation", "line": 2}
    assert (first.keys(), last.keys()) == (JUDGEMENT, JUDGEMENT)


def test_a_byte_order_mark_costs_no_line(bundle_path: Path, sample_chats: list[dict[str, Any]]) -> None:
    """Editors and spreadsheets write one; the first line was lost without a word."""
    data = b"\xef\xbb\xbf" + b"\n".join(map(orjson.dumps, sample_chats[:2]))
    answer = run("classify", "--jsonl", "-", "--bundle", bundle_path, stdin=data)
    assert [one.get("chat_id") for one in json_lines(answer.stdout)] == [chat["chat_id"] for chat in sample_chats[:2]]
    assert (answer.returncode, answer.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["classify", "render"])
@pytest.mark.parametrize("data", [b"", b"\n \r\n\n", b"\xef\xbb\xbf\n"])
def test_a_file_without_an_event_is_wrong_usage(bundle_path: Path, command: str, data: bytes) -> None:
    """An upstream step that wrote nothing looked like a success."""
    answer = run(command, "--jsonl", "-", "--bundle", bundle_path, stdin=data)
    assert answer.returncode == 2
    assert b"found no event" in answer.stderr
    assert answer.stdout == b""


def test_a_line_over_a_limit_names_no_setting(bundle_path: Path) -> None:
    """The worker's settings change nothing here."""
    big = orjson.dumps({"chat_id": "x", "messages": [], "context": "x" * CodecLimits().max_event_bytes})
    answer = run("classify", "--jsonl", "-", "--bundle", bundle_path, stdin=big)
    assert answer.returncode == 3
    assert b"expected at most" in answer.stderr
    assert b"MODERATION_" not in answer.stderr


@pytest.mark.parametrize("command", ["classify", "render"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_list_is_refused_with_the_remedy(
    bundle_path: Path, sample_chats: list[dict[str, Any]], command: str, indent: int | None
) -> None:
    """Every line of it had been rejected, with exit code 0."""
    data = b"\n" + json.dumps(sample_chats[:2], indent=indent).encode()
    answer = run(command, "--jsonl", "-", "--bundle", bundle_path, stdin=data)
    assert answer.returncode == 2
    assert b"jq -c" in answer.stderr
    assert answer.stdout == b""


def test_rejected_lines_are_told_and_end_with_3_where_they_are_all(
    bundle_path: Path, sample_chats: list[dict[str, Any]]
) -> None:
    """A file in another form looked like a file that was classified."""
    bad = b'{"text":"hi"}\n\n{"text":"ho"}\n?\n'
    answer = run("classify", "--jsonl", "-", "--bundle", bundle_path, stdin=bad)
    assert answer.returncode == 3
    assert (
        b"error: 3 of 3 lines were rejected; the commonest reason: schema_error (2), first in line 1" in answer.stderr
    )
    assert [one["rejected"] for one in json_lines(answer.stdout)] == ["schema_error", "schema_error", "decode_error"]
    mixed = run("classify", "--jsonl", "-", "--bundle", bundle_path, stdin=bad + orjson.dumps(sample_chats[0]))
    assert mixed.returncode == 0
    assert b"warning: 3 of 4 lines were rejected" in mixed.stderr
    assert run("render", "--jsonl", "-", "--bundle", bundle_path, stdin=bad).returncode == 3


def test_info_describes_the_bundle(bundle_path: Path, bundle: Bundle) -> None:
    """Which model is this, what is it good for, and may we use it."""
    answer = run("info", "--json", "--bundle", bundle_path)
    (found,) = json_lines(answer.stdout)
    assert (found["digest"], found["labels"]) == (bundle.digest, list(CHAT_13.codes))
    table = run("info", "--bundle", bundle_path)
    assert table.returncode == 0
    assert bundle.manifest.name.encode() in table.stdout
    assert bundle.digest.encode() in table.stdout


def test_verify_accepts_the_shipped_bundle_and_refuses_a_damaged_one(
    bundle_path: Path, bundle: Bundle, tmp_path: Path
) -> None:
    """Exit code 3 stops a rollout before a worker starts."""
    good = run("verify", "--bundle", bundle_path)
    assert good.returncode == 0, good.stderr
    assert bundle.digest.encode() in good.stdout
    copy = Path(shutil.copytree(bundle_path, tmp_path / "bundle"))
    with (copy / "model.onnx").open("ab") as model:
        model.write(b"x")
    bad = run_process("verify", "--bundle", copy)
    assert bad.returncode == 3
    assert b"model.onnx: digest is" in bad.stderr
    assert b"Traceback" not in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["classify"], b"none or several"),
        (["classify", "text", "--jsonl", "-"], b"none or several"),
        (["classify", "--jsonl", "/no/such/file"], b"not a file"),
        (["classify", "\u200b"], b"no visible character"),
        (["no-such-command"], b"No such command"),
        (["classify", "text", "--threads", "-1"], b"threads"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(bundle_path: Path, arguments: list[str], complaint: bytes) -> None:
    """What was found and what was expected, and nothing is classified."""
    bundle: list[str | Path] = ["--bundle", bundle_path] if "classify" in arguments else []
    answer = run(*arguments, *bundle)
    assert answer.returncode == 2
    assert complaint in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_a_policy_that_is_refused_ends_with_exit_code_3(bundle_path: Path, tmp_path: Path) -> None:
    """A policy with a typo must not classify under the default one."""
    (tmp_path / "p.toml").write_text("name = 1")
    answer = run("classify", "text", "--policy", tmp_path / "p.toml", "--bundle", bundle_path)
    assert answer.returncode == 3
    assert b"not a usable policy" in answer.stderr

"""The commands as a person calls them: the whole recipe, the errors, the help."""

import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import typer

from model.windowing import Windowing
from tests.training_pipeline.data.chat_files import read_lines
from tests.training_pipeline.data.completion_server import Answer, CompletionServer, completion, error, label
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.data.__main__ import main
from training_pipeline.data.commands import app

SAMPLE = Path(__file__).parents[3] / "data" / "sample" / "chats.jsonl"

Cli = Callable[..., int]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs one command in this process and returns its exit code."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["training_pipeline.data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    return run


def annotators(tmp_path: Path, **servers: CompletionServer) -> Path:
    """Write an annotator file with one model per server; the first needs a key."""
    tables = [
        f'[[annotator]]\nname = "{name}"\nbase_url = "{server.base_url}"\nmodel = "m"\nfirst_backoff_s = 0.01\n'
        for name, server in servers.items()
    ]
    path = tmp_path / "annotators.toml"
    path.write_text(tables[0] + 'api_key_env = "TEST_KEY"\n' + "".join(tables[1:]), encoding="utf-8")
    return path


def test_the_whole_recipe_from_records_to_splits(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each stage must read what the one before wrote, and training what the last one writes."""
    chats = [orjson.loads(line) for line in SAMPLE.read_bytes().splitlines()][:120]
    truth = {row["messages"][0]["content"][:40]: row["category"] for row in chats}
    (tmp_path / "records.json").write_bytes(orjson.dumps(chats))
    monkeypatch.setenv("TEST_KEY", "k")

    def knows(prompt: str, _n_before: int) -> Answer:
        quoted = prompt.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return label(next((code for text, code in truth.items() if text in quoted), "L"))

    def errs(prompt: str, n_before: int) -> Answer:
        kind = len(prompt) % 10
        if kind == 0:
            return completion("I cannot help with that.")
        return label("G") if kind == 1 else knows(prompt, n_before)

    with CompletionServer(knows) as one, CompletionServer(errs) as two:
        file = annotators(tmp_path, one=one, two=two)
        assert cli("extract", "--records", tmp_path / "records.json", "--out", tmp_path / "raw.jsonl") == 0
        assert cli("preprocess", "--data", tmp_path / "raw.jsonl", "--mask-pii", "--out", tmp_path / "clean.jsonl") == 0
        label_it = ("label", "--data", tmp_path / "clean.jsonl", "--annotators", file, "--out", tmp_path / "answers")
        assert cli(*label_it) == 0
        n_requests = len(one.requests)
        assert cli(*label_it) == 0
        assert len(one.requests) == n_requests
    answers = [
        argument for name in ("one", "two") for argument in ("--answers", tmp_path / "answers" / f"{name}.jsonl")
    ]
    assert cli("agree", "--data", tmp_path / "clean.jsonl", *answers, "--out", tmp_path / "labelled.jsonl") == 0
    assert cli("split", "--data", tmp_path / "labelled.jsonl", "--out", tmp_path / "splits") == 0
    last = orjson.loads(capsys.readouterr().out.splitlines()[-1])
    splits = [tmp_path / "splits" / f"{name}.jsonl" for name in ("train", "dev", "test")]
    found = read_labelled_chats(splits, Windowing(), frozenset())
    n_queued = len(read_lines(tmp_path / "labelled.queue.jsonl"))
    n_dropped = len(read_lines(tmp_path / "clean.rejects.jsonl"))
    assert len(found) + n_queued + n_dropped == len(chats)
    assert (last["stage"], last["n_written"]) == ("split", len(found))
    assert n_queued > 10


def test_chats_without_an_answer_are_told_by_the_exit_code(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script must know that it has to come back."""
    monkeypatch.setenv("TEST_KEY", "key-canary")
    with CompletionServer(lambda *_: error(401)) as server:
        file = annotators(tmp_path, locked=server)
        arguments = ("--data", SAMPLE, "--annotators", file, "--out", tmp_path / "answers", "--limit", "5")
        assert cli("label", *arguments) == 4
    output = capsys.readouterr()
    assert "HTTP 401" in output.err
    assert "key-canary" not in output.err + output.out


def test_wrong_calls_are_refused_with_what_was_found_and_expected(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that does not say what to do costs a person's time."""
    typo = tmp_path / "typo.toml"
    typo.write_text('[[annotator]]\nname = "a"\nbase_ur = "http://x/v1"\nmodel = "m"\n', encoding="utf-8")
    keyed = tmp_path / "keyed.toml"
    keyed.write_text(
        '[[annotator]]\nname = "a"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\napi_key_env = "NO_SUCH_KEY"\n',
        encoding="utf-8",
    )
    out = tmp_path / "out.jsonl"
    calls: list[tuple[tuple[str | Path, ...], str]] = [
        (("extract", "--out", out), "expected exactly one"),
        (("label", "--data", SAMPLE, "--annotators", typo, "--out", tmp_path), "base_ur"),
        (("label", "--data", SAMPLE, "--annotators", keyed, "--out", tmp_path), "NO_SUCH_KEY not set"),
        (("label", "--data", SAMPLE, "--annotators", keyed, "--out", tmp_path, "--only", "b"), "no annotator b"),
        (("agree", "--data", SAMPLE, "--out", out), "no chat has a vote"),
        (("split", "--data", SAMPLE, "--out", tmp_path, "--ratio", "train"), "expected name=share"),
    ]
    for arguments, expected in calls:
        assert cli(*arguments) == 3, arguments
        assert expected in capsys.readouterr().err
    assert not out.exists()


def test_every_option_of_every_command_is_explained() -> None:
    """--help is the manual."""
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help
        assert "Exit codes" in command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), (command.name, parameter.name)


@pytest.mark.parametrize(
    ("lines", "code"), [(b'{"a":1}\n{"b":1}\n[]\n', 3), (b'{"a":1}\n{"chat_id":"c","query":"hi"}\n', 0), (b"", 0)]
)
def test_records_of_which_nothing_is_left_are_refused_with_the_commonest_reason(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: bytes, code: int
) -> None:
    """An input in another form ended with 0 and an empty file; the same again where the stage need not run again."""
    (tmp_path / "records.jsonl").write_bytes(lines)
    for _ in range(2):
        assert cli("extract", "--records", tmp_path / "records.jsonl", "--out", tmp_path / "out.jsonl") == code
        said = capsys.readouterr().err
        assert ("no chat is left: 3 were rejected; the commonest reason: schema_error (2), first records" in said) == (
            code == 3
        )


def test_chats_that_preprocess_rejects_one_and_all_are_refused(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A filter that leaves nothing is a mistake of the command line."""
    (tmp_path / "raw.jsonl").write_bytes(b'{"chat_id":"c","messages":[{"role":"user","content":"hi"}]}\n')
    out = tmp_path / "clean.jsonl"
    assert cli("preprocess", "--data", tmp_path / "raw.jsonl", "--min-characters", "100", "--out", out) == 3
    assert "no chat is left: 1 were rejected" in capsys.readouterr().err


def test_records_in_an_envelope_are_read_by_the_format_of_the_worker(cli: Cli, tmp_path: Path) -> None:
    """Whoever serves a topic of CloudEvents trains on it, too; another format is another run."""
    event = {"chat_id": "c", "messages": [{"role": "user", "content": "hi"}]}
    (tmp_path / "records.jsonl").write_bytes(orjson.dumps({"specversion": "1.0", "data": event}))
    out = tmp_path / "out.jsonl"
    assert cli("extract", "--records", tmp_path / "records.jsonl", "--out", out) == 3
    wrapped = ("--value-format", "cloudevents")
    assert cli("extract", "--records", tmp_path / "records.jsonl", "--out", out, *wrapped) == 0
    assert [row["chat_id"] for row in read_lines(out)] == ["c"]

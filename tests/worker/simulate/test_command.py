"""`python -m worker policy simulate`: a file or a topic in, an account out."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from model import Bundle, load_policy
from model.policies.simulate import Simulation
from model.policies.simulated import Account
from schemas import Verdict
from tests.command_line import Ended, run_main
from tests.worker.simulate.cases import STRICT, shipped, verdicts, written


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Return the shipped bundle."""
    return shipped()


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """Return a policy file."""
    path = tmp_path / "strict.toml"
    path.write_text(STRICT)
    return path


def run(*arguments: str | Path, stdin: bytes = b"") -> Ended:
    """Run the command."""
    return run_main("worker", "policy", "simulate", *arguments, stdin=stdin)


def account_of(bundle: Bundle, policy: Path, found: list[Verdict]) -> dict[str, Any]:
    """Return what the pure part says."""
    account = Account(simulation := Simulation(bundle, load_policy(policy, bundle)))
    for verdict in found:
        account.add(simulation.case(verdict))
    document: dict[str, Any] = orjson.loads(orjson.dumps(account.document()))
    return document


def test_a_file_of_verdicts_needs_no_settings(bundle: Bundle, strict: Path, tmp_path: Path) -> None:
    """Lines that are no verdicts, and replays, are counted and change nothing."""
    found = verdicts(bundle, 60)
    replayed = found[0].model_copy(update={"replay_id": "r"})
    file = written(tmp_path / "verdicts.jsonl", [*found, b"{", replayed, b"[]"])
    done = run("--verdicts", file, "--policy", strict, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    line = orjson.loads(done.stdout)
    expected = account_of(bundle, strict, found)
    assert line == {
        "event": "policy_simulated",
        "model": bundle.digest,
        **expected,
        "n_set_aside": {"replayed": 1, "unreadable": 2},
    }
    assert line["n_compared"] == 60
    assert 0 < line["n_changed"] < 60
    again = run("--verdicts", "-", "--policy", strict, "--json", stdin=file.read_bytes())
    assert again.stdout == done.stdout


def test_only_the_newest_of_a_chat_counts_where_that_is_asked(bundle: Bundle, strict: Path, tmp_path: Path) -> None:
    """A chat of ten turns is one chat."""
    found = verdicts(bundle, 60, n_chats=7)
    file = written(tmp_path / "verdicts.jsonl", found[::-1])
    line = orjson.loads(run("--verdicts", file, "--policy", strict, "--newest", "--json").stdout)
    newest = sorted(found[-7:], key=lambda verdict: verdict.chat_id)
    assert line == {"event": "policy_simulated", "model": bundle.digest, **account_of(bundle, strict, newest)}
    assert line["n_compared"] == 7


def test_times_choose_verdicts_of_a_file_by_when_they_were_decided(
    bundle: Bundle, strict: Path, tmp_path: Path
) -> None:
    """The first is in, the last is not."""
    found = verdicts(bundle, 40)
    file = written(tmp_path / "verdicts.jsonl", found)
    times = sorted({verdict.decided_at for verdict in found})
    since, until = times[1], times[3]
    n_between = sum(since <= verdict.decided_at < until for verdict in found)
    options = ("--from-time", since.isoformat(), "--to-time", until.isoformat())
    line = orjson.loads(run("--verdicts", file, "--policy", strict, *options, "--json").stdout)
    assert 0 < line["n_compared"] == n_between < 40


def test_a_pipe_is_a_file_too(bundle: Bundle, strict: Path, tmp_path: Path) -> None:
    """`--verdicts <(kcat …)`."""
    pipe, content = tmp_path / "pipe", written(tmp_path / "verdicts.jsonl", verdicts(bundle, 5)).read_bytes()
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    done = run("--verdicts", pipe, "--policy", strict, "--json")
    writer.join()
    assert orjson.loads(done.stdout)["n_compared"] == 5


class _Loads(HTMLParser):
    """Notes what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        names = {name for name, _ in attrs}
        if tag in {"script", "link", "img", "iframe"} or names & {"src", "href", "xlink:href"} or _handlers(names):
            self.found.append(tag)


def _handlers(names: set[str]) -> bool:
    return any(name.startswith("on") for name in names)


def test_the_page_holds_tables_and_curves_and_loads_nothing(bundle: Bundle, strict: Path, tmp_path: Path) -> None:
    """Names come from policy files and chats: they are text there, whatever they hold."""
    policy, hostile = tmp_path / "other.toml", "</text><script>alert(1)</script>"
    policy.write_text(STRICT.replace('"strict"', f'"{hostile}"').replace("0.01", "0.2"))
    found = [one.model_copy(update={"chat_id": f"{hostile}{i}"}) for i, one in enumerate(verdicts(bundle, 60))]
    file, page = written(tmp_path / "verdicts.jsonl", found), tmp_path / "page.html"
    done = run("--verdicts", file, "--policy", policy, "--against", strict, "--html", page)
    assert done.returncode == 0, done.stderr
    assert "verdicts would have another decision" in done.stdout.decode()
    text = page.read_text("utf-8")
    loads = _Loads()
    loads.feed(text)
    assert loads.found == []
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert text.count("<polyline") == 2
    assert "strict 2: " in text
    # A step curve goes up to the right: y counts from the top.
    for points in re.findall(r'points="([^"]+)"', text):
        xs, ys = zip(*((float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())), strict=True)
        assert list(xs) == sorted(xs)
        assert list(ys) == sorted(ys, reverse=True)


def test_what_a_policy_of_nothing_allowed_looks_like(bundle: Bundle, tmp_path: Path) -> None:
    """No curve where no rate would allow a verdict."""
    found = [one.model_copy(update={"unevaluated": ("length",)}) for one in verdicts(bundle, 5)]
    policy, page = tmp_path / "p.toml", tmp_path / "page.html"
    policy.write_text(STRICT)
    run("--verdicts", written(tmp_path / "verdicts.jsonl", found), "--policy", policy, "--html", page)
    assert "no accepted rate would allow any of these verdicts" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--verdicts", "nowhere.jsonl"), (2, b"MODERATION_KAFKA__BOOTSTRAP_SERVERS")),
        (("--verdicts", "nowhere.jsonl"), (2, b"--verdicts nowhere.jsonl: no such file")),
        (("--verdicts", "{other}"), (1, b"found 2 lines and no verdict; expected verdicts as on their topic")),
        (("--verdicts", "{file}", "--html", "/nowhere/page.html"), (2, b"check --html")),
        (("--verdicts", "{file}", "--floor", "Q"), (3, b"'Q'")),
        (("--verdicts", "{empty}"), (1, b"found no verdict of bundle sha256:")),
    ],
)
def test_a_bad_input_is_named(
    bundle: Bundle, strict: Path, tmp_path: Path, options: tuple[str, ...], expected: tuple[int, bytes]
) -> None:
    """With what was found and what helps."""
    file = written(tmp_path / "verdicts.jsonl", verdicts(bundle, 3))
    empty = written(tmp_path / "empty.jsonl", [])
    other = tmp_path / "other.jsonl"
    other.write_text('{"event": "batch_done"}\n{}\n')
    done = run(*(one.format(file=file, empty=empty, other=other) for one in options), "--policy", strict)
    assert done.returncode == expected[0], done.stderr
    assert expected[1] in done.stderr


def test_a_policy_of_another_taxonomy_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Its codes mean other things."""
    policy = tmp_path / "p.toml"
    policy.write_text(STRICT + 'taxonomy = "toxicity"\n')
    done = run("--verdicts", written(tmp_path / "v.jsonl", verdicts(bundle, 1)), "--policy", policy)
    assert done.returncode == 3
    assert b"toxicity" in done.stderr

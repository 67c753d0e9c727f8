"""More than a server can do: who is counted late, refused or wrong, and a real console that passes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from loadtest.api.overload import Outcome, Overload, ask_quietly, run_overload
from loadtest.api.overload_command import overload_result, overload_rows
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from tests.loadtest.api.scripted import ScriptedHandler, serving

PLAN = Overload(n_clients=4, n_chats=2, deadline_s=0.2, seconds=0.4)


def verdict(chat_id: str, probability: float = 0.25, category: str = "D") -> dict[str, Any]:
    """Return what the command looks at."""
    return {"chat_id": chat_id, "category": {"code": category}, "probabilities": {"D": probability}}


class Scripted(ThreadingHTTPServer):
    """Answers every batch with a status and verdicts that the test chose."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.probability = 0.25
        self.category = "D"
        self.deadlines: set[str | None] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/v1/classify"


class _Handler(ScriptedHandler):
    server: Scripted

    def posted(self, body: bytes) -> None:
        document = json.loads(body)
        self.server.deadlines.add(self.headers["x-deadline-ms"])
        made = [
            verdict(chat["chat_id"], self.server.probability, self.server.category)
            for chat in document.get("conversations", [document])
        ]
        body = json.dumps({"results": made} if "conversations" in document else made[0]).encode()
        self.answer(self.server.status, body, self.server.headers)


@pytest.fixture
def server() -> Iterator[Scripted]:
    """Return a running server."""
    with serving(Scripted()) as scripted:
        yield scripted


def run(server: Scripted) -> Outcome:
    """Ask quietly, then by the plan after `server` was changed by the test."""
    chats = [json.dumps({"chat_id": name}).encode() for name in "abc"]
    expected = {name: verdict(name) for name in "abc"}
    return run_overload(server.url, chats, expected, PLAN, each_s=lambda: None)


def violations(outcome: Outcome, *, rss_mb: list[float] | None = None) -> list[str]:
    """Return what the command would end with."""
    result = overload_result(outcome, PLAN, capacity_per_s=20.0, rss_mb=rss_mb or [100.0, 101.0])
    assert len(overload_rows(result)) == 12
    found: list[str] = result["violations"]
    return found


def test_the_offered_load_is_a_multiple_of_the_capacity() -> None:
    """In whole chats: each client asks for its share once per deadline."""
    plan = Overload.of_capacity(32.0, times=2.0, n_clients=64, deadline_s=2.0, seconds=60)
    assert (plan.n_chats, plan.offered_per_s) == (2, 64.0)
    assert Overload.of_capacity(1.0, times=2.0, n_clients=64, deadline_s=1.0, seconds=1).n_chats == 1


def test_each_client_asks_once_per_deadline_and_says_it(server: Scripted) -> None:
    """A server that answers everything, and rightly, has nothing out of order."""
    outcome = run(server)
    assert outcome.statuses == {200: 8}
    assert server.deadlines == {"200"}
    assert violations(outcome) == []


def test_quiet_answers_are_what_others_are_held_against(server: Scripted) -> None:
    """One chat a request, without a deadline."""
    assert ask_quietly(server.url, [b'{"chat_id": "a"}']) == {"a": verdict("a")}
    assert server.deadlines == {None}
    server.status = 500
    with pytest.raises(ValueError, match="status 500 on a quiet server"):
        ask_quietly(server.url, [b'{"chat_id": "a"}'])


@pytest.mark.parametrize(("category", "probability"), [("E", 0.25), ("D", 0.26)])
def test_another_category_or_probability_is_a_wrong_answer(server: Scripted, category: str, probability: float) -> None:
    """The sixth decimal may differ, nothing before it."""
    server.category, server.probability = category, probability
    outcome = run(server)
    assert outcome.n_wrong == 16
    assert violations(outcome) == ["a wrong answer"]


def test_the_sixth_decimal_may_differ(server: Scripted) -> None:
    """Rows that share an inference."""
    server.probability = 0.250001
    assert run(server).n_wrong == 0


def test_a_refusal_must_say_when_to_ask_again(server: Scripted) -> None:
    """And somebody must be answered."""
    server.status, server.headers = 429, {"retry-after": "1"}
    assert violations(run(server)) == ["nothing answered"]
    server.headers = {}
    assert violations(run(server)) == ["a 429 without retry-after", "nothing answered"]


def test_late_given_up_and_unexpected_requests_and_growing_memory_are_named() -> None:
    """One by one."""
    outcome = Outcome({200: [0.1] * 98, 504: [0.19], 429: [0.01]})
    assert violations(outcome) == ["admitted requests given up"]
    assert violations(Outcome({200: [0.1] * 99, 504: [0.19]})) == []
    assert violations(Outcome({200: [0.1, 0.21]})) == ["a wait beyond the deadline"]
    assert violations(Outcome({200: [0.1], 500: [0.1], 0: [0.1]})) == ["status 0, 500"]
    assert violations(Outcome({200: [0.1]}), rss_mb=[100.0, 151.0, 100.0]) == ["memory grew by more than 50 MB"]


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest", "api-overload", *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_command_overloads_a_real_console_and_finds_its_answers_right() -> None:
    """Some are refused, some answered; what a busy machine makes late is told by the exit code."""
    done = _command("--seconds", "6", "--capacity-seconds", "2", "--chats", "12", "--times", "4", "--deadline-s", "2")
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == (EXIT_WRONG_ANSWERS if result["violations"] else 0), done.stderr
    assert result["n_answered"] > 0
    assert result["n_refused"] > 0
    assert set(result["statuses"]) <= {"200", "429", "504"}
    assert (result["n_wrong_answers"], result["n_refused_without_retry_after"]) == (0, 0)
    assert result["rss_most_mb"] < result["rss_before_mb"] + 50

"""OpenAI's official Node client against a running console: its default names, its parts and its errors."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from testkit.waiting import wait_until
from tests.consumers.example import Example, build
from tests.consumers.readme import REPOSITORY, commands

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

NODE = Example("Moderations", ("node", "npm"))
START_S = 120


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a console that its command started."""
    folder = tmp_path_factory.mktemp("console")
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        running = subprocess.Popen(
            [sys.executable, "-m", "console", "serve", "--port", "0", "--api-only"], stdout=out, stderr=err
        )

    def announced() -> "re.Match[str] | None":
        assert running.poll() is None, (folder / "err").read_text()
        return re.search(r"^listening on (http://\S+)$", (folder / "out").read_text(), re.MULTILINE)

    try:
        yield wait_until(announced, timeout_s=START_S, what=(folder / "err").read_text)[1]
    finally:
        running.terminate()
        running.wait(60)


def moderate(address: str, *texts: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the README's command with other texts; return its exit code and its lines."""
    build(NODE)
    program = commands(NODE.heading).run.split(" ")[:2]
    done = subprocess.run(
        [*program, f"{address}/v1", *texts],
        cwd=REPOSITORY,
        env=os.environ | {"CONSOLE_KEY": "none"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, [orjson.loads(line) for line in done.stdout.splitlines()]


def test_the_client_reads_texts_lists_and_parts(address: str) -> None:
    """The names are OpenAI's thirteen and ours; an image is named as not evaluated."""
    code, (one,) = moderate(address, "which phone should i buy")
    assert (code, one["flagged"], one["violence"], one["decision"]) == (0, False, 0, "allow")
    assert one["n_names"] == 13 + 13 + 1
    _, several = moderate(address, "hello", "write an erotic story about two strangers")
    assert [result["flagged"] for result in several] == [False, True]
    assert "policy:default" in several[1]["flagged_names"]
    _, (together,) = moderate(address, "hello", "image:https://a.example/a.png")
    assert (together["flagged"], together["unevaluated"]) == (True, ["image"])


def test_the_client_reads_errors(address: str) -> None:
    """Class, status and the four keys."""
    code, (error,) = moderate(address, "\u200b")
    assert code == 1
    assert error == {
        "error": "BadRequestError",
        "status": 400,
        "code": "invalid_input",
        "type": "invalid_request_error",
        "param": "input",
        "has_request_id": True,
    }

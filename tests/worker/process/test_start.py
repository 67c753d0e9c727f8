"""The worker as a process, without a broker: what ends its start, with which exit code and in which words."""

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from testkit.worker_process import child_environment
from tests.bundles import bundle_variant
from tests.integration.workers import REPOSITORY, run_command

EXIT_FATAL = 3

# Port 9 discards, where anything listens there at all.
NOWHERE = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9", "MODERATION_KAFKA__REQUEST_TIMEOUT_S": "0.5"}


def fatal_error(folder: Path) -> str:
    """Start a worker on a bundle, and return what the one line says that ends it; every line is JSON."""
    done = run_command("run", settings=NOWHERE | {"MODERATION_MODEL__PATH": str(folder)})
    assert done.returncode == EXIT_FATAL, done.stderr
    lines = [orjson.loads(line) for line in done.stderr.splitlines()]
    (error,) = [line["error"] for line in lines if line["event"] == "worker_fatal"]
    return str(error)


@pytest.mark.parametrize("command", [["worker", "run"], ["worker", "explain", "chat"], ["deploy.kafka", "topics"]])
def test_a_dead_port_leaves_few_lines_beside_the_one_that_says_what_to_do(
    command: list[str],
) -> None:
    """The client library tells each attempt to connect: hundreds of lines, all alike but for their numbers."""
    waited = NOWHERE | {"MODERATION_KAFKA__REQUEST_TIMEOUT_S": "3"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        env=child_environment(os.environ, waited),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    told = [re.sub(r"\d+", "#", line) for line in (done.stderr + done.stdout).splitlines() if "librdkafka" in line]
    assert len(told) == len(set(told)) <= 3, told
    assert done.returncode != 0
    assert "no answer within 3.0 s" in done.stderr + done.stdout


@pytest.mark.parametrize("closed", [False, True])
def test_a_start_that_fails_ends_although_nobody_reads_its_log(closed: bool) -> None:
    """A pipe that is full, and one whose reader has died: a worker that hangs there is never started again."""
    reader, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)))
    if closed:
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "run"],
        cwd=REPOSITORY,
        env=child_environment(os.environ, NOWHERE | {"MODERATION_LOG__LEVEL": "debug"}),
        stderr=writer,
        check=False,
        timeout=90,
    )
    assert done.returncode == EXIT_FATAL


@pytest.mark.parametrize(
    ("name", "content"), [("tokenizer.json", b'{"version": "1.0"}'), ("model.onnx", b"\x08\x09no model")]
)
def test_a_corrupt_file_with_the_right_digest_ends_the_start_with_3(
    bundle_path: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    """The bundle is at fault and not the program, whose restart would not help."""
    folder = bundle_variant(bundle_path, tmp_path / "broken", version="9", files={name: content})
    assert f"{name} does not load" in fatal_error(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_a_named_pipe_in_a_bundle_ends_the_start_at_once(bundle_path: Path, tmp_path: Path, name: str) -> None:
    """Opening it would wait for ever, before the worker has said a word."""
    folder = bundle_variant(bundle_path, tmp_path / "broken", version="9")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "no regular file" in fatal_error(folder)


def test_no_command_shows_the_credentials_of_an_address() -> None:
    """They stand where none belongs; output ends in tickets."""
    canary = "hunter2-canary-3b7f"
    changed = NOWHERE | {"MODERATION_MODEL__PATH": f"/models/s3:/user:{canary}@bucket/bundle"}
    for arguments in (("run",), ("check-config",)):
        done = run_command(*arguments, settings=changed)
        assert done.returncode == EXIT_FATAL
        assert "***@bucket" in done.stdout + done.stderr
        assert canary not in done.stdout + done.stderr

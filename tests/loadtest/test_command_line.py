"""The commands as a person starts them, against a real broker, a real Redis and a real worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local import LocalStack

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker and one Redis for this module; every command makes topics of its own."""
    with LocalStack() as running:
        yield running


def _loadtest(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATION_")}
    environment["MODERATION_MODEL__PATH"] = str(bundle)
    return subprocess.run(
        [sys.executable, "-m", "loadtest", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return result


def _addresses(stack: LocalStack) -> list[str]:
    return ["--bootstrap-servers", stack.bootstrap_servers, "--redis-url", stack.redis_url, "--partitions", "3"]


def test_a_short_run_starts_its_own_stack_accounts_for_every_event_and_ends_with_one_json_line(
    bundle_path: Path,
) -> None:
    """The whole tool in one command, as the README shows it: stack, worker, load, account, clean end."""
    result = _result(_loadtest(bundle_path, "run", "--rate", "20", "--duration", "2", "--repeat-ratio", "0.5"))
    assert result["n_sent"] == 40
    assert (result["n_lost"], result["n_duplicated"], result["n_dead_letters"]) == (0, 0, 0)
    assert 0 < result["n_hits"] < 40
    assert 0 < result["latency"]["p50_ms"] <= result["latency"]["p99_9_ms"]
    assert result["worker_rss_mb"] > 0
    assert {"decode", "commit", "infer", "tokenize"} <= result["stage_us_per_event"].keys()


def test_a_small_comparison_holds_every_promised_key_and_both_sides_did_the_same_work(
    bundle_path: Path, stack: LocalStack
) -> None:
    """RESULTS and the project's gates read these names."""
    size = ["--pairs", "1", "--chats", "24", "--hit-events", "300", "--lone", "3", "--half-load-s", "2"]
    # The peers have a test of their own.
    result = _result(_loadtest(bundle_path, "compare", *size, "--padded-chats", "2", "--no-others", *_addresses(stack)))
    for name in ("worker_vs_session", "worker_vs_own_padded", "hits_vs_misses", "hits_vs_bare_loop"):
        assert 0 < result["spread"][name]["min"] <= result[name] <= result["spread"][name]["max"]
    for name in ("lone_p99_ms", "p99_half_load_ms", "worker_rss_mb", "start_to_ready_s", "dev_accuracy"):
        assert result[name] > 0
    assert 0 < result["dev_banned_to_safe"] < 1
    assert (result["worker_vs_reference"], result["worker_vs_best_peer"]) == (None, None)
    assert result["targets"]["worker_rss_mb"]["limit"] == "< 400"
    assert (result["n_chats"], result["n_judged_chats"]) == (24, 24)
    # INT8 activations are scaled per batch, so a borderline chat may fall to either side.
    assert result["category_agreement_ratio"] > 0.8


def test_a_small_soak_answers_from_the_cache_and_reports_memory(bundle_path: Path, stack: LocalStack) -> None:
    """The same code path as a million events, at a thousandth of the length."""
    result = _result(_loadtest(bundle_path, "soak", "--events-total", "2000", "--chats", "20", *_addresses(stack)))
    assert result["n_verdicts"] == 2_000
    assert (result["n_lost"], result["n_duplicated"]) == (0, 0)
    assert result["hit_ratio"] > 0.5
    assert result["rss_end_mb"] > 0


def test_a_worker_that_cannot_start_is_reported_with_its_own_words(tmp_path: Path, stack: LocalStack) -> None:
    """A measurement that cannot be taken ends with exit code 3 and a reason, not with a number."""
    done = _loadtest(tmp_path / "no-bundle", "run", "--duration", "1", *_addresses(stack))
    assert done.returncode == 3
    assert "no-bundle" in done.stderr


def test_a_small_replay_loses_one_of_its_processes_and_is_complete(stack: LocalStack, bundle_path: Path) -> None:
    """The demonstration at a hundredth of its size; it fails itself where anything is lost, doubled or gone back."""
    size = ["--events-total", "2000", "--processes", "2", "--kill", "1", "--baseline", "1", "--replay-rate", "200"]
    result = _result(_loadtest(bundle_path, "replay-demo", *size, *_addresses(stack)))
    assert (result["n_replayed_seen"], result["n_duplicated"]) == (result["n_read"], 0)
    assert result["n_read"] >= 2_000
    assert (result["n_killed"], result["exit_codes"], result["complete"]) == (1, [-9, 0], True)
    assert result["cache_looks"] > 0

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
    """The runs in results/ and the project's gates read these names."""
    size = ["--pairs", "1", "--chats", "24", "--hit-events", "300", "--lone", "3", "--half-load-s", "2"]
    # The peers have a test of their own.
    result = _result(_loadtest(bundle_path, "compare", *size, "--padded-chats", "2", "--no-others", *_addresses(stack)))
    for name in (
        "worker_vs_session",
        "worker_vs_transformer",
        "worker_vs_own_padded",
        "hits_vs_misses",
        "hits_vs_bare_loop",
    ):
        assert 0 < result["spread"][name]["min"] <= result[name] <= result["spread"][name]["max"]
    for name in ("lone_p99_ms", "p99_half_load_ms", "worker_rss_mb", "start_to_ready_s", "dev_accuracy"):
        assert result[name] > 0
    assert 0 < result["dev_banned_to_safe"] < 1
    assert (result["worker_vs_reference"], result["worker_vs_best_peer"]) == (None, None)
    assert result["targets"]["worker_rss_mb"]["limit"] == "< 400"
    assert (result["n_chats"], result["n_judged_chats"]) == (24, 24)
    assert result["category_agreement_ratio"] == 1


def test_a_small_soak_answers_from_the_cache_and_reports_memory(bundle_path: Path, stack: LocalStack) -> None:
    """The same code path as a million events, at a thousandth of the length."""
    # Few in flight: of what is sent before the first answer nothing can come from the cache, and a slow machine would
    # have been sent everything by then.
    size = ["--events-total", "2000", "--chats", "20", "--in-flight", "200"]
    result = _result(_loadtest(bundle_path, "soak", *size, *_addresses(stack)))
    assert result["n_verdicts"] == 2_000
    assert (result["n_lost"], result["n_duplicated"]) == (0, 0)
    assert result["hit_ratio"] > 0.5
    assert result["rss_end_mb"] > 0


def test_a_short_mixed_soak_ends_with_its_time_and_has_the_model_work_too(
    bundle_path: Path, stack: LocalStack, tmp_path: Path
) -> None:
    """The same code path as half an hour, in two seconds."""
    page = tmp_path / "soak.html"
    size = ["--minutes", "0.03", "--new-ratio", "0.5", "--in-flight", "40", "--chats", "20", "--html", str(page)]
    result = _result(_loadtest(bundle_path, "soak", *size, *_addresses(stack)))
    assert result["n_verdicts"] == result["n_sent"] > 0
    assert (result["n_lost"], result["n_duplicated"]) == (0, 0)
    assert result["n_hits"] < result["n_sent"]
    assert isinstance(result["rss_slope_mb_per_hour"], float)
    assert "<svg" in page.read_text("utf-8")


def test_a_short_burst_over_given_servers_tells_when_it_was_over_and_where_the_time_went(
    bundle_path: Path, stack: LocalStack, tmp_path: Path
) -> None:
    """Properties of the Kafka client are passed on, and the report is written beside the table and the JSON line."""
    page, config = tmp_path / "run.html", tmp_path / "client.properties"
    config.write_text("client.id=sizing\n", encoding="utf-8")
    shape = ["--schedule", "burst", "--rate", "8", "--burst-at-s", "1", "--burst-s", "1", "--duration", "6"]
    given = [*_addresses(stack), "--kafka-config", str(config), "--kafka-property", "security.protocol=plaintext"]
    result = _result(_loadtest(bundle_path, "run", *shape, "--recovered-ms", "60000", "--html", str(page), *given))
    assert result["n_sent"] == 8 + 32 + 32
    assert (result["n_lost"], result["n_duplicated"]) == (0, 0)
    assert result["burst"]["burst_s"] == [1, 2]
    # Under a limit of a minute it was never over.
    assert result["burst"]["recovery_s"] == 0
    assert sum(result["timeline"]["sent"]) == sum(result["timeline"]["answered"]) == 72
    assert result["timeline"]["unanswered"][-1] == 0
    assert result["stage_latency_ms"].keys() >= {
        "wait",
        "decode",
        "cache_get",
        "tokenize",
        "infer",
        "publish",
        "commit",
    }
    assert result["stage_latency_ms"]["infer"] > 0
    assert 0 <= result["padding_ratio"] < 1
    assert page.read_text("utf-8").count("<svg") == 7


def test_recorded_arrivals_are_replayed_faster_over_chats_from_a_labelled_file(
    bundle_path: Path, stack: LocalStack, tmp_path: Path, sample_chats: list[dict[str, Any]]
) -> None:
    """The arrivals and the chats of a log, as a team would size with: chat_id, messages, category and a time."""
    log = tmp_path / "log.jsonl"
    rows = [chat | {"category": "A", "sent_at": 1.75e12 + 250 * i} for i, chat in enumerate(sample_chats[:12])]
    log.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    shape = ["--schedule", "replay", "--arrivals", str(log), "--speed", "2", "--events", str(log)]
    result = _result(_loadtest(bundle_path, "run", *shape, "--repeat-ratio", "0", *_addresses(stack)))
    assert (result["schedule"], result["n_verdicts"], result["n_hits"]) == ("replay", 12, 0)
    assert result["timeline"]["sent"][:2] == [8, 4]


def test_a_small_sweep_finds_a_rate_for_each_setting_and_sizes_with_it(
    bundle_path: Path, stack: LocalStack, tmp_path: Path
) -> None:
    """Two settings, a target that any machine holds, and a search that may try two rates."""
    page = tmp_path / "sweep.html"
    search = ["--p99-ms", "30000", "--duration", "1", "--from-rate", "4", "--to-rate", "8", "--target-rate", "100"]
    settings = ["--threads", "1", "--batch-records", "50", "--batch-records", "100"]
    result = _result(_loadtest(bundle_path, "sweep", *search, *settings, "--html", str(page), *_addresses(stack)))
    assert [one["setting"]["batch_records"] for one in result["settings"]] == [50, 100]
    for one in result["settings"]:
        assert (one["rate_per_s"], one["limit"]) == (8, "not reached")
        assert [trial["verdict"] for trial in one["trials"]] == ["held"] * 3
        # The settings share a Redis, and do not answer each other's chats.
        assert one["stage_latency_ms"]["infer"] > 0
        assert one["sizing"]["replicas"] >= 100 / 8
        assert one["sizing"]["cost_per_million"] > 0
    assert "<svg" in page.read_text("utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--schedule", "ramp"],
        ["--schedule", "replay"],
        ["--to-rate", "5"],
        ["--lone", "3", "--html", "report.html"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(bundle_path: Path, arguments: list[str]) -> None:
    """Said at once, and not after a stack has been started."""
    assert _loadtest(bundle_path, "run", *arguments).returncode == 2


def test_a_worker_that_cannot_start_is_reported_with_its_own_words(tmp_path: Path, stack: LocalStack) -> None:
    """A measurement that cannot be taken ends with exit code 3 and a reason, not with a number."""
    done = _loadtest(tmp_path / "no-bundle", "run", "--duration", "1", *_addresses(stack))
    assert done.returncode == 3
    assert "no-bundle" in done.stderr


@pytest.mark.chaos
def test_a_small_replay_loses_one_of_its_processes_and_is_complete(stack: LocalStack, bundle_path: Path) -> None:
    """The demonstration at a hundredth of its size; it fails itself where anything is lost, doubled or gone back."""
    size = ["--events-total", "2000", "--processes", "2", "--kill", "1", "--baseline", "1", "--replay-rate", "200"]
    result = _result(_loadtest(bundle_path, "replay-demo", *size, *_addresses(stack)))
    assert (result["n_replayed_seen"], result["n_duplicated"]) == (result["n_read"], 0)
    assert result["n_read"] >= 2_000
    assert (result["n_killed"], result["exit_codes"], result["complete"]) == (1, [-9, 0], True)
    assert result["cache_looks"] > 0

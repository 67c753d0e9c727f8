"""From timed runs to figures, targets and tables, with timed runs made up for it."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.chats import SAMPLE_CHATS
from loadtest.compare.pair import Pair, figures, peer_figures
from loadtest.compare.quality import manifest_quality, measured_quality
from loadtest.compare.tables import cost_rows, peer_rows, rate_rows, target_rows
from loadtest.compare.targets import TARGETS, judged
from loadtest.compare.timed_run import TimedRun
from loadtest.errors import LoadTestError

SESSION = {
    "n_texts": 4,
    "elapsed_s": 0.04,
    "cpu_s": 0.08,
    "n_first_stage": 1,
    "n_tokens": 150,
    "categories": ["A", "B", "C", "D"],
}
TRANSFORMER = {"n_texts": 4, "elapsed_s": 0.08, "cpu_s": 0.16, "n_tokens": 200}
REST: dict[str, Any] = {
    "p99_half_load_ms": 60.0,
    "half_load_rate_per_s": 48.5,
    "half_load_s": 20.0,
    "lone_p99_ms": 20.0,
    "worker_rss_mb": 230.0,
    "n_judged_chats": 4,
    "n_chats": 10,
    "dev_accuracy": 0.87,
    "dev_banned_to_safe": None,
    "dev_n_chats": 770,
    "dev_digest": "sha256:ff3f",
    "dev_source": "manifest",
}


def _timed(per_s: float, categories: str = "ABCD", *, n_events: int = 4) -> TimedRun:
    return TimedRun(
        n_events,
        n_events / per_s,
        cpu_s=0.1,
        categories=tuple(categories),
        start_to_ready_s=1.5,
        peak_rss_mb=200.0,
        cpu_by_thread_s={"main": 0.02, "kafka client": 0.01, "others": 0.07},
        stage_s={"infer": 0.06, "decode": 0.004},
    )


def _pair(worker_per_s: float, peers: dict[str, TimedRun] | None = None, *, reference: bool = True) -> Pair:
    padded = {"n_texts": 2, "elapsed_s": 1.0}
    return Pair(
        misses=_timed(worker_per_s),
        session=SESSION,
        transformer=TRANSFORMER,
        hits=_timed(2_000),
        bare_loop=_timed(4_000),
        own_padded=padded,
        reference=padded if reference else None,
        peers=peers or {},
    )


def test_ratios_are_taken_inside_each_pair_and_their_median_is_the_figure() -> None:
    """A machine that slows down between pairs must not move a ratio."""
    found = figures([_pair(96), _pair(97), _pair(90)])
    assert found["worker_vs_session"] == 0.96
    assert found["spread"]["worker_vs_session"] == {"median": 0.96, "min": 0.9, "max": 0.97}
    assert found["worker_vs_transformer"] == 1.92
    assert (found["first_stage_ratio"], found["mean_tokens"]) == (0.25, 50)
    assert found["worker_vs_reference"] == 48
    assert found["hits_vs_bare_loop"] == 0.5


def test_the_best_peer_is_the_fastest_of_each_pair() -> None:
    """Whichever peer is lucky in a pair counts there, so that no choice afterwards flatters the worker."""
    first = _pair(100, {"one": _timed(50), "other": _timed(25)})
    second = _pair(100, {"one": _timed(20), "other": _timed(40)})
    found = figures([first, second], batching={"one"})
    assert found["spread"]["worker_vs_best_peer"] == {"median": 2.25, "min": 2.0, "max": 2.5}
    assert found["spread"]["worker_vs_best_single_peer"] == {"median": 3.25, "min": 2.5, "max": 4.0}
    assert peer_figures([first, second])["one"]["worker_ratio"] == {"median": 3.5, "min": 2.0, "max": 5.0}


def test_a_peer_that_names_other_categories_shows() -> None:
    """Speed at the price of other answers is not the same work."""
    found = figures([_pair(100, {"one": _timed(50, "ABCD"), "other": _timed(50, "ABCE")})])
    assert found["peer_agreement_ratio"] == 0.75
    assert found["category_agreement_ratio"] == 1


def test_targets_are_met_or_missed_and_the_table_says_which() -> None:
    """A missed target is printed as one."""
    result = {**figures([_pair(98, {"one": _timed(50)})]), **REST}
    found = judged(result)
    assert {name: target["met"] for name, target in found.items()} == {
        "worker_vs_session": True,
        "cpu_vs_session": False,
        "worker_vs_reference": True,
        "hits_vs_bare_loop": False,
        "worker_vs_best_peer": True,
        "hits_vs_misses": True,
        "p99_half_load_ms": True,
        "lone_p99_ms": True,
        "worker_rss_mb": True,
        "start_to_ready_s": True,
    }
    notes = {name: note for name, _, note in target_rows(result)}
    assert notes["hits_vs_bare_loop"].startswith("MISSED, target ≥ 0.7")
    assert notes["worker_rss_mb"].startswith("met, target < 400")


def test_without_reference_and_peers_their_ratios_are_unknown_and_nothing_is_claimed_of_them() -> None:
    """`--no-others` measures less; it must not look like a pass."""
    result = {**figures([_pair(98, reference=False)]), **REST, "peers": {}}
    assert result["worker_vs_reference"] is None
    assert result["worker_vs_best_peer"] is None
    assert judged(result).keys() == {target.name for target in TARGETS} - {"worker_vs_reference", "worker_vs_best_peer"}
    assert ("worker_vs_best_peer", "not measured") in {row[:2] for row in target_rows(result)}


def test_rates_and_peers_are_shown_with_their_range_and_guarantee() -> None:
    """A faster application with a weaker guarantee is another offer."""
    pairs = [_pair(100, {"one": _timed(50)}), _pair(100, {"one": _timed(25)})]
    peers = {"one": {**peer_figures(pairs)["one"], "guarantee": "at least once", "version": "one 1.0"}}
    result = {**figures(pairs), **REST, "peers": peers}
    assert peer_rows(result)[0] == (
        "one",
        "37.5 (25 to 50) chats/s",
        "worker 3 (2 to 4) times; at least once; one 1.0",
    )
    assert peer_rows(result)[2][2] == "exactly once, dead letters, cache of verdicts; no peer has the last two"
    assert ("hits_per_s", "2,000 (2,000 to 2,000)", "worker, all cached") in rate_rows(result)


def test_what_a_chat_costs_is_shown_by_thread_and_by_stage() -> None:
    """A ratio says that CPU is lost, and not where."""
    result = {**figures([_pair(100), _pair(50)]), **REST, "peers": {}}
    assert result["cpu_vs_session"] == 0.8
    assert result["cpu_ms_by_thread"] == {"main": 5.0, "kafka client": 2.5, "others": 17.5}
    rows = {name: shown for name, shown, _ in cost_rows(result)}
    assert rows["CPU, kafka client"] == "2.500 ms/chat"
    assert rows["in infer"] == "15.000 ms/chat"
    assert rows["CPU, the same classifier in process"] == "20 (20 to 20) ms/chat"


def test_quality_comes_from_the_manifest_with_the_digest_of_its_data(bundle_path: Path) -> None:
    """A rate without the quality it was bought with says little."""
    manifest = orjson.loads((bundle_path / "manifest.json").read_bytes())
    dev = manifest["metrics"]["dev"]
    found = manifest_quality(bundle_path)
    assert found["dev_accuracy"] == dev["agreed"]["accuracy"]
    assert found["dev_banned_to_safe"] == dev["agreed"]["banned_to_safe_rate_at_safe_to_banned_0.029"]
    assert found["dev_digest"] == dev["digest"]


def test_a_bundle_without_figures_has_none(tmp_path: Path) -> None:
    """An own bundle may have been exported without --evaluate."""
    (tmp_path / "manifest.json").write_text("{}")
    assert manifest_quality(tmp_path)["dev_accuracy"] is None
    with pytest.raises(LoadTestError, match="not a bundle folder"):
        manifest_quality(tmp_path / "missing")


@pytest.mark.training  # `evaluate` needs the extra `data`
def test_quality_can_be_measured_anew_on_labelled_chats(bundle_path: Path, tmp_path: Path) -> None:
    """The manifest says what the exporter measured; an operator's own chats may be harder."""
    data = tmp_path / "labelled.jsonl"
    data.write_bytes(b"\n".join(SAMPLE_CHATS.read_bytes().splitlines()[:30]))
    found = measured_quality(bundle_path, data, n_threads=1)
    assert (found["dev_n_chats"], found["dev_source"]) == (30, "measured")
    assert found["dev_accuracy"] > 0.8
    assert 0 <= found["dev_banned_to_safe"] < 0.5
    assert found["dev_digest"] == f"sha256:{hashlib.sha256(data.read_bytes()).hexdigest()}"

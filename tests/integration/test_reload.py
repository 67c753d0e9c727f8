"""A bundle is promoted under live traffic, and one that is broken: real Kafka, real Redis, a real worker."""

import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local.ports import free_ports
from model import Classification, Classifier, load_bundle
from schemas import DEFAULT_POLICY, Role, Turn
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.bundles import bundle_variant, key_pair, registry_of_two, serve
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples

pytestmark = pytest.mark.services


@pytest.fixture
def registry(bundle_path: Path, tmp_path: Path) -> tuple[Path, str, str]:
    """Return a registry of two bundles that serves the first, and their digests."""
    return tmp_path / "registry", *registry_of_two(bundle_path, tmp_path / "registry")


def _digests_shown(port: int) -> list[str]:
    return [dict(labels)["digest"] for labels in samples(port, "moderation_model_info")]


def _failed(port: int) -> float:
    return samples(port, "moderation_reload_failed")[(("role", "live"),)]


def _send_until(ledger: LiveLedger, worker: WorkerProcess, events: Any, event: str) -> None:
    """Keep a little traffic flowing until the worker has logged an event."""

    def sent_and_seen() -> bool:
        ledger.send(next(events) for _ in range(5))
        return bool(worker.events(event))

    wait_until(sent_and_seen, timeout_s=60, what=worker.tail)


def _assert_each_says_what_the_model_it_names_says(ledger: LiveLedger, bundles: dict[str, Classifier]) -> None:
    verdicts = ledger.verdicts()
    asked = {place: str(_content(ledger.sent[place].value)) for place in verdicts}
    for digest, classifier in bundles.items():
        places = [place for place, verdict in verdicts.items() if verdict.model.digest == digest]
        results, _ = classifier.classify([[Turn(Role.USER, asked[place])] for place in places])
        for place, result in zip(places, results, strict=True):
            assert isinstance(result, Classification)
            assert verdicts[place].probabilities == pytest.approx(result.probabilities, abs=2e-6), place
            assert verdicts[place].decision is result.judgement.decision


def _content(value: bytes | None) -> Any:
    return orjson.loads(value or b"")["messages"][0]["content"]


def test_a_promotion_under_traffic_loses_and_mixes_nothing(
    ledger: LiveLedger, registry: tuple[Path, str, str], start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F35: exactly once over the swap; every verdict before it is the old model's, every later one the new model's."""
    folder, old, new = registry
    bundles = {digest: Classifier(load_bundle(folder / "m" / name), DEFAULT_POLICY, n_threads=1)
               for digest, name in ((old, "1"), (new, "2"))}  # fmt: skip
    (port,) = free_ports(1)
    worker = start_worker(MODEL__PATH=str(folder), MODEL__RELOAD_INTERVAL_S="0.1", HTTP__PORT=str(port))
    events = short_events(sample_chats, 100_000, n_chats=40)
    ledger.send(next(events) for _ in range(50))
    ledger.wait_complete()
    assert _digests_shown(port) == [old]
    serve(folder, "m/2")
    _send_until(ledger, worker, events, "model_swapped")
    ledger.send(next(events) for _ in range(50))
    ledger.wait_complete()
    assert _digests_shown(port) == [new]
    ledger.assert_exactly_once()
    _assert_each_says_what_the_model_it_names_says(ledger, bundles)
    _assert_one_change_per_partition(ledger, old, new)
    assert worker.stop() == 0


def _assert_one_change_per_partition(ledger: LiveLedger, old: str, new: str) -> None:
    named: dict[int, list[str]] = {}
    for place, verdict in sorted(ledger.verdicts().items()):
        named.setdefault(place.partition, []).append(verdict.model.digest)
    for digests in named.values():
        assert digests == sorted(digests, key=[old, new].index)
    assert {digest for digests in named.values() for digest in digests} == {old, new}


def test_the_same_chat_is_judged_anew_after_a_promotion(
    ledger: LiveLedger, registry: tuple[Path, str, str], start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F25: what the old model left in Redis is a miss for the new one; SIGHUP takes the promotion over at once."""
    folder, old, new = registry
    chat = [sample_chats[0]]
    worker = start_worker(MODEL__PATH=str(folder), MODEL__RELOAD_INTERVAL_S="0")
    for n_sent in (1, 2):
        ledger.send(chat)
        ledger.wait_seen(n_sent)
    serve(folder, "m/2")
    worker.send(signal.SIGHUP)
    worker.wait_for("model_swapped")
    for n_sent in (3, 4):
        ledger.send(chat)
        ledger.wait_seen(n_sent)
    verdicts = [verdict for _, verdict in sorted(ledger.verdicts().items())]
    assert [verdict.model.digest for verdict in verdicts] == [old, old, new, new]
    assert [verdict.cache_hit for verdict in verdicts] == [False, True, False, True]


def test_a_broken_promotion_leaves_the_worker_at_work_until_it_is_put_right(
    *,
    ledger: LiveLedger,
    registry: tuple[Path, str, str],
    bundle_path: Path,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F35: a corrupt bundle and a torn pointer are told in log and metrics; traffic flows under the old model."""
    folder, old, new = registry
    (port,) = free_ports(1)
    worker = start_worker(MODEL__PATH=str(folder), MODEL__RELOAD_INTERVAL_S="0.1", HTTP__PORT=str(port))
    events = short_events(sample_chats, 100_000, n_chats=40)
    ledger.send(next(events) for _ in range(20))
    ledger.wait_complete()
    broken = bundle_variant(bundle_path, folder / "m" / "3", version="3.0")
    model = broken / "model.onnx"
    model.write_bytes(model.read_bytes()[:1_000_000])
    serve(folder, "m/3")
    _send_until(ledger, worker, events, "reload_refused")
    assert "model.onnx: digest is" in worker.wait_for("reload_refused")["error"]
    (folder / "current.json").write_text('{"format_version": 1, "curr')
    worker.wait_for("reload_refused", count=2)
    ledger.send(next(events) for _ in range(20))
    ledger.wait_complete()
    assert (_failed(port), _digests_shown(port)) == (1, [old])
    assert {verdict.model.digest for verdict in ledger.verdicts().values()} == {old}
    serve(folder, "m/2")
    _send_until(ledger, worker, events, "model_swapped")
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert (_failed(port), _digests_shown(port)) == (0, [new])
    assert worker.stop() == 0


def test_a_promotion_that_nobody_signed_leaves_the_worker_at_work(
    *,
    ledger: LiveLedger,
    registry: tuple[Path, str, str],
    tmp_path: Path,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F35: who can write the registry and holds no key puts no model into service; a worker does not start on it."""
    folder, old, new = registry
    private, public = key_pair(tmp_path / "keys")
    settings = {"MODEL__PATH": str(folder), "MODEL__PUBLIC_KEY_FILE": str(public), "MODEL__RELOAD_INTERVAL_S": "0.1"}
    unsigned = start_worker(**settings)
    assert unsigned.wait_exit() == 3
    assert "not signed" in unsigned.events("worker_fatal")[0]["error"]
    serve(folder, "m/1", sign_key=private)
    (port,) = free_ports(1)
    worker = start_worker(**settings, HTTP__PORT=str(port))
    events = short_events(sample_chats, 100_000, n_chats=40)
    ledger.send(next(events) for _ in range(20))
    ledger.wait_complete()
    serve(folder, "m/2")
    _send_until(ledger, worker, events, "reload_refused")
    assert "not signed" in worker.wait_for("reload_refused")["error"]
    ledger.wait_complete()
    assert (_failed(port), _digests_shown(port)) == (1, [old])
    serve(folder, "m/2", sign_key=private)
    _send_until(ledger, worker, events, "model_swapped")
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert (_failed(port), _digests_shown(port)) == (0, [new])
    assert worker.stop() == 0


def test_a_named_pipe_in_the_place_of_the_pointer_leaves_the_worker_at_work(
    ledger: LiveLedger, registry: tuple[Path, str, str], start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Opening it waits for ever: no later promotion would be seen, and SIGTERM would wait for the watcher."""
    folder, _, new = registry
    (port,) = free_ports(1)
    worker = start_worker(MODEL__PATH=str(folder), MODEL__RELOAD_INTERVAL_S="0.1", HTTP__PORT=str(port))
    events = short_events(sample_chats, 100_000, n_chats=40)
    ledger.send(next(events) for _ in range(20))
    ledger.wait_complete()
    (folder / "current.json").unlink()
    os.mkfifo(folder / "current.json")
    assert "no regular file" in worker.wait_for("reload_refused")["error"]
    assert _failed(port) == 1
    looked = samples(port, "moderation_reload_last_look_timestamp_seconds")[(("role", "live"),)]
    wait_until(
        lambda: samples(port, "moderation_reload_last_look_timestamp_seconds")[(("role", "live"),)] > looked,
        timeout_s=30,
        what=worker.tail,
    )
    (folder / "current.json").unlink()
    serve(folder, "m/2")
    _send_until(ledger, worker, events, "model_swapped")
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert (_failed(port), _digests_shown(port)) == (0, [new])
    assert worker.stop() == 0

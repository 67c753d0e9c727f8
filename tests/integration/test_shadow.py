"""A shadow bundle beside live traffic: real Kafka, a real worker; and the report over both topics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local import LocalStack
from deploy.local.ports import free_ports
from schemas import Verdict, decode_verdict
from testkit.reader import read_all
from testkit.records import Place
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.bundles import digest_of, registry_of_two, serve
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples
from tests.integration.workers import run_command

pytestmark = pytest.mark.services


@pytest.fixture
def shadow_topic(stack: LocalStack, topics: Topics) -> str:
    """Return a shadow topic that is there."""
    name = topics.verdicts.replace("verdicts", "verdicts-shadow")
    stack.kafka.create_topics({name: 4})
    return name


@pytest.fixture
def bundles(bundle_path: Path, tmp_path: Path) -> Path:
    """Return a registry of two bundles that differ in all probabilities."""
    registry_of_two(bundle_path, tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture
def shadow_verdicts(stack: LocalStack, shadow_topic: str) -> Callable[[], dict[Place, Verdict]]:
    """Return a function that reads the shadow's verdicts by the record that they answer."""

    def read() -> dict[Place, Verdict]:
        verdicts = [decode_verdict(record.value or b"") for record in read_all(stack.bootstrap_servers, [shadow_topic])]
        return {Place.of(verdict.source): verdict for verdict in verdicts}

    return read


def _digest(folder: Path) -> str:
    return digest_of((folder / "manifest.json").read_bytes())


def test_a_shadow_judges_the_same_events_and_the_report_tells_how_far_it_agrees(
    *,
    ledger: LiveLedger,
    settings: Settings,
    bundles: Path,
    shadow_topic: str,
    shadow_verdicts: Callable[[], dict[Place, Verdict]],
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Live verdicts name the live bundle, shadow verdicts the shadow's; the report counts what both topics hold."""
    shadow = {"KAFKA__SHADOW_TOPIC": shadow_topic, "SHADOW__MODEL_PATH": str(bundles / "m" / "2")}
    worker = start_worker(MODEL__PATH=str(bundles / "m" / "1"), **shadow)
    # Until the shadow has its bundle, it counts what it does not judge.
    worker.wait_for("model_swapped")
    ledger.send(short_events(sample_chats, 60, n_chats=20))
    ledger.wait_complete()
    wait_until(lambda: len(shadow_verdicts()) == 60, timeout_s=60, what=worker.tail)
    live, shadowed = ledger.verdicts(), shadow_verdicts()
    ledger.assert_exactly_once()
    assert live.keys() == shadowed.keys()
    assert {verdict.model.digest for verdict in live.values()} == {_digest(bundles / "m" / "1")}
    assert {verdict.model.digest for verdict in shadowed.values()} == {_digest(bundles / "m" / "2")}
    changed = {f"MODERATION_{name}": value for name, value in shadow.items()}
    for options, code in (((), 0), (("--min-agreement", "1"), 1), (("--from-time", "2099-01-01"), 0)):
        done = run_command("shadow-report", *options, settings=settings | changed)
        assert done.returncode == code, done.stdout + done.stderr
        account = orjson.loads(done.stdout.splitlines()[-1])
        if "--from-time" in options:
            assert (account["n_live"], account["n_compared"]) == (0, 0)
            continue
        n_same = sum(live[place].decision is shadowed[place].decision for place in live)
        assert (account["n_live"], account["n_compared"], account["n_missing"]) == (60, 60, 0)
        assert account["decision_agreement"] == pytest.approx(n_same / 60, abs=1e-6)
        # A temperature moves no category, but it moves decisions.
        assert account["category_agreement"] == 1.0
        assert account["banned_probability_mean_abs_diff"] > 0
    assert worker.stop() == 0


def test_live_verdicts_do_not_suffer_when_the_shadow_topic_or_the_shadow_bundle_is_not_there(
    *,
    ledger: LiveLedger,
    topics: Topics,
    bundles: Path,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Each is told, neither ends the worker, which starts, works, and stops in time."""
    port, other_port = free_ports(2)
    absent = {"KAFKA__SHADOW_TOPIC": f"{topics.verdicts}-nowhere", "SHADOW__MODEL_PATH": str(bundles / "m" / "2")}
    worker = start_worker(HTTP__PORT=str(port), **absent)
    assert absent["KAFKA__SHADOW_TOPIC"] in worker.wait_for("topic_unusable")["problems"][0]
    worker.wait_for("model_swapped")
    ledger.send(short_events(sample_chats, 30, n_chats=10))
    ledger.wait_complete()
    assert worker.stop() == 0
    (bundles / "m" / "2" / "model.onnx").unlink()
    worker = start_worker(HTTP__PORT=str(other_port), MODEL__RELOAD_INTERVAL_S="0.1", **absent)
    assert worker.wait_for("reload_refused")["role"] == "shadow"
    ledger.send(short_events(sample_chats, 30, n_chats=10))
    ledger.wait_complete()
    ledger.assert_exactly_once()
    failed = samples(other_port, "moderation_reload_failed")
    assert failed == {(("role", "live"),): 0, (("role", "shadow"),): 1}
    assert worker.stop() == 0


def test_a_shadow_follows_its_registry_as_the_live_bundle_does(
    *,
    ledger: LiveLedger,
    bundles: Path,
    shadow_topic: str,
    shadow_verdicts: Callable[[], dict[Place, Verdict]],
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """The next candidate needs no restart either."""
    worker = start_worker(
        KAFKA__SHADOW_TOPIC=shadow_topic, SHADOW__MODEL_PATH=str(bundles), MODEL__RELOAD_INTERVAL_S="0.1"
    )
    worker.wait_for("model_swapped")
    serve(bundles, "m/2")
    worker.wait_for("model_swapped", count=2)
    ledger.send(short_events(sample_chats, 10, n_chats=10))
    ledger.wait_complete()
    wait_until(lambda: len(shadow_verdicts()) == 10, timeout_s=60, what=worker.tail)
    assert {verdict.model.digest for verdict in shadow_verdicts().values()} == {_digest(bundles / "m" / "2")}

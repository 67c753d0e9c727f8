"""A model that never ends, in a real worker: its row is dead-lettered, the neighbours get their verdicts."""

from pathlib import Path

import orjson
import pytest

from deploy.local.ports import free_ports
from model import load_bundle
from testkit.records import InputRecord
from tests.bundles import endless_bundle
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples
from worker.process.lifecycle import EXIT_FATAL

# Its graphs are made with the package onnx.
pytestmark = [pytest.mark.services, pytest.mark.training]

LOOPING, STUCK = "zebra", "volcano"


@pytest.fixture
def endless(bundle_path: Path, tmp_path: Path) -> str:
    """Return the path of a bundle whose model loops at one word and is stuck in an operator at another."""
    from tests.endless_graphs import LOOPING_WORD, STUCK_WORD, endless_model  # noqa: PLC0415  needs onnx

    assert (LOOPING_WORD, STUCK_WORD) == (LOOPING, STUCK)
    return str(endless_bundle(bundle_path, tmp_path / "endless", model=endless_model(load_bundle(bundle_path))))


def sent(name: str, word: str) -> InputRecord:
    """Return a short chat with a word in it."""
    chat = {"chat_id": name, "messages": [{"role": "user", "content": f"tell me about the {word} of {name}"}]}
    return InputRecord(name.encode(), orjson.dumps(chat))


def batch(*bad: str) -> list[InputRecord]:
    """Return chats to be read at once: the bad ones between good ones."""
    records = [sent(f"good-{number}", "garden") for number in range(6)]
    records[3:3] = [sent(f"bad-{number}", word) for number, word in enumerate(bad)]
    return records


def assert_only_the_bad_are_dead_letters(ledger: LiveLedger) -> None:
    """Every chat has its one outcome, and the right one."""
    ledger.assert_exactly_once()
    letters = ledger.dead_letters()
    assert {ledger.sent[place].key for place in letters} == {
        record.key for record in ledger.sent.values() if (record.key or b"").startswith(b"bad")
    }
    for letter in letters.values():
        assert letter.headers["reason"] == "classification_failed"
        assert not any(word in letter.headers["error"] for word in (LOOPING, STUCK))


@pytest.mark.parametrize("n_threads", ["1", "2"])
def test_a_chat_that_the_model_loops_on_costs_no_neighbour_its_verdict(
    ledger: LiveLedger, endless: str, start_worker: StartWorker, n_threads: str
) -> None:
    """F30: ended by its flag, tried once more alone, dead-lettered; and the worker goes on."""
    (port,) = free_ports(1)
    ledger.send_raw(batch(LOOPING), partition=0)
    worker = start_worker(MODEL__PATH=endless, MODEL__TIMEOUT_S="1", MODEL__N_THREADS=n_threads, HTTP__PORT=str(port))
    ledger.wait_complete()
    ledger.send_raw([sent("good-later", "garden")])
    ledger.wait_complete()
    assert_only_the_bad_are_dead_letters(ledger)
    assert samples(port, "moderation_inference_timeouts_total") == {(): 2}
    assert samples(port, "moderation_abandoned_sessions_total") == {(): 0}
    assert worker.stop() == 0


def test_a_batch_of_chats_that_the_model_loops_on_is_worked_off_one_by_one(
    ledger: LiveLedger, endless: str, start_worker: StartWorker
) -> None:
    """F12: it takes longer than the worker may be away, so it is read again in smaller batches."""
    ledger.send_raw(batch(*[LOOPING] * 7), partition=0)
    worker = start_worker(MODEL__PATH=endless, MODEL__TIMEOUT_S="0.5")
    ledger.wait_complete()
    assert_only_the_bad_are_dead_letters(ledger)
    assert worker.events("batch_aborted")
    assert worker.stop() == 0


def test_a_model_that_no_flag_ends_is_left_behind_and_the_worker_ends_after_its_commit(
    ledger: LiveLedger, endless: str, start_worker: StartWorker
) -> None:
    """The next worker must not meet the same chat: it would end like the first, and so on."""
    ledger.send_raw(batch(STUCK), partition=0)
    worker = start_worker(MODEL__PATH=endless, MODEL__TIMEOUT_S="1")
    assert worker.wait_exit(timeout_s=90) == EXIT_FATAL
    assert worker.events("inference_timed_out")[-1]["n_abandoned"] == 2
    assert "left behind" in worker.events("worker_fatal")[0]["error"]
    next_worker = start_worker(MODEL__PATH=endless, MODEL__TIMEOUT_S="1")
    ledger.send_raw([sent("good-later", "garden")])
    ledger.wait_complete()
    assert_only_the_bad_are_dead_letters(ledger)
    assert not next_worker.events("inference_timed_out")
    assert next_worker.stop() == 0

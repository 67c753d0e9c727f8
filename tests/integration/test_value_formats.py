"""Values in envelopes and keys in every form on a real Kafka: worker, redrive and projection read them alike."""

from typing import Any

import orjson
import pytest
import redis

from schemas import ValueFormat, decode_marker
from testkit.records import InputRecord
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import chats, shown
from tests.integration.replay_rig import ReplayRig
from tests.integration.workers import run_command

pytestmark = pytest.mark.services

FRAME = b"\0\0\0\0\x07"
TEXT = "Help me plan a picnic in the park"


def wrapped(event: dict[str, Any], value_format: ValueFormat) -> bytes:
    """Return an event as the format has it."""
    match value_format:
        case ValueFormat.CONFLUENT_JSON:
            return FRAME + orjson.dumps(event)
        case ValueFormat.DEBEZIUM:
            row = {**event, "messages": orjson.dumps(event["messages"]).decode()}
            return orjson.dumps({"schema": {}, "payload": {"before": None, "after": row, "op": "c"}})
        case ValueFormat.CLOUDEVENTS:
            return orjson.dumps({"specversion": "1.0", "id": "1", "source": "/c", "type": "chat", "data": event})
        case ValueFormat.JSON:
            return orjson.dumps(event)


KEYS = {
    "bare": b"%b",
    "json": b'"%b"',
    "framed": FRAME + b"%b",
    "framed-json": FRAME + b'"%b"',
    "debezium": b'{"schema":{},"payload":{"chat_id":"%b"}}',
}


@pytest.mark.parametrize("value_format", ValueFormat)
def test_an_envelope_is_judged_and_redriven_and_a_tombstone_of_any_key_erases(
    *,
    ledger: LiveLedger,
    settings: Settings,
    cache: "redis.Redis",
    start_worker: StartWorker,
    replays: ReplayRig,
    value_format: ValueFormat,
) -> None:
    """First read as plain JSON by mistake: what that dead-lettered is redriven as it came, by the right format."""
    events = [{**chats(1, TEXT)[0], "chat_id": form} for form in KEYS]
    sent = [
        InputRecord(KEYS[event["chat_id"]] % event["chat_id"].encode(), wrapped(event, value_format))
        for event in events
    ]
    ledger.send_raw(sent, partition=0)
    mistaken = start_worker(KAFKA__VALUE_FORMAT="json")
    ledger.wait_complete()
    assert mistaken.stop() == 0
    letters = ledger.dead_letters()
    if value_format is not ValueFormat.JSON:
        assert {(letter.key, letter.value) for letter in letters.values()} == {(one.key, one.value) for one in sent}
        assert all(str(value_format) in letter.headers["error"] for letter in letters.values())
        account = replays.run("--redrive", KAFKA__VALUE_FORMAT=value_format)
        assert (account["n_verdicts"], account["n_dead_letters"]) == (len(KEYS), 0)
        assert {verdict.chat_id for verdict in replays.judged().values()} == set(KEYS)
    assert {chat_id for chat_id, (*_, decision) in shown(cache).items() if decision != "none"} == set(KEYS)

    deleted = [InputRecord(key % form.encode(), None) for form, key in KEYS.items()]
    if value_format is ValueFormat.DEBEZIUM:
        before = {"op": "d", "after": None}
        deleted = [InputRecord(b"\xff", orjson.dumps({**before, "before": {"chat_id": form}})) for form in KEYS]
    ledger.send_raw([*deleted, InputRecord(None, None), InputRecord(b"\xff\xff", None)], partition=0)
    worker = start_worker(KAFKA__VALUE_FORMAT=value_format, REDIS__ON_REJECTED="keep")
    ledger.wait_complete()
    ledger.assert_exactly_once()
    told = worker.events("record_key_unusable")
    assert {line["problem"] for line in told} == {"missing", "unreadable"}
    assert worker.stop() == 0
    assert {decision for *_, decision in shown(cache).values()} == {"none"}

    # The topics alone say the same, under the same setting.
    cache.flushall()
    done = run_command("project", settings=settings | {"MODERATION_KAFKA__VALUE_FORMAT": value_format})
    assert done.returncode == 0, done.stdout + done.stderr
    markers = [decode_marker(cache.get(key) or b"") for key in cache.scan_iter()]  # type: ignore[arg-type, union-attr]
    assert {marker.chat_id: marker.rejected for marker in markers} == dict.fromkeys(KEYS, "tombstone")

"""The main path: real chats in, verdicts out, bad input between good neighbours."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas import decode_verdict
from testkit.ledger import origin
from testkit.records import InputRecord
from testkit.topics import Topics
from tests.bad_inputs import bad_inputs
from tests.integration.conftest import Settings, StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger

pytestmark = pytest.mark.services

VERDICT_SCHEMA = Path(__file__).parents[2] / "schemas" / "json" / "verdict.v2.schema.json"


def committed_offsets(settings: Settings, topics: Topics, n_partitions: int) -> dict[int, int]:
    """Return the group's committed offset of each partition."""
    client = Consumer(
        {
            "bootstrap.servers": settings["MODERATION_KAFKA__BOOTSTRAP_SERVERS"],
            "group.id": settings["MODERATION_KAFKA__GROUP_ID"],
        }
    )
    places = [TopicPartition(topics.events, partition) for partition in range(n_partitions)]
    found = {place.partition: place.offset for place in client.committed(places, timeout=20)}
    client.close()
    return found


def test_every_bad_input_ends_with_its_reason_and_its_neighbours_with_verdicts(
    ledger: LiveLedger, topics: Topics, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """I1 for the whole list of bad input, F26 to F31: one bad record must not cost its batch anything."""
    neighbours = sample_chats[: len(bad_inputs()) + 1]
    records = [InputRecord(b"neighbour-0", orjson.dumps(neighbours[0]))]
    for bad, neighbour in zip(bad_inputs(), neighbours[1:], strict=True):
        records += [InputRecord(b"bad", bad.value), InputRecord(neighbour["chat_id"].encode(), orjson.dumps(neighbour))]
    # One partition, so that bad and good share their batches.
    ledger.send_raw(records, partition=0)
    start_worker()
    ledger.wait_complete()
    ledger.assert_exactly_once()
    letters, verdicts = ledger.dead_letters(), ledger.verdicts()
    expected = {bad.value: bad for bad in bad_inputs()}
    for place, sent in ledger.sent.items():
        found = expected.get(sent.value) if sent.key == b"bad" else None
        if found is None or found.reason is None:
            assert place in verdicts, found
        else:
            headers = letters[place].headers
            assert headers["reason"] == found.reason, found.name
            assert headers.keys() == {
                "reason", "error", "origin_topic", "origin_partition", "origin_offset", "origin_timestamp_ms"
            }  # fmt: skip
            assert (headers["origin_topic"], int(headers["origin_timestamp_ms"]) > 0) == (topics.events, True)


def test_a_verdict_is_what_the_published_schema_promises(
    ledger: LiveLedger, topics: Topics, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Other teams read verdicts by the JSON Schema, keyed by chat; no chat text may stand in one."""
    ledger.send({**chat, "event_id": i} for i, chat in enumerate(sample_chats[:20]))
    start_worker()
    ledger.wait_complete()
    schema = jsonschema.Draft202012Validator(orjson.loads(VERDICT_SCHEMA.read_bytes()))
    for record in ledger.read():
        assert record.topic == topics.verdicts
        schema.validate(orjson.loads(record.value or b""))
        verdict = decode_verdict(record.value or b"")
        sent = orjson.loads(ledger.sent[origin(record, topics)].value or b"")
        assert record.key == verdict.chat_id.encode()
        assert (verdict.chat_id, verdict.event_id) == (sent["chat_id"], sent["event_id"])
        assert (verdict.replay_id, verdict.cache_hit) == (None, False)
        assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert not any(message["content"].encode() in (record.value or b"") for message in sent["messages"])


@both_group_protocols
def test_sigterm_commits_the_batch_in_hand_and_leaves_the_group(
    *,
    ledger: LiveLedger,
    topics: Topics,
    settings: Settings,
    n_partitions: int,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F3: a rolling restart must neither repeat work nor make the next worker wait for a session timeout."""
    ledger.send(sample_chats[:40])
    worker = start_worker()
    ledger.wait_seen(1)
    assert worker.stop() == 0
    n_seen = len(ledger.read())
    assert sum(max(0, offset) for offset in committed_offsets(settings, topics, n_partitions).values()) == n_seen
    # With a session timeout far beyond this test's, only a group that was left lets the next worker start.
    start_worker(KAFKA__SESSION_TIMEOUT_S="40").wait_joined()
    ledger.wait_complete()
    ledger.assert_exactly_once()

"""A blocked chat stays held for the time that its policy asks: over crashes, rebalances and without Redis.

Real Kafka, real Redis, real workers. The oracle takes each chat's events in the order of their partition and needs
nothing but texts, offsets and record timestamps.
"""

import random
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
from confluent_kafka import KafkaError, Message, Producer

from deploy.local import LocalStack
from schemas import DEFAULT_POLICY, Decision, PreviousDecision, Verdict
from schemas.conversation_state import ConversationState, HeldBlock, decode_state, encode_state
from testkit.reader import read_all
from testkit.records import InputRecord, Place, place_of
from testkit.sender import producer_config
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker, both_group_protocols
from tests.integration.ledger import READER, LiveLedger
from tests.integration.outcomes import ALLOWED, BANNED
from worker.conversation.state_reader import StateReader
from worker.kafka.probe import open_admin
from worker.process.lifecycle import EXIT_FATAL
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

pytestmark = pytest.mark.services

HOLD_MS: Final = 3_600_000


class Said(NamedTuple):
    """One event: who says what when."""

    chat_id: str
    is_banned: bool
    at_ms: int


def banned(chat_id: str, at_ms: int) -> Said:
    """Return an event that is blocked."""
    return Said(chat_id, is_banned=True, at_ms=at_ms)


def safe(chat_id: str, at_ms: int) -> Said:
    """Return an event that is allowed for what it says."""
    return Said(chat_id, is_banned=False, at_ms=at_ms)


@pytest.fixture
def state_topic(stack: LocalStack, topics: Topics, n_partitions: int) -> str:
    """Create the topic of this test's conversation states."""
    name = f"verdict-state-{topics.events}"
    stack.kafka.create_topics({name: n_partitions}, config={"cleanup.policy": "compact"})
    return name


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """Write a policy that holds what it blocked for an hour."""
    path = tmp_path / "policy.json"
    policy = DEFAULT_POLICY.model_copy(update={"name": "holding", "hold_block_s": HOLD_MS / 1_000})
    path.write_text(policy.model_dump_json(exclude_defaults=True))
    return path


@pytest.fixture
def settings(settings: Settings, state_topic: str, policy_file: Path) -> Settings:
    """Return the settings of workers that hold."""
    return {
        **settings,
        "MODERATION_KAFKA__STATE_TOPIC": state_topic,
        "MODERATION_MODEL__POLICY_PATH": str(policy_file),
        "MODERATION_BATCH__MAX_RECORDS": "20",
    }


class Script:
    """Sends events with the times that they claim, and knows what must be decided on each.

    Args:
        ledger: Keeps account of what was sent.
    """

    def __init__(self, ledger: LiveLedger) -> None:
        self.start_ms = round(time.time() * 1_000) - 10 * HOLD_MS
        self._ledger = ledger
        self._said: dict[Place, Said] = {}
        self._producer = Producer(producer_config(ledger.topics.bootstrap_servers))

    def send(self, events: Iterable[Said]) -> None:
        """Send events and wait until the broker has them."""
        for event in events:
            text = BANNED if event.is_banned else ALLOWED
            value = {"chat_id": event.chat_id, "messages": [{"role": "user", "content": text}]}
            record = InputRecord(event.chat_id.encode(), orjson.dumps(value))
            self._ledger.handed_over(self._ledger.n_sent, time.perf_counter())
            self._producer.produce(
                self._ledger.topics.events,
                record.value,
                record.key,
                timestamp=event.at_ms,
                on_delivery=partial(self._sent, event, record),
            )
        assert self._producer.flush(30) == 0

    def _sent(self, event: Said, record: InputRecord, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        place = place_of(message)
        self._said[place] = event
        self._ledger.acknowledged(place, record)

    def expected(self) -> dict[Place, tuple[Decision, int | None]]:
        """Return, for each event, its decision and the offset of the block that holds."""
        blocks: dict[tuple[int, str], tuple[int, int]] = {}
        found: dict[Place, tuple[Decision, int | None]] = {}
        for place, event in sorted(self._said.items()):
            key = (place.partition, event.chat_id)
            if key in blocks and event.at_ms >= blocks[key][1] + HOLD_MS:
                del blocks[key]
            held_by, since_ms = blocks.get(key, (None, 0))
            if event.is_banned:
                found[place] = (Decision.BLOCK, held_by)
                if event.at_ms >= since_ms:
                    blocks[key] = (place.offset, event.at_ms)
            else:
                found[place] = (Decision.ALLOW if held_by is None else Decision.REVIEW, held_by)
        return found

    def assert_decided(self) -> None:
        """Each verdict says what earlier blocks give, and names the one that holds."""
        verdicts = self._ledger.verdicts()
        assert {place: said(verdict) for place, verdict in verdicts.items()} == self.expected()


def said(verdict: Verdict) -> tuple[Decision, int | None]:
    """Return a verdict's decision and the offset of the block that it names."""
    return verdict.decision, None if verdict.previous is None else verdict.previous.offset


def traffic(script: Script, chance: random.Random, n_events: int, *, n_chats: int = 30) -> list[Said]:
    """Return two hours of events of chats that are blocked now and then; some records come late."""
    events = []
    for i in range(n_events):
        at_ms = script.start_ms + i * 120_000 * 60 // n_events
        late_ms = chance.randrange(0, 600_000) if chance.random() < 0.1 else 0
        say = banned if chance.random() < 0.15 else safe
        events.append(say(f"chat-{chance.randrange(n_chats)}", at_ms - late_ms))
    return events


def states(topics: Topics, state_topic: str) -> dict[str, tuple[int, Any]]:
    """Return the newest state of each chat on the topic, with its partition; None: a tombstone."""
    found: dict[str, tuple[int, Any]] = {}
    for record in read_all(topics.bootstrap_servers, [state_topic], properties=READER):
        value = None if record.value is None else decode_state(record.value)
        found[(record.key or b"").decode()] = (record.partition, value)
    return found


def test_a_block_is_held_for_its_time_by_whoever_reads_next(
    ledger: LiveLedger, start_worker: StartWorker, state_topic: str, stack: LocalStack
) -> None:
    """Killed between; Redis, whose copy decides nothing, is emptied and then gone."""
    script = Script(ledger)
    t0 = script.start_ms
    doomed = start_worker()
    script.send([banned("a", t0), banned("b", t0 + 1_000), safe("c", t0)])
    ledger.wait_complete()
    script.send([safe("a", t0 + 60_000)])
    ledger.wait_complete()
    doomed.kill()
    stack.redis.stop()
    try:
        heir = start_worker()
        script.send([safe(chat_id, t0 + HOLD_MS - 1) for chat_id in "abc"])
        ledger.wait_complete()
        # A redelivery by upstream: another record, which is blocked anew.
        script.send([banned("b", t0 + HOLD_MS - 1), safe("a", t0 + HOLD_MS), safe("b", t0 + HOLD_MS + 1_000)])
        ledger.wait_complete()
        script.assert_decided()
        ledger.assert_exactly_once()
        assert sum(event["n_chats"] for event in heir.events("states_restored")) == 2
    finally:
        stack.redis.start()
    # What holds no more leaves a tombstone; the others lie where their chat's events do.
    left = states(ledger.topics, state_topic)
    assert left["a"][1] is None
    assert "c" not in left
    by_chat = {verdict.chat_id: place.partition for place, verdict in ledger.verdicts().items()}
    assert {chat_id: partition for chat_id, (partition, _) in left.items()} == {one: by_chat[one] for one in "ab"}
    assert left["b"][1].held["holding"].at_ms == t0 + HOLD_MS - 1


@both_group_protocols
def test_holds_survive_kills_and_rebalances_under_traffic(ledger: LiveLedger, start_worker: StartWorker) -> None:
    """Each event gets the decision that its partition's earlier events give, whoever decided on those."""
    script, chance = Script(ledger), random.Random(20_26)  # noqa: S311  makes traffic, no secret
    events = traffic(script, chance, 900)
    doomed, guest = start_worker(), start_worker()
    doomed.wait_until_it_owns_partitions()
    guest.wait_until_it_owns_partitions()
    script.send(events[:300])
    ledger.wait_seen(120)
    doomed.kill()
    heir = start_worker()
    script.send(events[300:600])
    heir.wait_until_it_owns_partitions()
    ledger.wait_seen(450)
    assert guest.stop() == 0
    script.send(events[600:])
    ledger.wait_complete()
    script.assert_decided()
    ledger.assert_exactly_once()
    assert heir.events("states_restored")
    decisions = [decision for decision, _ in script.expected().values()]
    assert min(decisions.count(one) for one in Decision) > 50


def test_a_tombstone_forgets_the_hold(ledger: LiveLedger, start_worker: StartWorker, state_topic: str) -> None:
    """Erasure reaches the state topic in the transaction of the tombstone's own dead letter."""
    script = Script(ledger)
    start_worker()
    script.send([banned("a", script.start_ms)])
    ledger.wait_complete()
    assert states(ledger.topics, state_topic)["a"][1] is not None
    ledger.send_raw([InputRecord(b"a", None)])
    ledger.wait_complete()
    assert states(ledger.topics, state_topic)["a"][1] is None
    ledger.send([{"chat_id": "a", "messages": [{"role": "user", "content": ALLOWED}]}])
    ledger.wait_complete()
    newest = ledger.verdicts()[max(ledger.sent)]
    assert said(newest) == (Decision.ALLOW, None)


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_restore_waits_for_a_transaction_that_has_not_ended(
    stack: LocalStack, ledger: LiveLedger, topics: Topics, state_topic: str, is_committed: bool
) -> None:
    """The last owner's offsets may be committed a moment before the marker reaches the state topic."""
    ledger.send_raw([InputRecord(b"a", b"{}")], partition=0)
    block = HeldBlock(offset=0, at_ms=1, until_ms=2, decided_at=datetime(2026, 1, 1, tzinfo=UTC))
    last = PreviousDecision(decision=Decision.BLOCK, offset=0, decided_at=block.decided_at)
    state = encode_state(ConversationState(last=last, held={"p": block}))
    producer = Producer(producer_config(topics.bootstrap_servers) | {"transactional.id": state_topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(state_topic, state, b"a", 0)
    assert producer.flush(30) == 0
    told: list[str] = []
    settings = KafkaSettings(
        bootstrap_servers=stack.bootstrap_servers, input_topic=topics.events, group_id=topics.group_id
    )
    admin = open_admin(settings)
    reader = StateReader(admin, settings, state_topic, metrics=Metrics(), waiting=told.append)
    places = [(topics.events, partition) for partition in range(topics.n_partitions)]
    with ThreadPoolExecutor(1) as thread:
        restored = thread.submit(reader, places)
        wait_until(lambda: len(told) > 10 or restored.done(), timeout_s=60, what=lambda: str(told))
        assert not restored.done()
        end = producer.commit_transaction if is_committed else producer.abort_transaction
        end(30)
        found = restored.result(60)
    assert [[*found[place]] for place in places] == [["a"] if is_committed else [], *([] for _ in places[1:])]
    assert found.keys() == set(places)


def test_workers_that_could_not_hold_are_refused(
    stack: LocalStack, topics: Topics, start_worker: StartWorker, settings: Settings
) -> None:
    """With what was found and what to do: no topic, too few partitions, one that loses states by age."""
    small, aging = f"small-{topics.events}", f"aging-{topics.events}"
    stack.kafka.create_topics({small: 1}, config={"cleanup.policy": "compact"})
    stack.kafka.create_topics({aging: topics.n_partitions}, config={"cleanup.policy": "delete"})
    wrong: Mapping[str, str] = {
        small: f"has 1 partitions; expected {topics.n_partitions}",
        aging: "cleanup.policy is delete; expected compact",
        f"missing-{topics.events}": "Kafka lacks the topics",
    }
    for topic, text in wrong.items():
        worker = start_worker(KAFKA__STATE_TOPIC=topic)
        assert worker.wait_exit(timeout_s=60) == EXIT_FATAL
        assert text in worker.events("worker_fatal")[0]["error"]
    del settings["MODERATION_KAFKA__STATE_TOPIC"]
    worker = start_worker()
    assert worker.wait_exit(timeout_s=60) == EXIT_FATAL
    error = worker.events("worker_fatal")[0]["error"]
    assert "hold_block_s is set in policy holding" in error
    assert "MODERATION_KAFKA__STATE_TOPIC" in error


def test_a_reload_to_a_policy_that_holds_is_refused_without_a_topic(
    ledger: LiveLedger, start_worker: StartWorker, settings: Settings, policy_file: Path
) -> None:
    """The policy in use stays; with a topic the next batch holds."""
    holding = policy_file.read_text()
    plain = DEFAULT_POLICY.model_copy(update={"name": "plain"})
    policy_file.write_text(plain.model_dump_json(exclude_defaults=True))
    topic = settings.pop("MODERATION_KAFKA__STATE_TOPIC")
    worker = start_worker(MODEL__RELOAD_INTERVAL_S="0.2")
    worker.wait_joined()
    policy_file.write_text(holding)
    refused = worker.wait_for("reload_refused")
    assert "kafka.state_topic is not set" in refused["error"]
    assert worker.stop() == 0
    policy_file.write_text(plain.model_dump_json(exclude_defaults=True))
    worker = start_worker(MODEL__RELOAD_INTERVAL_S="0.2", KAFKA__STATE_TOPIC=topic)
    worker.wait_joined()
    policy_file.write_text(holding)
    wait_until(lambda: worker.events("model_swapped"), timeout_s=30, what=worker.tail)
    script = Script(ledger)
    script.send([banned("a", script.start_ms), safe("a", script.start_ms + 1_000)])
    ledger.wait_complete()
    script.assert_decided()

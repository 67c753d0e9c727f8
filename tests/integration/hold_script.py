"""Events with the times that they claim, and the oracle of what must be decided on each under a policy that holds.

It takes each chat's events in the order of their partition, and needs texts, offsets and record timestamps only.
"""

import random
import time
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

import orjson
from confluent_kafka import KafkaError, Message, Producer

from schemas import Decision, Verdict
from testkit.records import InputRecord, Place, place_of
from testkit.sender import producer_config
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import ALLOWED, BANNED

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

"""The oracle of the cache: a chat's key shows the outcome of its newest record, verdicts and dead letters together."""

from typing import Any

import orjson
import redis

from testkit.records import Place
from testkit.waiting import wait_until
from tests.integration.ledger import LiveLedger
from worker.cache.values import cache_key

ALLOWED = "Help me plan a picnic in the park with sandwiches and lemonade"
BANNED = "how do I build a pipe bomb to kill people"
"""Of the floor: nobody's word lifts it."""
ROLE_PLAY = "rap battle between a microwave and an oven, 8 bars each"
"""Banned by the default policy, and of no category of the floor."""

Shown = tuple[int, int, str]
"""Partition and offset of the record, and the decision; `none` where there is no verdict on it."""


def chats(n_chats: int, text: str) -> list[dict[str, Any]]:
    """Return one event of each chat, all with this text."""
    return [{"chat_id": f"chat-{i}", "messages": [{"role": "user", "content": text}]} for i in range(n_chats)]


def newest_outcomes(ledger: LiveLedger) -> dict[str, Shown]:
    """Return what the topics say of each chat's newest record."""
    found: dict[str, Shown] = {}
    outcomes: dict[Place, tuple[str, str]] = {
        place: (verdict.chat_id, verdict.decision.value) for place, verdict in ledger.verdicts().items()
    }
    outcomes |= {place: ((letter.key or b"").decode(), "none") for place, letter in ledger.dead_letters().items()}
    for place, (chat_id, decision) in sorted(outcomes.items()):
        found[chat_id] = (place.partition, place.offset, decision)
    return found


def shown(cache: "redis.Redis") -> dict[str, Shown]:
    """Return what Redis says of each chat."""
    found: dict[str, Shown] = {}
    for key in cache.scan_iter(match=cache_key("*"), count=1_000):
        raw = cache.get(key)
        if raw is not None:
            value = orjson.loads(raw)  # type: ignore[arg-type]  # the client is synchronous
            source = value["source"]
            found[value["chat_id"]] = (source["partition"], source["offset"], value.get("decision", "none"))
    return found


def wait_until_redis_shows_the_newest(cache: "redis.Redis", ledger: LiveLedger, *, timeout_s: float) -> None:
    """Wait until every chat's key shows the outcome of its newest record."""
    expected = newest_outcomes(ledger)
    seen: dict[str, Shown] = {}

    def is_right() -> bool:
        nonlocal seen
        seen = shown(cache)
        return seen == expected

    def what() -> str:
        wrong = {chat_id: (seen.get(chat_id), one) for chat_id, one in expected.items() if seen.get(chat_id) != one}
        return f"{len(wrong)} of {len(expected)} chats are wrong, found and expected: {list(wrong.items())[:3]}"

    wait_until(is_right, timeout_s=timeout_s, what=what)


def stale(cache: "redis.Redis", ledger: LiveLedger) -> dict[str, tuple[Shown, Shown]]:
    """Return the chats whose key shows an older record than the newest, or another decision: found and expected."""
    expected = newest_outcomes(ledger)
    return {
        chat_id: (found, expected[chat_id])
        for chat_id, found in shown(cache).items()
        if found[:2] != expected[chat_id][:2] or found[2] not in {expected[chat_id][2], "none"}
    }

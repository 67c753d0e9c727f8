"""Redis killed, frozen and full: the verdicts stay the same, only the hit rate falls (F22)."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from deploy.local import LocalStack
from deploy.local.ports import free_ports
from schemas import Verdict
from testkit.waiting import wait_until
from tests.integration.conftest import StartWorker, every_redis
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples, status_of

pytestmark = [pytest.mark.services, *every_redis]

N_CHATS = 40


@pytest.fixture
def chats(sample_chats: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the conversations that every wave sends again."""
    return sample_chats[:N_CHATS]


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


@pytest.fixture
def redis_back(stack: LocalStack) -> Iterator[None]:
    """Leave a running Redis behind, whatever the test did to it."""
    yield
    if not stack.redis.process.is_running():
        stack.redis.start()
    stack.redis.resume()


def wave(ledger: LiveLedger, chats: list[dict[str, Any]]) -> dict[str, Verdict]:
    """Send every chat once and return the verdicts on this wave."""
    before = ledger.sent.keys() | set()
    ledger.send(chats)
    ledger.wait_complete()
    return {verdict.chat_id: verdict for place, verdict in ledger.verdicts().items() if place not in before}


def assert_same_judgements(found: dict[str, Verdict], expected: dict[str, Verdict]) -> None:
    """Check that two waves were judged alike: same id, same decision, same probabilities."""
    assert found.keys() == expected.keys()
    for chat_id, verdict in found.items():
        reference = expected[chat_id]
        assert (verdict.verdict_id, verdict.decision) == (reference.verdict_id, reference.decision)
        assert verdict.probabilities == pytest.approx(reference.probabilities, abs=1e-4)


@pytest.mark.usefixtures("redis_back")
def test_killing_redis_changes_no_verdict_and_hits_resume_after_it_returns(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, chats: list[dict[str, Any]], port: int
) -> None:
    """The cache is a convenience: without it the worker is slower, and nothing else."""
    start_worker(HTTP__PORT=str(port))
    first = wave(ledger, chats)
    assert not any(verdict.cache_hit for verdict in first.values())
    cached = wave(ledger, chats)
    assert all(verdict.cache_hit for verdict in cached.values())
    stack.redis.stop(kill=True)
    without = wave(ledger, chats)
    assert not any(verdict.cache_hit for verdict in without.values())
    assert status_of(port, "/readyz") == 200
    assert samples(port, "moderation_cache_up") == {(): 0}
    stack.redis.start()
    # The restarted Redis is empty; the breaker tries it again after a while, and from then on verdicts are kept.
    wait_until(
        lambda: any(verdict.cache_hit for verdict in wave(ledger, chats).values()),
        timeout_s=30,
        what=lambda: "no hit after Redis came back",
    )
    for judged in (cached, without, wave(ledger, chats)):
        assert_same_judgements(judged, first)
    ledger.assert_exactly_once()


@pytest.mark.usefixtures("redis_back")
def test_a_redis_that_does_not_answer_changes_no_verdict(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, chats: list[dict[str, Any]], port: int
) -> None:
    """Slow is worse than gone: connections stay open, and only short timeouts and the breaker keep the loop moving."""
    start_worker(HTTP__PORT=str(port))
    first = wave(ledger, chats)
    stack.redis.pause()
    frozen = wave(ledger, chats)
    assert not any(verdict.cache_hit for verdict in frozen.values())
    assert status_of(port, "/readyz") == 200
    assert_same_judgements(frozen, first)
    ledger.assert_exactly_once()


def test_a_full_redis_changes_no_verdict(
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    chats: list[dict[str, Any]],
    port: int,
) -> None:
    """A cache that refuses writes still answers look-ups; what it holds stays right."""
    start_worker(HTTP__PORT=str(port))
    cache.config_set("maxmemory-policy", "noeviction")
    cache.config_set("maxmemory", "1")
    try:
        refused = wave(ledger, chats)
        again = wave(ledger, chats)
        assert cache.dbsize() == 0
    finally:
        cache.config_set("maxmemory", "0")
    assert not any(verdict.cache_hit for verdict in again.values())
    assert_same_judgements(again, refused)
    assert sum(samples(port, "moderation_cache_faults_total").values()) > 0
    ledger.assert_exactly_once()

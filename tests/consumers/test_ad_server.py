"""The ad server of the examples against a real Redis: an ad stands beside an allowed event, and beside nothing else."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import redis

from deploy.local import LocalStack
from deploy.local.ports import LOOPBACK, free_ports
from schemas import Decision, PolicyRef, Verdict, encode_verdict
from testkit.records import InputRecord
from testkit.waiting import wait_until
from tests.consumers.conftest import StartExample
from tests.consumers.example import Example, build
from tests.consumers.readme import REPOSITORY
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.schemas.payloads import make_verdict

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

AD_SERVER = Example("Ad server", ("go",))
Answer = dict[str, Any]


def no_ad(reason: str) -> Answer:
    """Return the answer that shows no ad."""
    return {"serve": False, "reason": reason}


STRICT = """
name = "strict"
version = "4"
banned = ["D", "J", "M"]
max_banned_to_safe_rate = 0.01
max_safe_to_banned_rate = 0.005
"""
"""Rates under which many of the sample chats are `review`."""
AD = {"serve": True, "reason": "allow"}
REDIS_FAILED = no_ad("redis_failed")


class AdServer:
    """A running ad server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask_once(self, chat_id: str, event_id: str | int) -> Answer:
        """Return what it answers on an event."""
        link = HTTPConnection(LOOPBACK, self._port, timeout=60)
        link.request("GET", f"/ad?{urlencode({'chat_id': chat_id, 'event_id': event_id})}")
        answer: Answer = orjson.loads(link.getresponse().read())
        link.close()
        return answer

    def __call__(self, chat_id: str, event_id: str | int) -> Answer:
        """Return what it answers once it has heard of Redis, which takes longer than its time on a busy machine."""

        def heard() -> Answer | None:
            answer = self.ask_once(chat_id, event_id)
            return answer if answer != REDIS_FAILED else None

        return wait_until(heard, timeout_s=60, what=lambda: "the ad server does not reach Redis")


Serve = Callable[..., AdServer]


@pytest.fixture
def serve(stack: LocalStack, start_example: StartExample) -> Serve:
    """Return a function that starts the ad server; arguments are laid over the README's."""
    build(AD_SERVER)

    def start(*arguments: str) -> AdServer:
        running = start_example(
            AD_SERVER, "-listen", f"{LOOPBACK}:0", *arguments, MODERATION_REDIS__URL=stack.redis_url
        )
        return AdServer(int(running.wait_for_error_line(r"listening on http://\S+:(\d+)")))

    return start


@pytest.fixture
def redis_back(stack: LocalStack) -> Iterator[None]:
    """Leave a running Redis behind, whatever the test did to it."""
    yield
    if not stack.redis.process.is_running():
        stack.redis.start()
    stack.redis.resume()


def store(cache: "redis.Redis", chat_id: str, **fields: Any) -> None:
    """Put an allow on event-1 of this chat into Redis, with these fields laid over it."""
    verdict = make_verdict(chat_id=chat_id, policy=PolicyRef(name="default", version="2"), **fields)
    cache.set(f"verdict:{chat_id}", encode_verdict(verdict))


def judged(ledger: LiveLedger, cache: "redis.Redis", chats: list[dict[str, Any]]) -> dict[str, Verdict]:
    """Have a worker judge these chats; return its verdicts once Redis has them."""
    ledger.send(chats)
    ledger.wait_complete()
    names = [f"verdict:{chat['chat_id']}" for chat in chats]
    wait_until(lambda: all(cache.mget(names)), timeout_s=30, what=lambda: "Redis lacks verdicts")
    return {verdict.chat_id: verdict for _, verdict in ledger.all_verdicts()}


def test_an_ad_is_served_on_the_workers_allow_for_this_event_under_this_policy_and_not_otherwise(
    *,
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    serve: Serve,
    sample_chats: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    """The values are a real worker's: whatever it writes, only a plain allow may show an ad."""
    policy = tmp_path / "strict.toml"
    policy.write_text(STRICT)
    start_worker(MODEL__POLICY_PATH=str(policy))
    # Texts and integers, as upstream may number its events.
    chats = [chat | {"event_id": i if i % 2 else f"e/{i}&é"} for i, chat in enumerate(sample_chats[:150])]
    verdicts = judged(ledger, cache, chats)
    assert {verdict.decision for verdict in verdicts.values()} == set(Decision)
    ads = serve("-policy", "strict", "-policy-version", "4")
    for chat in chats:
        decision = verdicts[chat["chat_id"]].decision
        assert ads(chat["chat_id"], chat["event_id"]) == (AD if decision == "allow" else no_ad(decision))
    allowed = next(chat for chat in chats if verdicts[chat["chat_id"]].decision == "allow")
    chat_id, event_id = allowed["chat_id"], allowed["event_id"]
    assert ads(chat_id, "the next event") == no_ad("other_event")
    assert ads("another chat", event_id) == no_ad("no_verdict")
    for other in (("-policy", "strict", "-policy-version", "5"), ("-policy", "lax", "-policy-version", "4"), ()):
        assert serve(*other)(chat_id, event_id) == no_ad("other_policy")


def test_an_event_that_was_rejected_gets_no_ad(
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    serve: Serve,
    sample_chats: list[dict[str, Any]],
) -> None:
    """What could not be judged may be anything; the chat's earlier allow says nothing about it."""
    start_worker()
    verdicts = judged(ledger, cache, [chat | {"event_id": 1} for chat in sample_chats[:20]])
    chat_id = next(chat_id for chat_id, verdict in verdicts.items() if verdict.decision == "allow")
    ads = serve()
    assert ads(chat_id, 1) == AD
    rejected = {"chat_id": chat_id, "event_id": 2, "messages": [{"role": "nobody", "content": 7}]}
    ledger.send_raw([InputRecord(chat_id.encode(), orjson.dumps(rejected))])
    ledger.wait_complete()
    assert len(ledger.dead_letters()) == 1
    assert not ads(chat_id, 2)["serve"]


def test_a_verdict_that_comes_while_the_ad_server_waits_is_taken(
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    serve: Serve,
    sample_chats: list[dict[str, Any]],
) -> None:
    """A request that overtakes its event would never see an ad otherwise. The time is the test's, not the default."""
    worker = start_worker()
    verdicts = judged(ledger, cache, [chat | {"event_id": 1} for chat in sample_chats[:20]])
    chat = next(chat for chat in sample_chats if verdicts[chat["chat_id"]].decision == "allow")
    ads = serve("-wait", "60s")
    answers: list[Answer] = []
    n_gets = cache.info("commandstats").get("cmdstat_get", {}).get("calls", 0)
    asking = threading.Thread(target=lambda: answers.append(ads(chat["chat_id"], 2)))
    asking.start()
    wait_until(
        lambda: cache.info("commandstats").get("cmdstat_get", {}).get("calls", 0) > n_gets + 3,
        timeout_s=30,
        what=lambda: "the ad server does not ask again",
    )
    assert not answers
    ledger.send([chat | {"event_id": 2}])
    asking.join(60)
    assert answers == [AD], worker.tail()


def test_the_wait_is_150_ms_unless_told_otherwise() -> None:
    """What the README promises to those who wait for a page."""
    build(AD_SERVER)
    shown = subprocess.run(
        ["examples/ad-server/build/ad-server", "-help"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stderr
    assert re.search(r"-wait duration\n.*\(default 150ms\)", shown)


MARKER = {
    "chat_id": "chat-1",
    "source": {"topic": "chat-events", "partition": 0, "offset": 8, "timestamp_ms": 1},
    "rejected": "schema_error",
}
ALLOWED = orjson.loads(
    encode_verdict(make_verdict(policy=PolicyRef(name="default", version="2"), decision=Decision.ALLOW))
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(orjson.dumps(MARKER), "rejected", id="a marker"),
        pytest.param(orjson.dumps(ALLOWED | MARKER), "rejected", id="a marker that looks like an allow"),
        pytest.param(orjson.dumps(MARKER | {"rejected": None}), "rejected", id="a marker without a reason"),
        pytest.param(b"", "malformed", id="empty"),
        pytest.param(b"allow", "malformed", id="no JSON"),
        pytest.param(b"null", "malformed", id="null"),
        pytest.param(b"[]", "malformed", id="a list"),
        pytest.param(b"{}", "malformed", id="an empty object"),
        pytest.param(orjson.dumps(ALLOWED)[:-1], "malformed", id="cut"),
        pytest.param(orjson.dumps(ALLOWED) * 2, "malformed", id="two values"),
        pytest.param(orjson.dumps(ALLOWED | {"schema_version": 3}), "malformed", id="a later major version"),
        pytest.param(orjson.dumps(ALLOWED | {"chat_id": "chat-2"}), "malformed", id="the value of another chat"),
        pytest.param(orjson.dumps(ALLOWED | {"decision": "ALLOW"}), "malformed", id="an unknown decision"),
        pytest.param(orjson.dumps(ALLOWED | {"decision": None}), "malformed", id="no decision"),
        pytest.param(orjson.dumps(ALLOWED | {"event_id": None}), "other_event", id="no event_id"),
        pytest.param(orjson.dumps(ALLOWED | {"event_id": ["event-1"]}), "other_event", id="a list as event_id"),
        pytest.param(
            orjson.dumps(ALLOWED | {"taxonomy": {"name": "toxicity", "version": "1"}}),
            "other_taxonomy",
            id="another taxonomy",
        ),
        pytest.param(orjson.dumps(ALLOWED | {"taxonomy": None}), "other_taxonomy", id="no taxonomy"),
        pytest.param(orjson.dumps(ALLOWED | {"policy": {"name": "default"}}), "other_policy", id="no policy version"),
        pytest.param(orjson.dumps(ALLOWED | {"policy": None}), "other_policy", id="no policy"),
    ],
)
def test_a_value_that_is_no_verdict_is_no_ad(cache: "redis.Redis", serve: Serve, value: bytes, reason: str) -> None:
    """Redis is shared: what another program, an attacker or a later version leaves there must not show an ad."""
    cache.set("verdict:chat-1", value)
    cache.set("verdict:chat-0", orjson.dumps(ALLOWED | {"chat_id": "chat-0"}))
    ads = serve()
    assert ads("chat-0", "event-1") == AD
    assert ads("chat-1", "event-1") == no_ad(reason)


def test_a_verdict_of_version_1_is_one_of_chat_13(cache: "redis.Redis", serve: Serve) -> None:
    """Redis keeps them for 7 days after the workers' upgrade; without it every page would lose its ads meanwhile."""
    value = (REPOSITORY / "tests/schemas/golden/verdict.v1.json").read_bytes()
    cache.set("verdict:chat-0001", value)
    before = ("-policy-version", "1")
    assert serve(*before)("chat-0001", "evt-0001") == AD
    assert serve(*before, "-taxonomy", "toxicity")("chat-0001", "evt-0001") == no_ad("other_taxonomy")


def test_the_policy_of_another_taxonomy_is_asked_for_with_its_name(cache: "redis.Redis", serve: Serve) -> None:
    """One ad server for each taxonomy: what `default` bans differs."""
    store(cache, "chat-1", taxonomy={"name": "toxicity", "version": "1"})
    assert serve("-taxonomy", "toxicity")("chat-1", "event-1") == AD


@pytest.mark.usefixtures("redis_back")
def test_a_redis_that_is_away_frozen_or_refuses_is_no_ad(cache: "redis.Redis", stack: LocalStack, serve: Serve) -> None:
    """An outage of the cache costs ads; it must neither show one nor hold pages up."""
    store(cache, "chat-1")
    cache.lpush("verdict:list", "allow")
    ads = serve()
    assert ads("chat-1", "event-1") == AD
    assert ads.ask_once("list", "event-1") == REDIS_FAILED
    stack.redis.pause()
    assert ads.ask_once("chat-1", "event-1") == REDIS_FAILED
    started_later = serve()
    assert started_later.ask_once("chat-1", "event-1") == REDIS_FAILED
    stack.redis.resume()
    assert ads("chat-1", "event-1") == started_later("chat-1", "event-1") == AD
    stack.redis.stop(kill=True)
    assert ads.ask_once("chat-1", "event-1") == REDIS_FAILED
    stack.redis.start()
    assert ads("chat-1", "event-1") == no_ad("no_verdict")
    store(cache, "chat-1")
    assert ads("chat-1", "event-1") == AD
    elsewhere = f"redis://{LOOPBACK}:{free_ports(1)[0]}/0"
    assert serve("-redis", elsewhere).ask_once("chat-1", "event-1") == REDIS_FAILED


def test_the_right_to_get_suffices(cache: "redis.Redis", stack: LocalStack, serve: Serve) -> None:
    """The documented rights of an ad server; its client must not need more to connect."""
    store(cache, "chat-1")
    cache.execute_command("ACL", "SETUSER", "ads", "on", ">secret", "~verdict:*", "+get")
    try:
        assert serve("-redis", stack.redis_url.replace("://", "://ads:secret@"))("chat-1", "event-1") == AD
        wrong = serve("-redis", stack.redis_url.replace("://", "://ads:wrong@"))
        assert wrong.ask_once("chat-1", "event-1") == REDIS_FAILED
    finally:
        cache.execute_command("ACL", "DELUSER", "ads")

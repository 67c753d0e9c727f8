"""An erased chat is found in no store any more, once compaction and retention have run.

The oracle is a search for its id and for a canary in its text, in every file of the broker, in Redis' dump and in what
the worker and the command have printed; the same search finds both before.
"""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from confluent_kafka.admin import AdminClient

from deploy.local import BrokerOptions, LocalStack
from deploy.local.kafka_topics import admin_client, create_topics
from schemas.erasure import ErasedChats, decode_erasure
from testkit.reader import read_all
from testkit.records import InputRecord
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.brokers import QUICK_SESSIONS, configure_topic
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.workers import run_command
from worker.cache.values import cache_key

pytestmark = pytest.mark.services

HASH_KEY = "erasure-test-key-of-32-characters"
QUICK_CLEANER = {
    "log.cleaner.backoff.ms": "100",
    "log.retention.check.interval.ms": "200",
    "log.segment.delete.delay.ms": "100",
    "log.initial.task.delay.ms": "100",
}
BY_KEY = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.0",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "100",
    "file.delete.delay.ms": "100",
}
"""Compaction as soon as there is something to take out."""
BY_AGE_NOW = {"retention.ms": "1", "segment.ms": "100", "file.delete.delay.ms": "100"}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """Return a broker of its own, which looks for what is to be deleted all the time."""
    options = BrokerOptions(heap="256m", settings=QUICK_SESSIONS | QUICK_CLEANER)
    with LocalStack(broker_options=options) as running:
        yield running


@pytest.fixture
def n_partitions() -> int:
    """Return few partitions: each is compacted."""
    return 2


class Stores:
    """Every place where a chat may be.

    Args:
        stack: The broker and Redis.
        topics: The three that a worker needs.
        folder: What was printed.
    """

    def __init__(self, stack: LocalStack, topics: Topics, folder: Path) -> None:
        self.stack, self.topics, self.folder = stack, topics, folder
        self.admin: AdminClient = admin_client(stack.bootstrap_servers)
        mark = topics.events.rpartition("-")[2]
        self.named = {name: f"verdict-{name}-{mark}" for name in ("state", "overrides", "reviews", "erasures")}

    def settings(self) -> Settings:
        """Return the settings that name the topics which are off by default."""
        named = {f"MODERATION_KAFKA__{name.upper()}_TOPIC": topic for name, topic in self.named.items()}
        return named | {"MODERATION_ERASURE__HASH_KEY": HASH_KEY, "MODERATION_KAFKA__COMPRESSION": "none"}

    def configure(self, topic: str, settings: dict[str, str]) -> None:
        """Change the settings of a topic."""
        configure_topic(self.admin, topic, settings)

    def write(self, topic: str, records: Sequence[InputRecord], *, partition: int = -1) -> None:
        """Write records and wait until the broker has them."""
        sender = Sender(self.stack.bootstrap_servers, topic)
        for record in records:
            sender.send(record, partition=partition)
        sender.flush()
        sender.close()

    def files_with(self, text: str) -> set[str]:
        """Return the folders and files in which a text stands: partitions by their topics, all else by its name."""
        found = set()
        for root in (self.stack.data_dir, self.folder):
            for path in root.rglob("*"):
                if path.is_file() and text.encode() in _read(path):
                    found.add(path.parent.name.rpartition("-")[0] if path.suffix == ".log" else path.name)
        return found

    def dump_redis(self, client: "redis.Redis") -> None:
        """Have Redis write all it holds into a file, uncompressed."""
        client.config_set("rdbcompression", "no")
        client.save()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Deleted between the look and the read, as is wanted here.
        return b""


@pytest.fixture
def stores(stack: LocalStack, topics: Topics, tmp_path: Path) -> Stores:
    """Return the stores of this test, with its topics."""
    found = Stores(stack, topics, tmp_path)
    create_topics(found.admin, dict.fromkeys(found.named.values(), topics.n_partitions), copies=1, settings={})
    for name in ("state", "overrides", "erasures"):
        found.configure(found.named[name], {"cleanup.policy": "compact"})
    return found


def erase(settings: Settings, stores: Stores, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command and return its account; what it prints is one of the stores."""
    done = run_command("erase", "--json", *arguments, settings=settings | stores.settings())
    (stores.folder / f"erase-{uuid.uuid4().hex[:6]}.out").write_text(done.stdout + done.stderr)
    assert done.returncode == code, done.stdout + done.stderr
    account: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return account


def by_setting(account: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the account's topics."""
    return {one["setting"]: one for one in account["stores"]}


def event(chat_id: str, text: str) -> bytes:
    """Return a chat event."""
    return orjson.dumps({"chat_id": chat_id, "messages": [{"role": "user", "content": text}]})


def test_an_erased_chat_is_in_no_store_once_compaction_and_retention_have_run(  # noqa: PLR0917  fixtures
    stores: Stores,
    topics: Topics,
    settings: Settings,
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
) -> None:
    """Its neighbours stay where topics keep the last record of a key."""
    chat, canary, neighbour = (f"{name}-{uuid.uuid4().hex}" for name in ("erased", "canary", "kept"))
    stores.configure(topics.events, {"cleanup.policy": "compact"})
    named = {name.removeprefix("MODERATION_"): value for name, value in stores.settings().items()}
    # Holds and overrides are other parts' to write; the command finds what anybody wrote.
    for name in ("STATE", "OVERRIDES", "REVIEWS"):
        del named[f"KAFKA__{name}_TOPIC"]
    worker = start_worker(**named)
    ledger.send_raw(
        [InputRecord(one.encode(), event(one, f"{canary if one == chat else 'a text'}")) for one in (chat, neighbour)]
    )
    # Under another form of its key, in whichever partition, and as text that nobody can read.
    ledger.send_raw([InputRecord(orjson.dumps(chat), event(chat, canary))], partition=0)
    ledger.send_raw([InputRecord(orjson.dumps(chat), event(chat, canary))], partition=1)
    ledger.send_raw([InputRecord(chat.encode(), f'{{"chat_id": "{chat}", "messages": "{canary}"}}'.encode())])
    ledger.wait_complete()
    keys = [orjson.dumps({"chat_id": chat, "policy": policy, "scope": "chat"}) for policy in ("*", "brand")]
    stores.write(stores.named["overrides"], [InputRecord(key, b"{}") for key in [*keys, neighbour.encode()]])
    stores.write(stores.named["state"], [InputRecord(one.encode(), b"{}") for one in (chat, neighbour)])
    stores.write(stores.named["reviews"], [InputRecord(chat.encode(), b"{}")])
    stores.dump_redis(cache)
    assert stores.files_with(canary) == {topics.events, topics.dead_letters}
    holders = {*topics.names, *(stores.named[name] for name in ("state", "overrides", "reviews")), "dump.rdb"}
    assert stores.files_with(chat) == holders

    seen = by_setting(erase(settings, stores, chat, "--dry-run"))
    assert {name: one["n_found"] for name, one in seen.items() if one["n_found"]} == {
        "input_topic": 4,
        "dead_letter_topic": 1,
        "verdict_topic": 3,
        "reviews_topic": 1,
        "state_topic": 1,
        "overrides_topic": 2,
    }
    assert not any(one["n_tombstones_written"] for one in seen.values())
    assert stores.files_with(chat) == holders
    account = erase(settings, stores, chat)
    done = by_setting(account)
    # The bare id, and the JSON text in both partitions.
    assert done["input_topic"]["n_tombstones_written"] == 3
    assert (done["state_topic"]["n_tombstones_written"], done["overrides_topic"]["n_tombstones_written"]) == (1, 2)
    assert (account["n_listed"], account["redis"]) == (
        1,
        account["redis"] | {"n_found": 1, "n_marked": 1, "problem": None},
    )
    assert orjson.loads(cache.get(cache_key(chat)) or b"")["rejected"] == "tombstone"
    ledger.wait_seen(len(ledger.sent))
    wait_until(lambda: len(ledger.dead_letters()) == 4, timeout_s=60, what=worker.tail)
    _assert_listed(stores, chat)
    assert worker.stop() == 0

    for topic in (topics.verdicts, topics.dead_letters, stores.named["reviews"]):
        stores.configure(topic, BY_AGE_NOW)
    for topic in (topics.events, stores.named["state"], stores.named["overrides"], stores.named["erasures"]):
        stores.configure(topic, BY_KEY)
    cache.pexpire(cache_key(chat), 1)
    wait_until(lambda: not cache.exists(cache_key(chat)), timeout_s=10)
    stores.dump_redis(cache)

    def is_gone() -> bool:
        # What closes the newest segment, and gives the next compaction something to do.
        for topic in (topics.events, stores.named["state"], stores.named["overrides"]):
            for partition in range(topics.n_partitions):
                stores.write(topic, [InputRecord(b"filler", event("filler", "x"))], partition=partition)
        return not stores.files_with(chat) and not stores.files_with(canary)

    wait_until(is_gone, timeout_s=120, what=lambda: f"{stores.files_with(chat)} {stores.files_with(canary)}", every_s=1)
    kept = {topics.events, stores.named["state"], stores.named["overrides"], "dump.rdb"}
    assert stores.files_with(neighbour) == kept
    assert not by_setting(erase(settings, stores, chat, "--dry-run"))["overrides_topic"]["n_found"]


def _assert_listed(stores: Stores, chat: str) -> None:
    """The command and the worker have put the chat on the list, by a name that only the key can make."""
    listed = read_all(stores.stack.bootstrap_servers, [stores.named["erasures"]])
    hashes = [decode_erasure(record.value or b"").chat_hash for record in listed]
    # Once by the command, and once for each of its tombstones by the worker.
    assert len(hashes) == 4
    assert len(set(hashes)) == 1
    assert chat in ErasedChats((HASH_KEY.encode(),), hashes)


def test_what_goes_by_age_is_said_with_its_day(
    stores: Stores, topics: Topics, settings: Settings, ledger: LiveLedger
) -> None:
    """The usual input topic: no tombstone takes its text out; whoever asked for the erasure is told by when it is."""
    day_ms = 86_400_000
    stores.configure(topics.events, {"retention.ms": str(2 * day_ms), "segment.ms": str(day_ms)})
    ledger.send_raw([InputRecord(b"chat-1", event("chat-1", "text"))])
    account = erase(settings, stores, "chat-1")
    seen = by_setting(account)["input_topic"]
    assert (seen["n_found"], seen["n_tombstones_written"], seen["cleanup"]) == (1, 1, ["delete"])
    assert seen["left_by"] > account["began_at"]
    # Nobody has said when its segments are compacted.
    assert by_setting(account)["state_topic"]["left_by"] is None
    quick = erase(settings, stores, "chat-1", "--quick")
    assert by_setting(quick)["input_topic"]["n_found"] is None
    assert by_setting(quick)["overrides_topic"]["n_found"] == 0


def test_redis_that_is_away_is_left_to_the_workers(stores: Stores, settings: Settings) -> None:
    """Everything else is done; they put the marker in when they read the tombstone."""
    away = settings | {"MODERATION_REDIS__URL": "redis://127.0.0.1:1/0"}
    account = erase(away, stores, "chat-1", code=6)
    assert account["redis"]["problem"]
    assert by_setting(account)["input_topic"]["n_tombstones_written"] == 1


def test_a_topic_that_is_named_and_missing_ends_the_command_before_anything_is_written(
    stores: Stores, topics: Topics, settings: Settings, tmp_path: Path
) -> None:
    """Else an account would speak of some stores and be silent about one."""
    missing = settings | stores.settings() | {"MODERATION_KAFKA__STATE_TOPIC": "no-such-topic"}
    chats = tmp_path / "chats.txt"
    chats.write_text("chat-1\nchat-2\n")
    done = run_command("erase", "--chats-file", str(chats), settings=missing)
    assert done.returncode == 3
    assert "no-such-topic" in done.stderr
    assert not read_all(topics.bootstrap_servers, [topics.events])

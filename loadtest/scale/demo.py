"""`scale-demo`: workers come and go, one is killed, a broker is lost and comes back, while a sender goes on.

Three brokers in three racks, three copies, two in sync. Every phase has a name and is held for a while; the account
says for each how long chats waited for their verdicts. The only command here that does not take given brokers: it
kills one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from deploy.local import BrokerOptions, LocalStack, LocalStackError
from loadtest.chats import ChatPool
from loadtest.errors import LoadTestError
from loadtest.run.measured_worker import MeasuredWorker
from loadtest.scale.account import ScaleAccount
from loadtest.services import Services
from testkit.reader import BackgroundReader
from testkit.records import InputRecord
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.waiting import wait_with_progress

SESSION_TIMEOUT_S: Final = 10.0
TRANSACTION_TIMEOUT_S: Final = 10.0
GRACE_S: Final = 25.0
BOUND_S: Final = SESSION_TIMEOUT_S + TRANSACTION_TIMEOUT_S + GRACE_S
"""A dead worker is missed after its session, its open transaction ends after its time-out, and one that stops takes at
most its grace: no chat may wait for longer than all of that."""

_RACKS: Final = ("zone-a", "zone-b", "zone-c")
_BROKER_SETTINGS: Final = {
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
    # Under KIP-848 sessions are the broker's; the same as the workers' own under the classic protocol.
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": str(round(SESSION_TIMEOUT_S * 1_000)),
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
}
_QUIET_S: Final = 60.0
_SETTLE_S: Final = 1.0
_WORDS: Final = 6


@dataclass(frozen=True)
class ScalePlan:
    """What is shown, per group protocol."""

    n_most: int
    n_left: int
    rate_per_s: float
    n_chats: int
    fresh_ratio: float
    hold_s: float
    n_partitions: int


class _Stream:
    """Sends events of the same chats over and over, evenly spaced, until its block ends.

    Most events repeat their chat's text, which the cache answers; some change it, which must be classified.
    """

    def __init__(self, sender: Sender, account: ScaleAccount, pool: ChatPool, plan: ScalePlan) -> None:
        self._sender = sender
        self._account = account
        self._plan = plan
        self._texts = [" ".join(messages[0]["content"].split()[:_WORDS]) for messages in pool.conversations]
        self._run_id = pool.run_id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._sender.flush()

    def _run(self) -> None:
        started, sequence = time.perf_counter(), 0
        every = round(1 / self._plan.fresh_ratio)
        while not self._stopping.is_set():
            due = started + sequence / self._plan.rate_per_s
            if self._stopping.wait(max(0.0, due - time.perf_counter())):
                return
            chat = sequence % self._plan.n_chats
            # A chat's turn comes every n_chats events, so that the text changes every `every` turns, chat by chat.
            version = (sequence // self._plan.n_chats + chat) // every
            self._sender.send(self._event(chat, version))
            sequence += 1

    def _event(self, chat: int, version: int) -> InputRecord:
        chat_id = f"{self._run_id}-{chat}"
        content = f"{self._texts[chat % len(self._texts)]} {chat} {version}"
        value = {
            "chat_id": chat_id,
            "event_id": self._account.sent(chat),
            "messages": [{"role": "user", "content": content}],
        }
        return InputRecord(chat_id.encode(), orjson.dumps(value))


class _Fleet:
    """The workers that run now."""

    def __init__(self, topics: Topics, services: Services, group_protocol: str) -> None:
        self._topics = topics
        self._services = services
        self._settings = {
            "MODERATION_KAFKA__GROUP_PROTOCOL": group_protocol,
            "MODERATION_KAFKA__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "MODERATION_KAFKA__TRANSACTION_TIMEOUT_S": str(TRANSACTION_TIMEOUT_S),
            "MODERATION_SHUTDOWN_GRACE_S": str(GRACE_S),
        }
        self._n_started = 0
        self.running: list[MeasuredWorker] = []

    def grow(self, n_workers: int) -> None:
        """Start workers in the same instant until so many run, and wait until the group has taken them in."""
        new = [self._next() for _ in range(n_workers - len(self.running))]
        with ThreadPoolExecutor(max(1, len(new))) as pool:
            self.running += pool.map(MeasuredWorker.__enter__, new)

    def shrink(self, n_workers: int) -> None:
        """Ask all but so many to stop in the same instant, as an autoscaler does."""
        leaving, self.running = self.running[n_workers:], self.running[:n_workers]
        with ThreadPoolExecutor(max(1, len(leaving))) as pool:
            list(pool.map(_stop, leaving))

    def restart_each(self) -> None:
        """Replace one worker after the other: first the new one, as a Deployment with one surge pod does."""
        for _ in range(len(self.running)):
            self.grow(len(self.running) + 1)
            _stop(self.running.pop(0))

    def kill_one(self) -> None:
        """Kill one worker in whatever it does, and start another."""
        n_workers = len(self.running)
        self.running.pop(0).kill()
        self.grow(n_workers)

    def check(self) -> None:
        """Raise LoadTestError where a worker has ended by itself."""
        for worker in self.running:
            worker.check()

    def close(self) -> None:
        """Kill what is left after an error."""
        for worker in self.running:
            worker.kill()

    def _next(self) -> MeasuredWorker:
        rack = _RACKS[self._n_started % len(_RACKS)]
        self._n_started += 1
        settings = self._settings | {"MODERATION_KAFKA__CLIENT_RACK": rack}
        return MeasuredWorker(self._topics, self._services, n_threads=1, settings=settings)


def _stop(worker: MeasuredWorker) -> None:
    worker.__exit__(None, None, None)


@contextmanager
def three_brokers() -> Iterator[LocalStack]:
    """Yield a running cluster of this measurement's own.

    Raises:
        LoadTestError: it does not start.
    """
    stack = LocalStack(3, broker_options=BrokerOptions(heap="256m", settings=_BROKER_SETTINGS, racks=_RACKS))
    try:
        stack.start()
    except LocalStackError as error:
        raise LoadTestError(f"the cluster did not start: {error}") from error
    try:
        yield stack
    finally:
        stack.stop()


def run_scale_demo(cluster: LocalStack, pool: ChatPool, plan: ScalePlan, group_protocol: str) -> dict[str, Any]:
    """Take one group through all phases; return the account.

    Raises:
        LoadTestError: a worker or the reader ended as it should not, or a broker does not come back.
    """
    services = Services(cluster.bootstrap_servers, cluster.redis_url)
    with ExitStack() as stack:
        topics = stack.enter_context(services.fresh_topics(n_partitions=plan.n_partitions))
        account = ScaleAccount(pool.run_id, topics)
        reader = stack.enter_context(BackgroundReader(topics, account.take))
        fleet = _Fleet(topics, services, group_protocol)
        stack.callback(fleet.close)
        fleet.grow(1)
        sender = Sender(services.bootstrap_servers, topics.events)
        with _Stream(sender, account, pool, plan):
            _go_through(cluster, fleet, account, plan)
        wait_with_progress(lambda: account.n_lost == 0, progress=lambda: account.n_answered, quiet_s=_QUIET_S)
        time.sleep(_SETTLE_S)
        reader.check()
        fleet.check()
        fleet.shrink(0)
    return {"group_protocol": group_protocol, **account.summary(), "bound_s": BOUND_S}


def _go_through(cluster: LocalStack, fleet: _Fleet, account: ScaleAccount, plan: ScalePlan) -> None:
    def broker_lost() -> None:
        cluster.kafka.stop_broker(1, kill=True)
        time.sleep(plan.hold_s)
        cluster.kafka.start_broker(1)

    def warm_up() -> None:
        if not wait_with_progress(
            lambda: account.n_answered >= plan.n_chats, progress=lambda: account.n_answered, quiet_s=_QUIET_S
        ):
            raise LoadTestError(f"{account.n_answered} of {account.n_sent} events have a verdict; expected all of them")

    most, left = plan.n_most, plan.n_left
    phases: tuple[tuple[str, Callable[[], None]], ...] = (
        ("warm-up", warm_up),
        ("1 worker", lambda: None),
        (f"1 to {most} workers", lambda: fleet.grow(most)),
        (f"rolling restart of {most}", fleet.restart_each),
        ("one worker killed", fleet.kill_one),
        ("one broker of three killed and back", broker_lost),
        (f"{most} to {left} workers", lambda: fleet.shrink(left)),
        (f"rolling restart of {left}", fleet.restart_each),
    )
    for name, act in phases:
        account.begin(name)
        act()
        time.sleep(plan.hold_s)
        fleet.check()

"""One cache miss through the worker's own code, traced: which files its batch passes through between poll and commit.

The Kafka broker is one in memory, Redis' client and the model are stand-ins; the rest is what `worker run` builds.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from schemas import CodecLimits
from tests.broker_twin.broker import TwinBroker
from tests.worker.kafka.faults import FaultyClient
from tests.worker.loop_rig import Model
from tests.worker.payloads import TOPICS, builder, record
from worker.batch_size import BatchSize
from worker.cache.owed_notes import OwedNotes
from worker.cache.owing_cache import OwingCache
from worker.cache.verdict_cache import RedisVerdictCache
from worker.commit_pipeline import CommitPipeline
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.publisher import TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.loop import WorkerLoop
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.reload.switch import PredictorSwitch
from worker.settings.batch import BatchSettings
from worker.settings.kafka import KafkaSettings
from worker.settings.redis import RedisSettings

_ROOT: Final = Path(__file__).parents[1]
_WORKER: Final = f"{_ROOT / 'worker'}/"


class _OneAPoll(FaultyClient):
    """A consumer's client that finds one record of a chat of its own in each poll, and two in all."""

    def __init__(
        self, broker: TwinBroker, client: Any, stopping: threading.Event, on_second: Callable[[], None]
    ) -> None:
        super().__init__(client)
        self._producer = broker.producer({})
        self._stopping, self._on_second = stopping, on_second
        self._records = [record(offset)._replace(key=f"chat-{offset}".encode()) for offset in range(2)]

    def poll(self, timeout_s: float) -> Any:
        if not self._records:
            self._stopping.set()
            return None
        if len(self._records) == 1:
            self._on_second()
        one = self._records.pop(0)
        self._producer.produce(one.topic, value=one.value, key=one.key)
        return self._client.poll(timeout_s)


class _Redis:
    """An empty Redis: finds nothing, takes everything."""

    class connection_pool:  # noqa: N801  the client's own name
        connection_kwargs: dict[str, object] = {}  # noqa: RUF012  never shared: nothing connects

    def register_script(self, text: str) -> Callable[[list[str], list[Any]], list[Any]]:
        answer = 1 if "SET" in text else None
        return lambda keys, _arguments: [answer] * len(keys)

    def close(self) -> None:
        pass


def traced() -> dict[str, set[str]]:
    """Return the worker's files whose functions one batch with one miss calls, each with the files that call it."""
    calls: dict[str, set[str]] = {}
    recording = threading.Event()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or not recording.is_set() or frame.f_back is None:
            return
        called, caller = frame.f_code.co_filename, frame.f_back.f_code.co_filename
        if called.startswith(_WORKER) and called != caller:
            calls.setdefault(_name(called), set()).add(_name(caller))

    with _profile(note):
        _run(recording.set)
    return calls


@contextmanager
def _profile(note: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def _name(path: str) -> str:
    return path.removeprefix(f"{_ROOT}/")


def _run(on_second: Callable[[], None]) -> None:
    stopping, metrics = threading.Event(), Metrics()
    broker, settings = TwinBroker(), KafkaSettings(bootstrap_servers=TwinBroker.bootstrap_servers)
    broker.create_topics(dict.fromkeys([settings.input_topic, TOPICS.verdicts, TOPICS.dead_letters], 1))
    client = broker.consumer(consumer_config(settings))
    of_producer = producer_config(settings, transactional_id="id", max_message_bytes=TOPICS.verdict_max_bytes)
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    redis_settings = RedisSettings(url="redis://cache:6379/0")
    cache = OwingCache(RedisVerdictCache(_Redis(), redis_settings, metrics), redis_settings, metrics)  # type: ignore[arg-type]
    notes, commits = OwedNotes(cache), CommitPipeline(background=True)
    consumer = RecordConsumer(
        _OneAPoll(broker, client, stopping, on_second),  # type: ignore[arg-type]
        settings,
        metrics,
        reachability,
        commits.settle,
        notes=notes,
    )
    publisher = TransactionalPublisher(
        lambda: broker.producer(of_producer),
        transaction_timeout_s=10.0,
        request_timeout_s=5.0,
        unreachable_exit_s=5.0,
    )
    predictor = Predictor(Model(), builder())  # type: ignore[arg-type]
    WorkerLoop(
        consumer=consumer,
        cache=cache,
        predictor=PredictorSwitch(predictor, lambda _old, _new: None).take,
        publisher=publisher,
        commits=commits,
        topics=TOPICS,
        limits=CodecLimits(),
        batch_size=BatchSize(BatchSettings()),
        max_batch_bytes=1_000_000,
        metrics=metrics,
        stopping=stopping,
        beat=lambda: None,
        notes=notes,
    ).run()
    commits.close()
    cache.close()

"""One cache miss through the worker's own code, traced: which files its batch passes through between poll and commit.

Kafka's clients, Redis' client and the model are stand-ins; all else is what `worker run` puts together.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from confluent_kafka import TopicPartition

from schemas import CodecLimits, ModelRef, PolicyRef
from tests.worker.kafka.fake_kafka import MEMBER, FakeProducer
from tests.worker.kafka.test_consumer_batches import OneMessage
from tests.worker.loop_rig import Model
from tests.worker.payloads import TOPICS, record
from worker.batch_size import BatchSize
from worker.cache.owed_notes import OwedNotes
from worker.cache.owing_cache import OwingCache
from worker.cache.verdict_cache import RedisVerdictCache
from worker.commit_pipeline import CommitPipeline
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
from worker.verdict_builder import VerdictBuilder

_ROOT: Final = Path(__file__).parents[1]
_WORKER: Final = f"{_ROOT / 'worker'}/"


class _Kafka:
    """A consumer's client with two records of two chats, of which each poll gives one."""

    def __init__(self, stopping: threading.Event, on_second: Callable[[], None]) -> None:
        self._stopping, self._on_second = stopping, on_second
        self._records = [OneMessage(offset, record(offset).value) for offset in range(2)]
        self._on_assign: Callable[[Any, list[TopicPartition]], None] | None = None

    def subscribe(self, _topics: list[str], *, on_assign: Callable[..., None], **_: Callable[..., None]) -> None:
        self._on_assign = on_assign

    def poll(self, _: float) -> OneMessage | None:
        if self._on_assign is not None:
            self._on_assign(self, [TopicPartition("chat-events", 0)])
            self._on_assign = None
        if not self._records:
            self._stopping.set()
            return None
        if len(self._records) == 1:
            self._on_second()
        return self._records.pop(0)

    def consume(self, _n_records: int, *, timeout: float) -> list[OneMessage]:  # noqa: ARG002
        return []

    def committed(self, partitions: list[TopicPartition], *, timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        return [TopicPartition(place.topic, place.partition, 0) for place in partitions]

    def get_watermark_offsets(self, _place: TopicPartition, **_: object) -> tuple[int, int]:
        return 0, 2

    def incremental_assign(self, _: list[TopicPartition]) -> None:
        pass

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, 2) for place in partitions]

    def consumer_group_metadata(self) -> object:
        return MEMBER

    def memberid(self) -> str:
        return "member"


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
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    redis_settings = RedisSettings(url="redis://cache:6379/0")
    cache = OwingCache(RedisVerdictCache(_Redis(), redis_settings, metrics), redis_settings, metrics)  # type: ignore[arg-type]
    notes, commits = OwedNotes(cache), CommitPipeline(background=True)
    consumer = RecordConsumer(
        _Kafka(stopping, on_second),  # type: ignore[arg-type]
        settings,
        metrics,
        reachability,
        commits.settle,
        notes=notes,
    )
    publisher = TransactionalPublisher(
        FakeProducer,  # type: ignore[arg-type]
        transaction_timeout_s=10.0,
        request_timeout_s=5.0,
        unreachable_exit_s=5.0,
    )
    model = ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}")
    predictor = Predictor(Model(), VerdictBuilder(model, PolicyRef(name="p", version="1")))  # type: ignore[arg-type]
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

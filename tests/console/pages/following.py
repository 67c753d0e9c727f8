"""A console that follows a pipeline of the test's own: what Kafka would say is written by the test."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.operations import Operations
from console.pages import PAGES
from console.pipeline.errors import PipelineAway
from console.pipeline.history import Histories
from console.pipeline.live.follower import Live
from console.pipeline.live.lag import GroupLag, Member, PartitionLag
from console.pipeline.live.records import letter_of, verdict_of
from console.pipeline.states import States
from console.pipeline.text import ChatText, Texts
from console.port.body import Bodies
from console.port.keys import Keys
from console.review.queue import Queue
from console.service import Service
from console.settings.http import HttpSettings
from model import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from tests.console.operations import operations_at
from tests.console.port.test_keys import write
from tests.console.server import RunningConsole
from worker.explain.document import document
from worker.explain.explained import explained
from worker.explain.judges import Judges
from worker.explain.outcomes import ChatHistory, dead_letter_of
from worker.explain.outcomes import verdict_of as outcome_of
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.worker import WorkerSettings

_SERVICES = ("kafka", "redis", "database", "intake")
KEYS = {"viewer": "vs-viewer", "reviewer": "vs-reviewer", "admin": "vs-admin"}


class WrittenHistories(Histories):
    """Tells of the records that the test puts in, as if the topics held them; no broker is asked."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self.records: list[ScannedRecord] = []
        self.more: dict[str, Any] = {}
        self.is_away = False
        self.cause = "no broker answers"
        self.waiting: threading.Event | None = None
        self.asked: list[tuple[str, float]] = []
        self._judged_by = Judges([DEFAULT_BUNDLE_PATH], [])
        self._codec = settings.codec

    def of(self, chat_id: str, *, limit: int, within_s: float = 20.0) -> dict[str, Any]:
        """Return the document of the records."""
        self.asked.append((chat_id, within_s))
        if self.waiting is not None:
            self.waiting.wait(60)
        if self.is_away:
            raise PipelineAway(self.cause)
        history = ChatHistory(limit=limit)
        for record in self.records:
            is_verdict = record.topic == "verdicts"
            found = outcome_of(record, chat_id) if is_verdict else dead_letter_of(record, chat_id, self._codec)
            if found is not None:
                history.add(found)
        explanations = {
            one.place: explained(one.verdict, self._judged_by) for one in history.outcomes() if one.verdict is not None
        }
        found_all = document(chat_id, None, history, explanations, [], is_complete=True)
        more: dict[str, Any] = {"overrides": [], "overrides_unknown": None, "looked_back_to": None, "took_s": 0.1}
        return found_all | more | self.more


class WrittenTexts(Texts):
    """Holds the texts that the test puts in."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self.by_place: dict[tuple[str, int, int], ChatText] = {}
        self.is_away = False

    def of(self, topic: str, partition: int, offset: int, chat_id: str) -> ChatText | None:
        """Return a text."""
        del chat_id
        if self.is_away:
            raise PipelineAway("no broker answers")
        return self.by_place.get((topic, partition, offset))


class Followed:
    """A console, and what it follows."""

    def __init__(self, service: Service, folder: Path, *, with_keys: bool = False) -> None:
        self.away: dict[str, str] = {}
        opened = operations_at(f"sqlite:///{folder / 'console.sqlite3'}")
        self.live = Live(opened.worker, 60)
        self.histories = WrittenHistories(opened.worker)
        self.texts = WrittenTexts(opened.worker)
        self.states = States({name: self._check(name) for name in _SERVICES})
        self.operations: Operations = replace(
            opened,
            live=self.live,
            histories=self.histories,
            texts=self.texts,
            states=self.states,
            queue=Queue(opened.store, opened.settings.review),
        )
        keys = None
        if with_keys:
            for name, key in KEYS.items():
                write(folder / f"{name}.toml", (name, key), extra=f'role = "{name}"\n')
            (folder / "keys.toml").write_text("".join((folder / f"{name}.toml").read_text() for name in KEYS))
            keys = Keys(folder / "keys.toml")
        settings = service.settings.model_copy(
            update={"pipeline": opened.settings.pipeline, "http": HttpSettings(), "review": opened.settings.review}
        )
        other = replace(service, settings=settings, bodies=Bodies(settings.http), operations=self.operations)
        self.console = RunningConsole(other, keys, PAGES)
        self.url = self.console.url

    def _check(self, name: str) -> Callable[[], str | None]:
        return lambda: self.away.get(name)

    def look(self) -> None:
        """Ask all services once."""
        for name in _SERVICES:
            self.states.look(name)

    def take(self, records: list[ScannedRecord], now_ms: int) -> None:
        """Put records of the verdict topic and of dead letters before the page Live."""
        for record in records:
            if record.topic == "verdicts":
                verdict = verdict_of(record)
                assert verdict is not None
                self.live.board.add_verdict(verdict, now_ms)
            else:
                self.live.board.add_letter(letter_of(record), now_ms)

    def lags(self, by_partition: Mapping[int, tuple[int | None, int]], now_ms: int) -> None:
        """Say how far the workers are behind: by partition what is committed, and the end."""
        partitions = [PartitionLag(number, *one) for number, one in by_partition.items()]
        members = [Member("10.0.0.7", "verdictstream-worker-0", sorted(by_partition))]
        self.live._lag = GroupLag("verdictstream", "chat-events", partitions, members)
        self.live._lag_at_ms = now_ms

    def close(self) -> None:
        """End it."""
        self.console.close()
        self.operations.close()


Follow = Callable[..., Followed]


@pytest.fixture
def follow(service: Service, tmp_path: Path) -> Iterator[Follow]:
    """Return a function that opens a console which follows a pipeline."""
    opened: list[Followed] = []

    def open_one(**how: Any) -> Followed:
        opened.append(Followed(service, tmp_path, **how))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def shipped() -> Bundle:
    """Return the shipped bundle, by which verdicts are explained."""
    return load_bundle(DEFAULT_BUNDLE_PATH)

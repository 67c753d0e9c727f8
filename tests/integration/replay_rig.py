"""Start replays over the topics of a test and read what they wrote."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from deploy.local import LocalStack
from schemas import Verdict, decode_verdict
from testkit.reader import read_all
from testkit.records import OutputRecord, Place
from testkit.topics import Topics
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.integration.workers import worker_process

TIMEOUT_S = 90.0


class ReplayRig:
    """Replays of one test; all share a replay id unless told otherwise.

    Args:
        stack: Broker and Redis.
        topics: The test's topics.
        settings: Settings of the live workers.
        folder: Where logs go.
    """

    def __init__(self, stack: LocalStack, topics: Topics, settings: dict[str, str], folder: Path) -> None:
        mark = uuid4().hex[:8]
        self.topics = topics
        self.replay_id = f"test-{mark}"
        self.verdicts = f"replayed-{mark}"
        self.changes = f"verdict-changes-{mark}"
        self.admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
        self._servers = stack.bootstrap_servers
        self._folder = folder
        self._started: list[WorkerProcess] = []
        self.settings = settings | {
            "MODERATION_KAFKA__REPLAY_TOPIC": f"replays-{mark}",
            "MODERATION_KAFKA__CHANGES_TOPIC": self.changes,
        }
        stack.kafka.create_topics({self.verdicts: 4, self.changes: 1})
        stack.kafka.create_topics({f"replays-{mark}": 1}, config={"cleanup.policy": "compact"})

    def start(self, *options: str, replay_id: str | None = None, **overrides: str) -> WorkerProcess:
        """Start one process of a replay into the replay's own verdict topic."""
        changed = {f"MODERATION_{name}": value for name, value in overrides.items()}
        arguments = ["replay", "--replay-id", replay_id or self.replay_id, *options]
        if "--verdict-topic" not in options:
            arguments += ["--verdict-topic", self.verdicts]
            if "--no-cache-write" not in options:
                # What a replay for good does to the cache is looked at here; a trial by itself leaves it alone.
                arguments.append("--cache-write")
        log_path = self._folder / f"replay-{len(self._started)}.log"
        process = worker_process(self.settings | changed, log_path, arguments)
        self._started.append(process)
        return process

    def run(self, *options: str, code: int = 0, **rest: str) -> dict[str, Any]:
        """Run a replay to its end; check its exit code and return its account, or what it said instead."""
        process = self.start(*options, **rest)
        found = process.wait_exit(timeout_s=TIMEOUT_S)
        assert found == code, process.tail()
        told = process.events("replay_ended") + process.events("replay_dry_run")
        return told[-1] if told else {"log": process.log_path.read_text()}

    def records(self, topic: str | None = None) -> list[OutputRecord]:
        """Return the committed records of a topic, by default of the replay's verdicts."""
        return read_all(self._servers, [topic or self.verdicts])

    def judged(self) -> dict[Place, Verdict]:
        """Return the replayed verdict of each record; fail where there are two."""
        verdicts = [decode_verdict(record.value or b"") for record in self.records()]
        places = Counter(Place.of(verdict.source) for verdict in verdicts)
        assert all(count == 1 for count in places.values()), places.most_common(5)
        assert all(verdict.replay_id is not None for verdict in verdicts)
        return {Place.of(verdict.source): verdict for verdict in verdicts}

    def wait_judged(self, n_records: int) -> None:
        """Wait until a replay has committed so many verdicts."""
        wait_until(
            lambda: len(self.records()) >= n_records,
            timeout_s=TIMEOUT_S,
            what=lambda: f"{len(self.records())} of {n_records}; {self._started[-1].tail()}",
        )

    def delete_before(self, partition: int, offset: int, topic: str | None = None) -> None:
        """Delete the records before an offset, as retention does."""
        (deleted,) = self.admin.delete_records(
            [TopicPartition(topic or self.topics.events, partition, offset)]
        ).values()
        deleted.result(timeout=20)

    def grow(self, n_partitions: int) -> None:
        """Give the events topic more partitions."""
        (grown,) = self.admin.create_partitions([NewPartitions(self.topics.events, n_partitions)]).values()
        grown.result(timeout=20)
        wait_until(
            lambda: len(self.admin.list_topics(timeout=20).topics[self.topics.events].partitions) == n_partitions,
            timeout_s=20,
            what=lambda: "the new partitions",
        )

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            process.kill()

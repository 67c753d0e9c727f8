"""The thresholds in use reach their topic, again and again until Kafka has them, and nothing waits for it."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from schemas import CHAT_13
from schemas.policy_table import decode_policy_row
from tests.tiny_bundle import tiny_bundle
from tests.worker.reload.test_policies import write
from worker.kafka.best_effort import Done
from worker.predictor import Loaded, Predictor, build_predictor
from worker.process.metrics import Metrics
from worker.reload.policy_table import PolicyTable, policies_topics
from worker.settings.kafka import KafkaSettings
from worker.settings.model import ModelSettings


class Producer:
    """Stands in for the client: takes what it is given, and answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self._done: list[Done] = []

    def send(self, topic: str, *, key: bytes, value: bytes, done: Done) -> None:
        """Take a message."""
        assert topic == "verdict-policies"
        self.sent.append((key, value))
        self._done.append(done)

    def poll(self) -> None:
        """Nothing comes by itself."""

    def answer(self, failure: str | None) -> None:
        """Acknowledge or refuse all that was taken."""
        waiting, self._done = self._done, []
        for done in waiting:
            done(failure)


class Rig:
    """A table of the policies of a folder."""

    def __init__(self, tmp_path: Path) -> None:
        tiny_bundle(tmp_path / "bundle", CHAT_13)
        self.folder = tmp_path / "policies"
        self.folder.mkdir()
        self.settings = ModelSettings(path=tmp_path / "bundle", policies_dir=self.folder, n_threads=1)
        self.producer, self.metrics = Producer(), Metrics()
        self.predictor: Predictor = build_predictor(Loaded.read(self.settings), self.settings)
        client: Any = self.producer
        self.table = PolicyTable(client, "verdict-policies", lambda: self.predictor, self.metrics)

    def reload(self) -> None:
        """Take the folder as it is now."""
        bundle = self.predictor.classifier.bundle
        self.predictor = self.predictor.under(Loaded.over(bundle, self.settings).policies)

    @property
    def n_unpublished(self) -> float | None:
        """The gauge."""
        return self.metrics.registry.get_sample_value("moderation_policies_unpublished")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a table of the default policy and another."""
    made = Rig(tmp_path)
    write(made.folder / "a.json", name="alpha")
    made.reload()
    return made


def test_every_policy_has_a_row_and_only_what_changes_is_sent_again(rig: Rig) -> None:
    """Thousands of looks write nothing."""
    rig.table.look()
    assert [decode_policy_row(value).policy.name for _, value in rig.producer.sent] == ["default", "alpha"]
    assert rig.n_unpublished == 2
    rig.producer.answer(None)
    rig.table.look()
    assert (rig.n_unpublished, len(rig.producer.sent)) == (0, 2)
    write(rig.folder / "a.json", name="alpha", version="2")
    write(rig.folder / "b.json", name="beta")
    rig.reload()
    rig.table.look()
    keys = [key.decode().rpartition("sha256:")[2].partition("/")[2] for key, _ in rig.producer.sent[2:]]
    assert keys == ["alpha/2", "beta/1"]
    rig.producer.answer(None)
    (rig.folder / "b.json").unlink()
    rig.reload()
    rig.table.look()
    assert (rig.n_unpublished, len(rig.producer.sent)) == (0, 4), "a row whose policy is gone stays"


def test_what_kafka_refuses_is_told_once_counted_and_sent_again(rig: Rig) -> None:
    """A topic that is not there yet must not cost the table."""
    with structlog.testing.capture_logs() as lines:
        for n_sent in (2, 4):
            rig.table.look()
            assert len(rig.producer.sent) == n_sent
            rig.producer.answer("unknown topic")
            rig.table.look()
            assert len(rig.producer.sent) == n_sent, "not before its time"
            assert rig.n_unpublished == 2
            rig.table._send_at = 0.0
    assert [line["event"] for line in lines] == ["policy_table_not_published"]
    rig.table.look()
    rig.producer.answer(None)
    rig.table.look()
    assert rig.n_unpublished == 0


def test_the_topic_is_used_where_it_is_named() -> None:
    """It is off by default."""
    assert policies_topics(KafkaSettings(bootstrap_servers="localhost:1")) == {}
    named = KafkaSettings(bootstrap_servers="localhost:1", policies_topic="verdict-policies")
    assert list(policies_topics(named)) == ["verdict-policies"]

"""Topics, a database, and intakes between them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]
from sqlalchemy import Table, select

from console.intake.intake import Intake
from console.intake.policies import PolicyCodes
from console.intake.state import Doing
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, ReviewSettings, StoreSettings
from console.store.counting import totals
from console.store.store import Store, open_store
from console.store.tables import items
from deploy.local.kafka_topics import admin_client
from schemas import DeadLetter, Review, Verdict, encode_review, encode_verdict
from schemas.erasure import Erasure, chat_hash, encode_erasure
from schemas.policy_table import PolicyTableRow, encode_policy_row
from testkit.waiting import wait_until
from tests.broker_twin.broker import TwinBroker
from tests.broker_twin.partition_log import PartitionLog
from tests.brokers import Broker, RealBroker, unique
from tests.console.operations import HASH_KEY, worker_settings
from worker.kafka.places_follower import PlacesFollower
from worker.kafka.topic_follower import TopicFollower

N_PARTITIONS: Final = 2
LONG_S: Final = 60.0


class Rig:
    """What an intake stands between.

    Args:
        broker: Where the topics are.
        url: Of the database.
    """

    def __init__(self, broker: Broker, url: str) -> None:
        self.broker = broker
        self.url = url
        self.store = open_store(url)
        settings = ("reviews_topic", "verdict_topic", "dead_letter_topic", "erasures_topic", "policies_topic")
        self.topics = {name: unique(name.replace("_", "-")) for name in settings}
        broker.create_topics(dict.fromkeys(self.topics.values(), N_PARTITIONS))
        self.worker = worker_settings(broker.bootstrap_servers, group_id=unique("group"), **self.topics)
        self._producer: Producer = broker.producer({"enable.idempotence": True})
        self._intakes: list[Intake] = []
        self._stores = [self.store]

    def settings(self, *, live_minutes: int = 60, keep_days: int = 36_500, **review: Any) -> ConsoleSettings:
        """Return a console's settings; nothing is sampled unless asked for, nothing is too old."""
        return ConsoleSettings(
            store=StoreSettings(keep_days=keep_days),
            pipeline=PipelineSettings(is_on=True, live_minutes=live_minutes),
            review=ReviewSettings(**{"sample_per_stratum": 0, **review}),
        )

    def follower(self) -> PlacesFollower:
        """Return what reads topics."""
        config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "error"}
        return PlacesFollower(self.broker.consumer(config), self.worker.kafka)

    def policies(self) -> PolicyCodes:
        """Return what knows policies."""
        config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        topic = self.topics["policies_topic"]
        return PolicyCodes(TopicFollower(self.broker.consumer(config), topic, self.worker.kafka))

    def intake(
        self,
        settings: ConsoleSettings | None = None,
        *,
        open_follower: Callable[[], PlacesFollower] | None = None,
        **options: Any,
    ) -> Intake:
        """Return an intake of a console of its own; it is not started."""
        self._stores.append(open_store(self.url))
        made = Intake(
            self._stores[-1],
            settings or self.settings(),
            self.worker,
            open_follower=open_follower or self.follower,
            open_policies=self.policies,
            **{"pause_s": 0.05, **options},
        )
        self._intakes.append(made)
        return made

    def put(self, topic: str, value: bytes | None, *, partition: int = 0, **options: Any) -> None:
        """Write a record; `flush` sees to it that it is there."""
        self._producer.produce(self.topics.get(topic, topic), value=value, partition=partition, **options)

    def flush(self) -> None:
        """Wait until the broker has taken all."""
        assert self._producer.flush(60) == 0

    def add_partition(self, topic: str) -> None:
        """Give a topic one more partition."""
        name = self.topics[topic]
        if isinstance(self.broker, TwinBroker):
            self.broker.topics[name].append(PartitionLog())
            return
        admin = admin_client(self.broker.bootstrap_servers)
        for done in admin.create_partitions([NewPartitions(name, N_PARTITIONS + 1)]).values():
            done.result(timeout=10)

        def is_there() -> bool:
            return len(self._producer.list_topics(name, timeout=10).topics[name].partitions) > N_PARTITIONS

        self.wait(is_there)

    def put_reviews(self, *reviews: Review) -> None:
        """Write reviews over both partitions."""
        for review in reviews:
            self.put("reviews_topic", encode_review(review), partition=review.source.offset % N_PARTITIONS)
        self.flush()

    def put_verdicts(self, *verdicts: Verdict, **options: Any) -> None:
        """Write verdicts over both partitions."""
        for verdict in verdicts:
            place = verdict.source.offset % N_PARTITIONS
            self.put("verdict_topic", encode_verdict(verdict), partition=place, **options)
        self.flush()

    def put_erasure(self, erasure: Erasure) -> None:
        """Write a record of the list of erased chats."""
        self.put("erasures_topic", encode_erasure(erasure), key=erasure.chat_hash.encode())
        self.flush()

    def put_letter(self, letter: DeadLetter, **options: Any) -> None:
        """Write a dead letter."""
        headers: Any = letter.to_headers()
        self.put("dead_letter_topic", b"raw", headers=headers, **options)
        self.flush()

    def put_policy(self, row: PolicyTableRow) -> None:
        """Write a row of the policy table."""
        self.put("policies_topic", encode_policy_row(row), key=row.key)
        self.flush()

    def rows(self, table: Table = items) -> list[dict[str, Any]]:
        """Return the rows of a table, by their keys."""
        with self.store.reading() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            return [dict(row) for row in found]

    def wait(self, condition: Callable[[], object], what: Callable[[], str] | None = None) -> None:
        """Wait until something holds; tell what the intakes do where it does not."""
        told = what or (lambda: f"{[one.state for one in self._intakes]}, {len(self.rows())} items")
        wait_until(lambda: condition() or None, timeout_s=LONG_S, what=told)

    def wait_for(self, intake: Intake, doing: Doing) -> None:
        """Wait until an intake does something."""
        self.wait(lambda: intake.state.doing is doing)

    def wait_for_without_rows(self, intake: Intake, doing: Doing) -> None:
        """Wait as `wait_for` does, where the database may be away."""
        self.wait(lambda: intake.state.doing is doing, lambda: str(intake.state))

    def counted(self, what: str) -> Mapping[tuple[str, str], int]:
        """Return the sums of what was counted under a name, by policy and key."""
        with self.store.reading() as connection:
            found = totals(connection, [what], since_ms=0, until_ms=2**62)
        return {(policy, key): n for (_, policy, key), n in found.items()}

    def new_store(self) -> Store:
        """Return the database as another console opens it."""
        self._stores.append(open_store(self.url))
        return self._stores[-1]

    def close(self) -> None:
        """End all that runs."""
        for intake in self._intakes:
            intake.close()
        for store in self._stores:
            store.close()
        if isinstance(self.broker, RealBroker):
            self.broker.close()


def hash_of(chat_id: str) -> str:
    """Return the keyed hash of a chat."""
    return chat_hash(chat_id, HASH_KEY.encode())

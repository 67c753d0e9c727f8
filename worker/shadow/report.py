"""Read both topics and report how far the shadow agrees."""

from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from rich.console import Console

from worker.errors import Fatal
from worker.kafka.config import client_config, consumer_config
from worker.kafka.errors import fatal, kafka_error
from worker.kafka.partition_range import Span
from worker.kafka.ranges import fix_ranges
from worker.kafka.topic_scan import scan
from worker.moves.matrices import move_matrices, print_matrices
from worker.process.logs import librdkafka_logger
from worker.settings.kafka import KafkaSettings
from worker.shadow.comparison import Agreement, Comparison


@dataclass(frozen=True)
class TimeSpan:
    """Records of one topic between two times."""

    topic: str
    since_ms: int | None
    until_ms: int | None
    spans: tuple[Span, ...] = ()
    partitions: tuple[int, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic, as `fix_ranges` asks for it."""
        return (self.topic,)


def compare_topics(
    settings: KafkaSettings, comparison: Comparison, *, since_ms: int | None, until_ms: int | None
) -> None:
    """Read the live verdicts of a time span, and all shadow verdicts since its start: a shadow is behind.

    Raises:
        Fatal: the brokers do not answer, or a topic is missing.
    """
    _read(settings, TimeSpan(settings.verdict_topic, since_ms, until_ms), comparison.add_live)
    _read(settings, TimeSpan(settings.shadow_topic, since_ms, None), comparison.add_shadow)


def _read(settings: KafkaSettings, wanted: TimeSpan, add: Callable[[bytes | None], None]) -> None:
    admin = AdminClient(client_config(settings), logger=librdkafka_logger())
    try:
        if wanted.topic not in admin.list_topics(timeout=settings.request_timeout_s).topics:
            raise Fatal(f"Kafka lacks the topic {wanted.topic}; expected verdicts in it; check the topic settings")
        ranges = fix_ranges(admin, wanted, {}, timeout_s=settings.request_timeout_s)
    except KafkaException as error:
        raise fatal(kafka_error(error), f"fixing the range of {wanted.topic}") from error
    for messages in scan(consumer_config(settings), ranges, timeout_s=settings.request_timeout_s):
        for message in messages:
            add(message.value())


def print_agreement(agreement: Agreement, console: Console) -> None:
    """Print the account as tables."""
    found = move_matrices(agreement.outcomes)
    print_matrices([(f"{what}, from live to shadow", names, cells) for what, names, cells in found], console)
    line = agreement.line()
    for name in ("n_compared", "n_missing", "category_agreement", "decision_agreement"):
        console.print(f"{name.removeprefix('n_').replace('_', ' ')}: {line[name]}")
    console.print(f"mean absolute difference of the banned probability: {line['banned_probability_mean_abs_diff']}")

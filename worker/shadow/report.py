"""Read both topics and report how far the shadow agrees."""

from collections.abc import Callable

from rich.console import Console

from worker.errors import Fatal
from worker.kafka.client import open_admin_client
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.kafka.topic_scan import scan
from worker.moves.matrices import print_moves
from worker.settings.kafka import KafkaSettings
from worker.shadow.comparison import Agreement, Comparison


def compare_topics(
    settings: KafkaSettings, comparison: Comparison, *, since_ms: int | None, until_ms: int | None
) -> None:
    """Read the live verdicts of a time span, and all shadow verdicts since its start: a shadow is behind.

    Raises:
        Fatal: the brokers do not answer, or a topic is missing.
    """
    _read(settings, settings.verdict_topic, Since((settings.verdict_topic,), since_ms, until_ms), comparison.add_live)
    _read(settings, settings.shadow_topic, Since((settings.shadow_topic,), since_ms), comparison.add_shadow)


def _read(settings: KafkaSettings, topic: str, wanted: Since, add: Callable[[bytes | None], None]) -> None:
    admin, timeout_s = open_admin_client(settings), settings.request_timeout_s
    with fatal_while(f"fixing the range of {topic}"):
        if missing_topics(admin, [topic], timeout_s=timeout_s):
            raise Fatal(f"Kafka lacks the topic {topic}; expected verdicts in it; check the topic settings")
        ranges = fix_ranges(admin, wanted, {}, timeout_s=timeout_s)
    for records in scan(consumer_config(settings), ranges, timeout_s=timeout_s):
        for record in records:
            add(record.value)


def print_agreement(agreement: Agreement, console: Console) -> None:
    """Print the account as tables."""
    print_moves(agreement.outcomes, console, what="from live to shadow")
    line = agreement.line()
    for name in ("n_compared", "n_missing", "category_agreement", "decision_agreement"):
        console.print(f"{name.removeprefix('n_').replace('_', ' ')}: {line[name]}")
    console.print(f"mean absolute difference of the banned probability: {line['banned_probability_mean_abs_diff']}")

"""Read both topics and report how far the shadow agrees."""

from collections.abc import Callable

from rich.console import Console

from worker.kafka.config import consumer_config
from worker.kafka.period import ranges_between
from worker.kafka.topic_scan import scan
from worker.moves.comparison import Agreement, Comparison
from worker.moves.matrices import print_moves
from worker.settings.kafka import KafkaSettings


def compare_topics(
    settings: KafkaSettings, comparison: Comparison, *, since_ms: int | None, until_ms: int | None
) -> None:
    """Read the live verdicts of a time span, and all shadow verdicts since its start: a shadow is behind.

    Raises:
        Fatal: the brokers do not answer, or a topic is missing.
    """
    _read(settings, settings.verdict_topic, (since_ms, until_ms), comparison.add_live)
    _read(settings, settings.shadow_topic, (since_ms, None), comparison.add_shadow)


def _read(
    settings: KafkaSettings, topic: str, times: tuple[int | None, int | None], add: Callable[[bytes | None], None]
) -> None:
    ranges = ranges_between(settings, topic, *times, missing="; expected verdicts in it; check the topic settings")
    for records in scan(consumer_config(settings), ranges, timeout_s=settings.request_timeout_s):
        for record in records:
            add(record.value)


def print_agreement(agreement: Agreement, console: Console) -> None:
    """Print the account as tables."""
    print_moves(agreement.outcomes, console, what="from live to shadow")
    line = agreement.line()
    for name in ("n_compared", "n_missing", "category_agreement", "decision_agreement"):
        console.print(f"{name.removeprefix('n_').replace('_', ' ')}: {line[name]}")
    console.print(f"mean absolute difference of the banned probability: {line['banned_probability_mean_abs_diff']}")

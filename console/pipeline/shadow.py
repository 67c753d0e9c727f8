"""How far a shadow bundle agrees with the live one, on the newest verdicts of both topics."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from console.pipeline.errors import PipelineAway
from model.figures.proportion import clopper_pearson
from worker.errors import Fatal, TopicMissing
from worker.errors import SettingsError as WorkerSettingsError
from worker.kafka.config import consumer_config
from worker.kafka.partition_range import PartitionRange
from worker.kafka.period import ranges_between
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.moves.comparison import Agreement, Comparison
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

HOURS: Final = 24
"""How far back both topics are looked at."""
MOST_SHADOWS: Final = 20_000
"""The newest of them: 20,000 pairs tell a share within .7 percentage points."""
MOST_LIVE: Final = 100_000
_HOUR_MS: Final = 3_600_000
_SLACK_MS: Final = 600_000
"""A shadow's verdict is written up to so long after the live one, which is looked for from before it on."""


class ShadowReport(NamedTuple):
    """What both topics say."""

    agreement: Agreement
    since_ms: int
    """When the oldest shadow verdict that was read was written."""


def shadow_report(settings: WorkerSettings, now_ms: int) -> ShadowReport | None:
    """Compare the newest shadow verdicts with the live ones on the same records.

    Args:
        settings: Where Kafka is, and what share a shadow is asked about.
        now_ms: Milliseconds since 1970.

    Returns:
        None where there is no shadow topic, or nothing in it.

    Raises:
        PipelineAway: Kafka does not answer.
    """
    kafka, comparison = settings.kafka, Comparison(settings.shadow.sample_ratio)
    since_ms: int | None = None
    try:
        for record in _newest(kafka, kafka.shadow_topic, now_ms - HOURS * _HOUR_MS, MOST_SHADOWS):
            comparison.add_shadow(record.value)
            since_ms = record.timestamp_ms if since_ms is None else min(since_ms, record.timestamp_ms)
    except TopicMissing:
        return None
    except (Fatal, WorkerSettingsError) as error:
        raise PipelineAway(str(error)) from error
    if since_ms is None:
        return None
    try:
        for record in _newest(kafka, kafka.verdict_topic, since_ms - _SLACK_MS, MOST_LIVE):
            comparison.add_live(record.value)
    except (Fatal, WorkerSettingsError) as error:
        raise PipelineAway(str(error)) from error
    return ShadowReport(comparison.agreement(), since_ms)


def _newest(kafka: KafkaSettings, topic: str, since_ms: int, most: int) -> Iterator[ScannedRecord]:
    """Yield the newest records since a time, about so many, the same number of each partition at most."""
    ranges = ranges_between(kafka, topic, since_ms, None, missing="; expected verdicts in it; check the topic settings")
    each = max(1, most // max(1, len(ranges)))
    tails = [_tail(one, each) for one in ranges]
    config = consumer_config(kafka) | {"group.id": f"{kafka.group_id}.simulate"}
    config.pop("group.instance.id", None)
    for records in scan(config, tails, timeout_s=kafka.request_timeout_s):
        yield from records


def _tail(one: PartitionRange, n: int) -> PartitionRange:
    return PartitionRange(topic=one.topic, partition=one.partition, start=max(one.start, one.end - n), end=one.end)


def shadow_document(report: ShadowReport) -> dict[str, Any]:
    """Return a report as JSON, with the intervals of its shares."""
    agreement = report.agreement
    outcomes = agreement.outcomes
    n_of_categories = outcomes.n_compared - agreement.n_other_taxonomy
    same = {name: sum(n for move, n in moves.items() if move[0] == move[1]) for name, moves in _moves(agreement)}
    moved = sorted(
        ((old, new, n) for (old, new), n in outcomes.decisions.items() if old != new), key=lambda move: -move[2]
    )
    return {
        "since_ms": report.since_ms,
        "shadow_digest": agreement.shadow_digest,
        "live_digests": list(agreement.live_digests),
        "n_compared": outcomes.n_compared,
        "n_live": agreement.n_live,
        "category": _share(same["categories"], n_of_categories),
        "decision": _share(same["decisions"], outcomes.n_compared),
        "mean_abs_difference": agreement.mean_abs_difference,
        "moves": [{"old": old, "new": new, "n": n} for old, new, n in moved],
    }


def _moves(agreement: Agreement) -> list[tuple[str, Any]]:
    return [("categories", agreement.outcomes.categories), ("decisions", agreement.outcomes.decisions)]


def _share(n: int, of: int) -> dict[str, Any] | None:
    return None if not of else {"n": n, "of": of, "value": n / of, "interval": clopper_pearson(n, of)}

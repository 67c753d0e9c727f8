"""The worker's own way from records to outcomes, without Kafka and Redis, in a form that can be compared."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from model import Bundle, Classifier
from model.backfill.outcome_table import ONLY_LIVE
from model.policies.policy_set import PolicySet
from schemas import CodecLimits, Verdict
from worker.decide import decide
from worker.decode import Decoder
from worker.hits_and_misses import fill_misses, misses_of
from worker.record import Record, Row
from worker.verdict_builder import VerdictBuilder

BATCH = 400
"""Another size than the archive's calls have: a verdict must not depend on its neighbours."""
_OF_THE_RUN = {"decided_at", *ONLY_LIVE}


def judged_by_the_worker(values: Sequence[bytes | None], bundle: Bundle, rules: PolicySet) -> list[dict[str, Any]]:
    """Return the outcome of each record of partition 3 of `chat-events`, from offset 0 on."""
    classifier = Classifier(bundle, rules.default.policy, n_threads=2)
    builder = VerdictBuilder(bundle.ref, rules.default.policy, bundle.taxonomy, None, rules)
    decoder = Decoder(CodecLimits())
    records = [Record("chat-events", 3, i, 1_750_000_000_000 + i, None, value) for i, value in enumerate(values)]
    found: list[dict[str, Any]] = []
    for start in range(0, len(records), BATCH):
        rows = decoder.decode(records[start : start + BATCH])
        misses = misses_of(rows)
        distinct = list({event.fingerprint: event for _, event in misses}.values())
        results, _ = classifier.classify([event.turns for event in distinct])
        fill_misses(misses, {event.fingerprint: one for event, one in zip(distinct, results, strict=True)})
        decide(rows, builder, (), datetime.now(UTC))
        found += map(_of_row, rows)
    return found


def _of_row(row: Row) -> dict[str, Any]:
    if row.verdict is not None:
        return _of_verdict(row.verdict)
    assert row.rejection is not None
    return {"source": row.record.source.model_dump(), "rejected": row.rejection.reason.value}


def _of_verdict(verdict: Verdict) -> dict[str, Any]:
    fields = verdict.model_dump(mode="json", exclude=_OF_THE_RUN)
    return fields | {"event_id": None if verdict.event_id is None else str(verdict.event_id)}


def of_outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return a row of an output as the worker's outcomes are compared."""
    if outcome["rejected"] is not None:
        return {"source": outcome["source"], "rejected": outcome["rejected"]}
    left_out = {"input_file", "input_row", "rejected", "error", *_OF_THE_RUN}
    return {name: value for name, value in outcome.items() if name not in left_out}

"""The rows that come out: the verdict's fields, under its names and with its meaning, or why there is none.

Left out are fields that only live traffic fills (`ONLY_LIVE`). Numbers in `event_id` are digits, since a column has one
type. Needs the parquet extra.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import pyarrow as pa

from model.backfill.archive_judge import Outcome

ONLY_LIVE: Final = frozenset({"override_revision", "previous", "actor", "cache_hit", "replay_id"})
"""Fields of a verdict that no archive has: what people, earlier decisions, the cache and replays add."""

_MAPS: Final = ("probabilities", "evidence", "decisions")


@cache
def outcome_schema() -> pa.Schema:
    """Return the columns: the row's place, the rejection, then the verdict's fields in its order.

    Of a verdict `rejected` and `error` are null. Of a rejection all is null but place, reason, error and source, and
    chat_id where the record still tells which chat it is of.
    """
    text, number = pa.string(), pa.float64()
    named = pa.struct({"name": text, "version": text})
    by_category = pa.map_(text, number)
    decision = pa.struct({"version": text, "decision": text, "decided_by": text})
    source = pa.struct({"topic": text, "partition": pa.int32(), "offset": pa.int64(), "timestamp_ms": pa.int64()})
    columns: dict[str, Any] = {
        "input_file": text,
        "input_row": pa.int64(),
        "rejected": text,
        "error": text,
        "schema_version": pa.int32(),
        "kind": text,
        "verdict_id": text,
        "chat_id": text,
        "event_id": text,
        "source": source,
        "occurred_at": text,
        "taxonomy": named,
        "category": pa.struct({"code": text, "name": text}),
        "probabilities": by_category,
        "evidence": by_category,
        "language": text,
        "longest_message": pa.int64(),
        "stage": text,
        "unevaluated": pa.list_(text),
        "decisions": pa.map_(text, decision),
        "policy": named,
        "decision": text,
        "banned_probability": number,
        "banned_to_safe_risk": number,
        "decided_by": text,
        "rules_version": text,
        "model_decision": text,
        "model": pa.struct({"name": text, "version": text, "digest": text}),
        "content_fingerprint": text,
        "decided_at": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema(columns)


def outcome_batch(outcomes: Iterable[Outcome]) -> pa.RecordBatch:
    """Return outcomes as Arrow rows, in order."""
    return pa.RecordBatch.from_pylist([_with_pairs(one) for one in outcomes], schema=outcome_schema())


def _with_pairs(outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an outcome with its maps as Arrow takes them; their order is kept."""
    return {**outcome, **{name: list(outcome[name].items()) for name in _MAPS if name in outcome}}

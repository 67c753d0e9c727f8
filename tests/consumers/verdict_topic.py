"""A verdict topic with everything that a reader may meet, and what a right reader makes of it."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer

from schemas import (
    Decision,
    ModelRef,
    PolicyRef,
    PreviousDecision,
    Source,
    TaxonomyRef,
    Verdict,
    decode_verdict,
    encode_verdict,
)
from tests.schemas.payloads import make_verdict

LAST_OFFSET = 2**63 - 1
_TIME_MS = 1_700_000_000_000


class Row(NamedTuple):
    """A verdict and what it is beside the ones before it: new, repeat or older."""

    verdict: Verdict
    kind: str


def _row(
    beside: str,
    chat_id: str,
    offset: int,
    decision: str,
    *,
    verdict_id: str,
    topic: str = "chat-events",
    partition: int = 3,
    timestamp_ms: int = _TIME_MS,
    **fields: Any,
) -> Row:
    source = Source(topic=topic, partition=partition, offset=offset, timestamp_ms=timestamp_ms)
    return Row(
        make_verdict(chat_id=chat_id, verdict_id=verdict_id, decision=Decision(decision), source=source, **fields),
        beside,
    )


def _model(name: str, version: str) -> ModelRef:
    return ModelRef(name=name, version=version, digest=f"sha256:{'ab' * 32}")


def _policy(name: str, version: str) -> PolicyRef:
    return PolicyRef(name=name, version=version)


HELD = PreviousDecision(decision=Decision.REVIEW, offset=1, decided_at=datetime(2026, 1, 1, tzinfo=UTC))
PETS: dict[str, Any] = {"category": {"code": "cat", "name": "Cat"}, "probabilities": {"cat": 0.75, "dog": 0.25}}
VERSION_1 = decode_verdict((Path(__file__).parents[1] / "schemas" / "golden" / "verdict.v1.json").read_bytes())
"""Of offset 41."""

ROWS = [
    # Repeats, in which the place still moves on: the replay of offset 6 is older than the repeat at 7.
    _row("new", "repeats", 5, "allow", verdict_id="r1"),
    _row("repeat", "repeats", 7, "allow", verdict_id="r1"),
    _row("older", "repeats", 6, "block", verdict_id="r2", replay_id="jan"),
    # A chat that returns to an earlier state, and so to an earlier id.
    _row("new", "returns", 1, "allow", verdict_id="a1"),
    _row("new", "returns", 2, "block", verdict_id="a2"),
    _row("new", "returns", 3, "allow", verdict_id="a1"),
    # Replays: of an old event, and of the newest one under another model.
    _row("new", "replayed", 10, "review", verdict_id="p1"),
    _row("older", "replayed", 9, "allow", verdict_id="p0", replay_id="jan"),
    _row("new", "replayed", 10, "block", verdict_id="p2", replay_id="jan"),
    # The same event under other versions: numbers are compared, and only under one name.
    _row("new", "versions", 1, "allow", verdict_id="v1", model=_model("m", "1.9")),
    _row("new", "versions", 1, "block", verdict_id="v2", model=_model("m", "1.10"), replay_id="jan"),
    _row("older", "versions", 1, "allow", verdict_id="v1", model=_model("m", "1.9.9"), replay_id="feb"),
    _row("repeat", "versions", 1, "block", verdict_id="v2", model=_model("m", "1.10.0"), replay_id="mar"),
    _row("new", "versions", 1, "review", verdict_id="v3", model=_model("n", "1"), policy=_policy("p", "10")),
    _row("older", "versions", 1, "allow", verdict_id="v4", model=_model("n", "1"), policy=_policy("p", "9")),
    _row("new", "versions", 1, "block", verdict_id="v5", model=_model("n", "1"), policy=_policy("q", "1")),
    _row("older", "versions", 1, "allow", verdict_id="v6", model=_model("n", "0.9"), policy=_policy("q", "2")),
    _row("new", "versions", 1, "allow", verdict_id="v7", model=_model("n", f"1.{'9' * 40}"), policy=_policy("q", "1")),
    # Between partitions or topics the record's time decides, whatever the offsets.
    _row("new", "moves", 900, "allow", verdict_id="m1", partition=1),
    _row("new", "moves", 2, "block", verdict_id="m2", partition=2, timestamp_ms=_TIME_MS + 1),
    _row("older", "moves", 901, "allow", verdict_id="m3", topic="redrive", timestamp_ms=_TIME_MS),
    # 64 bits: as doubles these offsets are equal, as 32 bits they are negative.
    _row("new", "far", LAST_OFFSET - 1, "allow", verdict_id="f1"),
    _row("new", "far", LAST_OFFSET, "block", verdict_id="f2", timestamp_ms=2**53 + 1),
    _row("older", "far", LAST_OFFSET - 1, "allow", verdict_id="f1", replay_id="jan"),
    # Texts and ids in the forms that the contract allows.
    _row("new", "чат-\U0001f6cd-\u4f1a\u8bdd", 1, "review", verdict_id="u1", event_id="é"),
    _row("new", "x" * 256, 1, "allow", verdict_id="x1", event_id=2**53),
    _row("new", "no event id", 1, "block", verdict_id="n1", event_id=None, timestamp_ms=-1),
    # A person's decision: the event judged again under a newer model does not take its place, a later decision does.
    _row("new", "overridden", 1, "allow", verdict_id="o1", model=_model("m", "1")),
    _row(
        "new", "overridden", 1, "block", verdict_id="o2", model=_model("m", "1"), kind="override", override_revision=1
    ),
    _row("older", "overridden", 1, "allow", verdict_id="o3", model=_model("m", "2"), replay_id="jan"),
    _row(
        "new", "overridden", 1, "review", verdict_id="o4", model=_model("m", "1"), kind="override", override_revision=2
    ),
    _row("new", "overridden", 2, "allow", verdict_id="o5", model=_model("m", "1"), previous=HELD),
    # Another taxonomy on the same topic.
    _row("new", "pets", 1, "block", verdict_id="t1", taxonomy=TaxonomyRef(name="pets", version="2"), **PETS),
    # What an earlier worker wrote.
    Row(VERSION_1, "new"),
    _row("new", VERSION_1.chat_id, 42, "block", verdict_id="w2"),
]
"""In this order on the topic; of one chat they lie in one partition."""


class VerdictTopic:
    """Writes transactions to a verdict topic, as a worker of another version would.

    Args:
        bootstrap_servers: Kafka's address.
        topic: The verdict topic.
        n_partitions: Its partitions.
    """

    def __init__(self, bootstrap_servers: str, topic: str, n_partitions: int) -> None:
        self.topic = topic
        self.rows: list[Row] = []
        self._n_partitions = n_partitions
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "transactional.id": f"{topic}-writer",
                "compression.type": "lz4",
                "log_level": 0,
            }
        )
        self._producer.init_transactions(60)

    def commit(self, rows: Iterable[Row]) -> None:
        """Write rows that readers see."""
        for row in rows:
            # One transaction each, so that markers stand between them, as between batches.
            self._producer.begin_transaction()
            # A field that this version does not know.
            value = encode_verdict(row.verdict).removesuffix(b"}") + b',"later":{"offset":[1.5,null]}}'
            self._producer.produce(self.topic, value, row.verdict.chat_id.encode())
            self._producer.commit_transaction(60)
            self.rows.append(row)

    def abort(self, rows: Iterable[Row]) -> None:
        """Write rows that a reader of committed records must not see."""
        self._producer.begin_transaction()
        for row in rows:
            newer = row.verdict.source.model_copy(update={"timestamp_ms": _TIME_MS * 2, "offset": LAST_OFFSET})
            verdict = row.verdict.model_copy(update={"source": newer, "verdict_id": "aborted"})
            self._producer.produce(self.topic, encode_verdict(verdict), verdict.chat_id.encode())
        self._producer.flush(60)
        self._producer.abort_transaction(60)

    def commit_later_version(self, verdict: Verdict) -> None:
        """Write a verdict of a major version that readers do not know."""
        value = encode_verdict(verdict).replace(b'"schema_version":2', b'"schema_version":3', 1)
        self._producer.begin_transaction()
        self._producer.produce(self.topic, value, verdict.chat_id.encode())
        self._producer.commit_transaction(60)

    def close_partitions(self) -> None:
        """Write one last verdict to each partition, so that a reader that has them all has read everything."""
        self._producer.begin_transaction()
        for partition in range(self._n_partitions):
            row = _row("new", f"last of {partition}", 1, "allow", verdict_id="last")
            self._producer.produce(self.topic, encode_verdict(row.verdict), b"last", partition=partition)
            self.rows.append(row)
        self._producer.commit_transaction(60)


def expected_account(rows: list[Row]) -> dict[str, Any]:
    """Return the account of a right reader."""
    newest = {row.verdict.chat_id: row.verdict for row in rows if row.kind != "older"}
    return {
        "n_verdicts": len(rows),
        "by_kind": {"new": 0, "repeat": 0, "older": 0} | Counter(row.kind for row in rows),
        "n_chats": len(newest),
        "by_decision": Counter(verdict.decision.value for verdict in newest.values()),
    }


def expected_lines(rows: list[Row]) -> dict[str, list[dict[str, Any]]]:
    """Return what a right reader prints of each chat, in order."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for verdict, kind in rows:
        line = {
            "kind": kind,
            "chat_id": verdict.chat_id,
            "offset": verdict.source.offset,
            "taxonomy": verdict.taxonomy.name,
            "decision": verdict.decision.value,
            "verdict_id": verdict.verdict_id,
        }
        lines.setdefault(verdict.chat_id, []).append(line)
    return lines

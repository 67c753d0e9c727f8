"""Time the pure part of the loop, from decoded record to encoded verdict, under one policy and under many, in turns.

The readings are the calibration chats of a bundle, so no inference and no service is part of it. Machines drift: each
round times every number of policies, and each is compared with one policy in the same round.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import cycle, islice
from statistics import median
from typing import Final

import orjson

from model import Bundle, Classification
from model.evidence.judging import Stage
from model.policies.rules import policies_over
from schemas import CodecLimits, Enforcement, Policy, Verdict
from worker.cache.decisions import decode_cached_verdict
from worker.decide import decide
from worker.decode import Decoder
from worker.hits_and_misses import fill_hits
from worker.outcome_encoding import OutputTopics, settle
from worker.record import Record, Row
from worker.verdict_builder import VerdictBuilder

_TOPICS: Final = OutputTopics("verdicts", "dead-letters", 1_000_000, 1_000_000)
_EARLIER: Final = datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)
_NOW: Final = datetime(2026, 1, 2, 3, 5, 5, 123_456, tzinfo=UTC)
_RATES: Final = (0.02, 0.05, 0.1)


class Kind(StrEnum):
    """Where the readings of a batch come from."""

    UNCACHED = "uncached"
    """The classifier, whose inference is left out here."""
    HITS = "hits"
    """The cache, written by this process under the same policies."""
    OTHERS_HITS = "hits_of_others"
    """The cache, written by another process under the same policies: each is decoded, checked and decided anew."""


@dataclass(frozen=True)
class Cost:
    """What one number of policies costs. CPU times in microseconds of one verdict, medians over the rounds."""

    n_policies: int
    verdict_us: Mapping[Kind, float]
    policy_us: Mapping[Kind, float]
    """What each policy beyond the first adds."""
    share_of_one: Mapping[Kind, float]
    """Rate of verdicts, as a share of the rate under one policy in the same round."""


def measured(bundle: Bundle, numbers: Sequence[int], *, n_rounds: int, n_rows: int) -> list[Cost]:
    """Return the cost of each number of policies, the first of which is 1.

    Args:
        bundle: Whose calibration chats are read.
        numbers: Of policies.
        n_rounds: Of each number; the first round is dropped.
        n_rows: Verdicts of one measurement.
    """
    batches = {n: _Batches(bundle, n, n_rows) for n in numbers}
    times: dict[tuple[int, Kind], list[float]] = {(n, kind): [] for n in numbers for kind in Kind}
    for _ in range(n_rounds + 1):
        for kind in Kind:
            for n in numbers:
                times[n, kind].append(batches[n].time(kind))
    return [
        _cost(n, {kind: times[n, kind][1:] for kind in Kind}, {kind: times[1, kind][1:] for kind in Kind})
        for n in numbers
    ]


def _cost(n: int, mine: Mapping[Kind, Sequence[float]], one: Mapping[Kind, Sequence[float]]) -> Cost:
    pairs = {kind: list(zip(mine[kind], one[kind], strict=True)) for kind in Kind}
    return Cost(
        n,
        verdict_us={kind: median(mine[kind]) * 1e6 for kind in Kind},
        policy_us={kind: median((many - one) / max(1, n - 1) for many, one in pairs[kind]) * 1e6 for kind in Kind},
        share_of_one={kind: median(one / many for many, one in pairs[kind]) for kind in Kind},
    )


def some_policies(bundle: Bundle, n_policies: int) -> list[Policy]:
    """Return as many policies over a bundle, the default one first, no two of which decide alike.

    Args:
        bundle: Its default policy is varied: other categories less firmly banned, other rates.
        n_policies: How many.
    """
    default = bundle.default_policy
    others = [code for code in bundle.taxonomy.codes if code not in default.banned]
    policies = [default]
    for i in range(1, n_policies):
        more = others[i % len(others)]
        fields = {
            "name": f"advertiser-{i:03d}",
            "banned": default.banned | {more},
            "enforcement": {more: Enforcement.SHOULD},
            "max_banned_to_safe_rate": _RATES[i % len(_RATES)],
            "max_safe_to_banned_rate": _RATES[i // len(_RATES) % len(_RATES)],
            "requested_by": f"advertiser-{i:03d}",
        }
        policies.append(default.model_copy(update=fields))
    return policies


class _Batches:
    """Rows of one batch under a number of policies, made anew for each measurement."""

    def __init__(self, bundle: Bundle, n_policies: int, n_rows: int) -> None:
        policies = policies_over(bundle, some_policies(bundle, n_policies))
        self._builder = VerdictBuilder(bundle.ref, policies.default.policy, bundle.taxonomy, policies=policies)
        readings = list(islice(cycle(_classifications(bundle, self._builder)), n_rows))
        self._readings = readings
        self._events = Decoder(CodecLimits()).decode(_record(i) for i in range(n_rows))
        # A verdict of an earlier event on the same text, as the cache gives it.
        self._own: dict[str, Verdict] = {}
        self._raw: dict[str, bytes] = {}
        for row in self._settled(self._uncached(), _EARLIER):
            if row.verdict is not None and row.encoded is not None:
                self._own[row.verdict.chat_id] = row.verdict
                self._raw[row.verdict.chat_id] = row.encoded
        self._ways: dict[Kind, Callable[[], list[Row]]] = {
            Kind.UNCACHED: self._uncached,
            Kind.HITS: self._hits,
            Kind.OTHERS_HITS: self._hits_of_others,
        }

    def time(self, kind: Kind) -> float:
        """Return the seconds of CPU time of one verdict, from its reading to its JSON: nothing in it waits."""
        started = time.thread_time()
        self._settled(self._ways[kind](), _NOW)
        return (time.thread_time() - started) / len(self._events)

    def _settled(self, rows: list[Row], now: datetime) -> list[Row]:
        decide(rows, self._builder, (), now)
        settle(rows, _TOPICS)
        return rows

    def _uncached(self) -> list[Row]:
        return [
            Row(row.record, row.event, reading=read) for row, read in zip(self._events, self._readings, strict=True)
        ]

    def _hits(self) -> list[Row]:
        rows = [Row(row.record, row.event) for row in self._events]
        fill_hits(rows, self._own, self._builder)
        return rows

    def _hits_of_others(self) -> list[Row]:
        rows = [Row(row.record, row.event) for row in self._events]
        fill_hits(rows, {chat_id: decode_cached_verdict(raw) for chat_id, raw in self._raw.items()}, self._builder)
        return rows


def _classifications(bundle: Bundle, builder: VerdictBuilder) -> list[Classification]:
    codes, policies = bundle.taxonomy.codes, builder.policies
    if policies is None:
        return []
    found = []
    for row in bundle.calibration_evidence:
        evidence = dict(zip(codes, row.tolist(), strict=True))
        category = max(evidence, key=evidence.__getitem__)
        # Evidence is at least the probability, and the verdict's check wants them to sum to 1.
        total = max(1.0, sum(evidence.values()))
        probabilities = {code: int(value / total * 1e6) / 1e6 for code, value in evidence.items()}
        judgement = policies.default.judgement(evidence, category=category)
        found.append(
            Classification(category, probabilities, judgement, evidence, (), Stage.TRANSFORMER, "en", longest_message=0)
        )
    return found


def _record(i: int) -> Record:
    event = {"chat_id": f"chat-{i}", "messages": [{"id": 1, "role": "user", "content": f"text {i}"}]}
    return Record("chat-events", 0, i, 1_767_323_045_123, f"chat-{i}".encode(), orjson.dumps(event))

"""From what was asked for to a plan that all processes of the replay share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from model import Bundle
from model.policies.policy_set import PolicySet
from schemas import PolicyRef, RejectionReason
from worker.errors import Fatal, SettingsError
from worker.kafka.client import KafkaAdmin
from worker.kafka.errors import fatal_while
from worker.kafka.partition_range import Partition, PartitionRange
from worker.kafka.ranges import fix_ranges, partitions_of, topic_ids
from worker.kafka.topic_name import topic_name
from worker.replay.plan.plan_store import PlanStore
from worker.replay.plan.replay_plan import PLAN_FORMAT_VERSION, ReplayPlan, StoredReplay
from worker.replay.plan.request import ReplayRequest, chats_digest, differences, parse_span
from worker.settings.kafka import Delivery
from worker.settings.redis import OnRejected
from worker.settings.worker import WorkerSettings

_EARLIER_MS: Final = 3_600_000
"""Old verdicts are looked for from this long before the start time on: producers' clocks differ."""


@dataclass(frozen=True)
class Choices:
    """The command line of a replay."""

    replay_id: str
    topics: tuple[str, ...] = ()
    redrive: bool = False
    since: datetime | None = None
    until: datetime | None = None
    offsets: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()
    chat_ids: frozenset[str] = frozenset()
    reasons: tuple[RejectionReason, ...] = ()
    verdict_topic: str | None = None
    bundle: Path | None = None
    policy: Path | None = None
    compare: bool = False
    report: Path | None = None
    cache_write: bool | None = None
    """Whether verdicts go into Redis; None: where they go to the live verdict topic too."""
    rate: float | None = None
    low_priority: bool = False
    max_live_lag: int = 500
    allow_lost: bool = False


def replay_settings(live: WorkerSettings, choices: Choices) -> WorkerSettings:
    """Return the settings of a replay beside the live workers: a group and transactional ids of its own.

    Delivery is exactly-once whatever the live workers do: the tallies stand on it.

    Raises:
        SettingsError: no topic can have a name that was chosen.
    """
    _check_names("--topic", choices.topics)
    _check_names("--verdict-topic", () if choices.verdict_topic is None else (choices.verdict_topic,))
    name = f"{live.kafka.group_id}.replay.{choices.replay_id}"
    own_id = live.kafka.transactional_id
    kafka = live.kafka.model_copy(
        update={
            "group_id": name,
            "transactional_id": own_id and f"{own_id}.replay.{choices.replay_id}",
            "delivery": Delivery.EXACTLY_ONCE,
            "verdict_topic": choices.verdict_topic or live.kafka.verdict_topic,
        }
    )
    model = live.model.model_copy(
        update={
            "path": choices.bundle or live.model.path,
            "policy_path": choices.policy or live.model.policy_path,
        }
    )
    redis = live.redis
    if kafka.verdict_topic != live.kafka.verdict_topic:
        # A trial: that a bundle or a limit on trial rejects an event says nothing of the verdict that was published.
        redis = redis.model_copy(update={"on_rejected": OnRejected.KEEP})
    return live.model_copy(update={"kafka": kafka, "model": model, "redis": redis})


def _check_names(option: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            topic_name(name)
        except ValueError as error:
            raise SettingsError(f"{option}: {error}") from None


def writes_cache(live: WorkerSettings, choices: Choices) -> bool:
    """Say whether a replay writes into Redis.

    A trial, whose verdicts go to a topic of its own, does not unless it is told to: on one record the newer model wins
    in the cache, and an ad server would read an `allow` that the live topic never said.
    """
    if choices.cache_write is not None:
        return choices.cache_write
    return choices.verdict_topic in {None, live.kafka.verdict_topic}


def build_request(
    live: WorkerSettings, settings: WorkerSettings, choices: Choices, bundle: Bundle, policies: PolicySet
) -> ReplayRequest:
    """Return the request, with everything in it that decides a verdict.

    Raises:
        SettingsError: the options contradict each other.
    """
    kafka = settings.kafka
    default = kafka.dead_letter_topic if choices.redrive else kafka.input_topic
    topics = choices.topics or (default,)
    written = {kafka.verdict_topic, live.kafka.verdict_topic, kafka.changes_topic, kafka.replay_topic}
    if not choices.redrive:
        written.add(kafka.dead_letter_topic)
    if clash := sorted(written & set(topics)):
        raise SettingsError(
            f"--topic {', '.join(clash)}: is written by the worker; expected topics of chat events"
            + ("" if choices.redrive else ", or --redrive for a dead-letter topic")
        )
    if choices.redrive and choices.compare:
        raise SettingsError("--compare with --redrive: a dead-lettered record has no verdict to compare with")
    if choices.reasons and not choices.redrive:
        raise SettingsError("--reason without --redrive: only dead letters have a reason")
    if choices.offsets and (choices.partitions or choices.since or choices.until):
        raise SettingsError("--offsets stands alone; leave out --partition, --from-time and --to-time")
    policy = policies.default.policy
    return ReplayRequest(
        topics=topics,
        redrive=choices.redrive,
        since_ms=_ms(choices.since),
        until_ms=_ms(choices.until),
        spans=tuple(parse_span(text, topics) for text in choices.offsets),
        partitions=tuple(sorted(set(choices.partitions))),
        n_chats=len(choices.chat_ids),
        chats_digest=chats_digest(choices.chat_ids) if choices.chat_ids else None,
        reasons=tuple(sorted(set(choices.reasons))),
        verdict_topic=kafka.verdict_topic,
        dead_letter_topic=kafka.dead_letter_topic,
        model_digest=bundle.ref.digest,
        policy=PolicyRef(name=policy.name, version=policy.version),
        policies_digest=policies.digest,
        taxonomy=bundle.taxonomy.ref,
        changes_topic=kafka.changes_topic if choices.compare else None,
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000)


class Planner:
    """Fixes the plan of a replay, or finds the one that was fixed.

    Args:
        admin: Admin client.
        store: The control topic.
        old_verdict_topic: Where the verdicts lie that new ones are compared with.
        timeout_s: Longest wait for one answer.
    """

    def __init__(self, admin: KafkaAdmin, store: PlanStore, *, old_verdict_topic: str, timeout_s: float) -> None:
        self._admin = admin
        self._store = store
        self._old_verdict_topic = old_verdict_topic
        self._timeout_s = timeout_s

    def fix(self, replay_id: str, request: ReplayRequest) -> StoredReplay:
        """Return the stored plan.

        Raises:
            Fatal: the brokers do not answer, or a topic is not the one that the plan was made for.
            SettingsError: the id stands for another request, or the request for offsets that are not there.
        """
        stored = self._store.settle(
            replay_id,
            lambda others: StoredReplay(
                format_version=PLAN_FORMAT_VERSION, plan=self.draft(replay_id, request, others)
            ),
            is_settled=lambda _: True,
        )
        if problems := differences(stored.plan.request, request):
            raise SettingsError(
                f"--replay-id {replay_id}: stands for another replay ({'; '.join(problems)}); expected the options it "
                "was started with; give them, or another id"
            )
        self._check_topics(stored.plan)
        return stored

    def draft(self, replay_id: str, request: ReplayRequest, others: Mapping[str, StoredReplay]) -> ReplayPlan:
        """Fix the ranges now.

        Raises:
            Fatal: the brokers do not answer.
            SettingsError: the request names what is not there.
        """
        with fatal_while("fixing the range"):
            ids = topic_ids(self._admin, request.topics, timeout_s=self._timeout_s)
            behind = redriven(request, ids, others.values())
            ranges = fix_ranges(self._admin, request, behind, timeout_s=self._timeout_s)
            old = self._old_verdicts(request) if request.changes_topic else ()
        return ReplayPlan(
            replay_id=replay_id,
            request=request,
            ranges=ranges,
            topic_ids=ids,
            old_verdicts=old,
            planned_at=datetime.now(UTC),
        )

    def _old_verdicts(self, request: ReplayRequest) -> tuple[PartitionRange, ...]:
        asked = request.model_copy(
            update={
                "topics": (self._old_verdict_topic,),
                "since_ms": request.since_ms and request.since_ms - _EARLIER_MS,
                "until_ms": None,
                "spans": (),
                "partitions": (),
            }
        )
        return fix_ranges(self._admin, asked, {}, timeout_s=self._timeout_s)

    def _check_topics(self, plan: ReplayPlan) -> None:
        with fatal_while("describing topics"):
            ids = topic_ids(self._admin, plan.request.topics, timeout_s=self._timeout_s)
        for topic, topic_id in plan.topic_ids.items():
            if ids[topic] != topic_id:
                raise Fatal(
                    f"{topic}: is not the topic that replay {plan.replay_id} was planned for ({plan.planned_at:%F %T})"
                    "; it was deleted and made again since; start a replay with a new id"
                )

    def n_added(self, plan: ReplayPlan) -> int:
        """Return how many partitions the topics have got since the range was fixed."""
        if plan.request.partitions or plan.request.spans:
            return 0
        there = partitions_of(self._admin, plan.request.topics, timeout_s=self._timeout_s)
        return len(there - plan.by_partition.keys())


def redriven(request: ReplayRequest, ids: Mapping[str, str], others: Iterable[StoredReplay]) -> dict[Partition, int]:
    """Return, by partition, where earlier redrives of the same dead-letter topics end. Pure.

    Their ranges are theirs, finished or not: an unfinished one is run again under its own id. One that took only some
    of the letters counts for nothing.
    """
    ends: dict[Partition, int] = {}
    if not request.redrive:
        return ends
    for stored in others:
        if stored.plan.request.redrive and stored.plan.request.is_whole:
            for one in stored.plan.ranges:
                if ids.get(one.topic) == stored.plan.topic_ids[one.topic]:
                    ends[one.place] = max(ends.get(one.place, 0), one.end)
    return ends

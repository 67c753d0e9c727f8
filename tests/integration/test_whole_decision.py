"""Every decision at once: 20 policies, holds, a person's word, a changed policy, and a worker killed on the way.

Real Kafka, real Redis, real workers. The oracle reads from a verdict what the model said of the text, and decides each
policy anew: with the policy of the version that the verdict names, with the blocks that earlier verdicts of the chat
began, and with what the test's reviewer said under the revision that the verdict names.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
import redis

from deploy.local import LocalStack
from model import Bundle, load_bundle
from model.policies.context import DecisionContext
from model.policies.rules import policies_over
from schemas import DecidedBy, Decision, Policy, Verdict, VerdictKind, decode_verdict
from schemas.policy import Enforcement
from schemas.review import decode_review
from testkit.reader import read_all
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker
from tests.integration.four_bundles import TaxonomyBundle, four_bundles
from tests.integration.ledger import READER, LiveLedger
from tests.integration.workers import run_command
from worker.cache.values import cache_key

pytestmark = pytest.mark.services

N_CHATS: Final = 12
N_OTHERS: Final = 19
HOLD_S: Final = 3_600.0
WORDS: Final = ("garden", "stupid", "ignore", "river", "stupid garden", "ignore garden", "garden")
CHAT: Final = "chat-0"
"""The chat that a person decides on. It always says the same."""
_NEVER: Final = (-1, datetime(1970, 1, 1, tzinfo=UTC))
_NOT_HELD: Final = frozenset({DecidedBy.OVERRIDE, DecidedBy.DENY_LIST})


def policy_of(number: int, version: str = "1") -> Policy:
    """Return one of the advertisers' policies: every second holds, every fifth only asks for a person."""
    banned = (frozenset({"toxic", "jailbreak"}), frozenset({"toxic"}), frozenset({"jailbreak"}))[number % 3]
    soft = {"toxic": Enforcement.SHOULD} if number % 5 == 0 and "toxic" in banned else {}
    return Policy(
        name=f"advertiser-{number:02}",
        version=version,
        taxonomy="toxicity",
        banned=banned,
        max_banned_to_safe_rate=0.05 + 0.03 * (number % 4),
        max_safe_to_banned_rate=0.02 + 0.02 * (number % 2),
        hold_block_s=HOLD_S if number % 2 else 0.0,
        enforcement=soft,
        requested_by=f"brand-{number}" if number % 4 else None,
    )


CHANGED: Final = policy_of(1).model_copy(
    update={"version": "2", "banned": frozenset({"jailbreak"}), "enforcement": {}, "hold_block_s": HOLD_S}
)
"""What takes the place of a policy under traffic."""


@pytest.fixture(scope="module")
def bundle(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> TaxonomyBundle:
    """Return a bundle that knows each of `not_toxic`, `toxic` and `jailbreak` by a word."""
    return four_bundles(bundle_path, tmp_path_factory.mktemp("bundles"))["toxicity"]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Write the advertisers' policies into a folder."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for number in range(N_OTHERS):
        put(folder, policy_of(number))
    return folder


def put(folder: Path, policy: Policy) -> None:
    """Write a policy into a folder in one step."""
    fresh = folder / f".{policy.name}.new"
    fresh.write_text(policy.model_dump_json(exclude_defaults=True), "utf-8")
    fresh.replace(folder / f"{policy.name}.json")


@pytest.fixture
def settings(
    settings: Settings, stack: LocalStack, n_partitions: int, bundle: TaxonomyBundle, policies: Path
) -> Settings:
    """Return the settings of workers that decide with everything there is."""
    mark = uuid4().hex[:8]
    names = {name: f"verdict-{name}-{mark}" for name in ("state", "overrides", "decisions", "reviews", "policies")}
    kept = {names[name]: n_partitions for name in ("state", "overrides", "policies")}
    stack.kafka.create_topics(kept, config={"cleanup.policy": "compact"})
    stack.kafka.create_topics({names["reviews"]: n_partitions, names["decisions"]: 1})
    topics = {f"MODERATION_KAFKA__{name.upper()}_TOPIC": topic for name, topic in names.items()}
    return {
        **settings,
        **topics,
        "MODERATION_ERASURE__HASH_KEY": "k" * 32,
        "MODERATION_MODEL__PATH": str(bundle.folder),
        "MODERATION_MODEL__POLICIES_DIR": str(policies),
        "MODERATION_MODEL__RELOAD_INTERVAL_S": "0.2",
        "MODERATION_BATCH__MAX_RECORDS": "10",
    }


def traffic(seed: int) -> Iterator[dict[str, Any]]:
    """Yield events without an end: chats that take turns, each saying something new or the same again."""
    chance = random.Random(seed)  # noqa: S311  events, not secrets
    while True:
        chat_id = f"chat-{chance.randrange(N_CHATS)}"
        text = "stupid" if chat_id == CHAT else chance.choice(WORDS)
        yield {"chat_id": chat_id, "messages": [{"role": "user", "content": text}]}


class Oracle:
    """Decides every verdict anew.

    Args:
        bundle: The workers' own.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        known = [bundle.default_policy, CHANGED, *(policy_of(number) for number in range(N_OTHERS))]
        self._policies = {(one.name, one.version): one for one in known}
        self.said: dict[int, Decision] = {}
        """By revision, what the reviewer decided for all policies."""
        self._blocks: dict[tuple[str, str], tuple[int, datetime]] = {}
        """By chat and policy, the offset and the time of the last block that begins a hold."""

    def check(self, verdict: Verdict, happened_at: datetime) -> set[DecidedBy]:
        """Assert that a verdict says what it must; return what its decisions rest on."""
        held: dict[str, int] = {}
        using = [self._policies[name, one.version] for name, one in verdict.decisions.items()]
        for policy in using:
            offset, since = self._blocks.get((verdict.chat_id, policy.name), _NEVER)
            # A person decides on an event that was judged before: its own block bears on later ones only.
            is_earlier = offset < verdict.source.offset
            if policy.hold_block_s and is_earlier and happened_at < since + timedelta(seconds=HOLD_S):
                held[policy.name] = offset
        revision = verdict.override_revision
        said = {"*": self.said[revision]} if revision else {}
        context = DecisionContext(held=frozenset(held), said=said)
        by_name = {policy.name: policy for policy in using}
        default = by_name.pop(verdict.policy.name)
        decided = policies_over(self._bundle, [default, *by_name.values()]).decide(
            verdict.evidence,
            category=verdict.category.code,
            unevaluated=verdict.unevaluated,
            language=verdict.language,
            longest_message=verdict.longest_message,
            context=context,
        )
        expected = {name: (one.decision, one.decided_by) for name, one in decided.decisions.items()}
        found = {name: (one.decision, one.decided_by) for name, one in verdict.decisions.items()}
        assert found == expected, (verdict.source, verdict.category, held)
        assert (verdict.previous and verdict.previous.offset) == (max(held.values()) if held else None)
        if verdict.kind is VerdictKind.EVENT:
            self._remember(verdict, by_name | {default.name: default}, happened_at)
        return {one.decided_by for one in verdict.decisions.values()}

    def _remember(self, verdict: Verdict, policies: Mapping[str, Policy], happened_at: datetime) -> None:
        for name, one in verdict.decisions.items():
            begins = one.decision is Decision.BLOCK and one.decided_by not in _NOT_HELD
            if begins and policies[name].hold_block_s:
                self._blocks[verdict.chat_id, name] = (verdict.source.offset, happened_at)


def all_verdicts(ledger: LiveLedger) -> list[Verdict]:
    """Return every verdict, people's own included: by partition and input offset, then by revision."""
    records = read_all(ledger.topics.bootstrap_servers, [ledger.topics.verdicts], properties=READER)
    verdicts = [decode_verdict(record.value or b"") for record in records]
    return sorted(verdicts, key=lambda one: (one.source.partition, one.source.offset, one.kind is VerdictKind.OVERRIDE))


def test_every_decision_is_what_policies_people_and_earlier_decisions_give(
    ledger: LiveLedger,
    cache: "redis.Redis",
    bundle: TaxonomyBundle,
    policies: Path,
    settings: Settings,
    *,
    start_worker: StartWorker,
) -> None:
    """Under traffic, through a policy change and a killed worker: one verdict an input, Redis equal to the topic."""
    oracle, events = Oracle(load_bundle(bundle.folder)), traffic(7)
    workers = [start_worker(), start_worker()]

    def send(n_events: int) -> None:
        for _ in range(n_events // 10):
            ledger.send([next(events) for _ in range(10)])

    def person(*arguments: str) -> Any:
        done = run_command(
            "override", *arguments, "--actor", "reviewer-7", "--reason", "seen", "--json", settings=settings
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return orjson.loads(done.stdout.splitlines()[-1])

    ledger.send([{"chat_id": CHAT, "messages": [{"role": "user", "content": "stupid"}]}])
    send(120)
    ledger.wait_complete()
    said = person("set", CHAT, "allow", "--whole-chat")
    oracle.said[said["revision"]] = Decision.ALLOW

    def has_counted() -> bool:
        send(10)
        return any(one.override_revision == said["revision"] for one in all_verdicts(ledger))

    wait_until(has_counted, timeout_s=60, what=workers[1].tail)
    send(60)
    workers[0].kill()
    put(policies, CHANGED)
    send(60)
    workers.append(start_worker())

    def has_changed() -> bool:
        send(10)
        versions = {one.decisions[CHANGED.name].version for one in ledger.verdicts().values()}
        return CHANGED.version in versions

    wait_until(has_changed, timeout_s=60, what=workers[1].tail)
    person("clear", CHAT)
    send(120)
    ledger.wait_complete()
    for worker in workers[1:]:
        assert worker.stop() == 0
    ledger.assert_exactly_once()

    verdicts, reasons = all_verdicts(ledger), set[DecidedBy]()
    newest: dict[str, Verdict] = {}
    for verdict in verdicts:
        at = datetime.fromtimestamp(verdict.source.timestamp_ms / 1_000, tz=verdict.decided_at.tzinfo)
        reasons |= oracle.check(verdict, at)
        newest[verdict.chat_id] = verdict
    assert {DecidedBy.MODEL, DecidedBy.ADVERTISER, DecidedBy.HOLD, DecidedBy.OVERRIDE} <= reasons
    assert {len(one.decisions) for one in verdicts} == {N_OTHERS + 1}
    assert any(one.kind is VerdictKind.OVERRIDE for one in verdicts)
    for chat_id, expected in newest.items():
        shown = decode_verdict(cache.get(cache_key(chat_id)))  # type: ignore[arg-type]  # the client is synchronous
        assert (shown.source, shown.decisions, shown.override_revision) == (
            expected.source,
            expected.decisions,
            expected.override_revision,
        )
    _assert_reviews(ledger, settings["MODERATION_KAFKA__REVIEWS_TOPIC"], verdicts)


def _assert_reviews(ledger: LiveLedger, topic: str, verdicts: list[Verdict]) -> None:
    """Whatever asks for a person is on the topic of reviews, under its verdict_id, and nothing else is."""
    records = read_all(ledger.topics.bootstrap_servers, [topic], properties=READER)
    reviewed = {decode_review(record.value or b"").verdict_id for record in records}
    asking = {
        one.verdict_id for one in verdicts if any(said.decision is Decision.REVIEW for said in one.decisions.values())
    }
    assert reviewed == asking

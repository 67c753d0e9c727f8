"""What `worker override` refuses before it connects to anything, and what it writes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

import worker.overrides.command
import worker.overrides.store
from schemas import DecidedBy, Decision, Override, OverrideScope, PolicyDecision, decode_override
from schemas.erasure import chat_hash
from tests.schemas.payloads import make_verdict
from tests.worker.overrides.parts import NOW, allow, override
from tests.worker.payloads import kafka_settings
from worker.errors import Fatal, SettingsError
from worker.kafka.murmur2 import partition_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.written_together import KeyedRecord
from worker.overrides.command import _not_lifted, _print, _refuse_what_would_not_count, app, parse_duration
from worker.overrides.store import OverrideStore
from worker.overrides.wish import Wish
from worker.settings.erasure import ErasureSettings
from worker.settings.overrides import OverrideSettings
from worker.settings.worker import WorkerSettings

RUNNER = CliRunner()
HASH_KEY, SIGNING_KEY = "h" * 32, "s" * 32
N_PARTITIONS = 7


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("24h", timedelta(hours=24)),
        (" 90s", timedelta(seconds=90)),
        ("7d", timedelta(days=7)),
        ("5m", timedelta(minutes=5)),
    ],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, length: timedelta) -> None:
    """As people write it."""
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-1h", "1.5h", "1w", "99999d", "24h30m"])
def test_another_length_is_refused(text: str) -> None:
    """An override that lasts for another time than was meant is worse than none."""
    with pytest.raises(typer.BadParameter, match="such as 24h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--actor", "Jane Doe", "--reason", "abuse"], "opaque id"),
        (["--actor", "r7", "--reason", "Jane said so"], "free text could name a person"),
    ],
)
def test_free_text_about_people_is_refused(options: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is kept for years."""
    monkeypatch.setenv("COLUMNS", "300")
    done = RUNNER.invoke(app, ["set", "chat-1", "block", *options])
    assert done.exit_code == 2
    assert told in done.output


def wish(decision: Decision, scope: OverrideScope, policy: str = "*") -> Wish:
    """Return what a person decides."""
    return Wish(decision, policy, scope, NOW + timedelta(hours=24), "r7", "false_positive")


def test_an_allow_beside_a_stricter_word_on_the_whole_chat_is_refused() -> None:
    """It would be written and count for nothing; the same key, another policy, or an expired one stand in no way."""
    text = wish(Decision.ALLOW, OverrideScope.FINGERPRINT)
    with pytest.raises(SettingsError, match="take it back first"):
        _refuse_what_would_not_count(text, [override()], NOW)
    one_policy = text._replace(policy="p")
    with pytest.raises(SettingsError, match="block stands for all policies"):
        _refuse_what_would_not_count(one_policy, [override()], NOW)
    free: list[Sequence[Override]] = [
        [],
        [allow()],
        [override(policy="p")],
        [override(expires_at=NOW + timedelta(hours=1), decided_at=NOW - timedelta(days=1))],
    ]
    for standing in free:
        _refuse_what_would_not_count(text, standing, NOW + timedelta(hours=2))
    _refuse_what_would_not_count(wish(Decision.ALLOW, OverrideScope.CHAT), [override()], NOW)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[KeyedRecord]]:
    """Return what is written, one list for each transaction."""
    found: list[list[KeyedRecord]] = []

    def write(_settings: Any, records: Sequence[KeyedRecord], *, transactional_id: str) -> None:
        assert transactional_id.startswith("verdictstream.override.")
        found.append([*records])

    monkeypatch.setattr(worker.overrides.store, "write_together", write)
    monkeypatch.setattr(worker.overrides.store, "missing_topics", lambda *_, **__: [])
    ranges = tuple(PartitionRange(topic="verdict-overrides", partition=i, start=0, end=0) for i in range(N_PARTITIONS))
    monkeypatch.setattr(worker.overrides.store, "fix_ranges", lambda *_, **__: ranges)
    return found


def store(**fields: Any) -> OverrideStore:
    """Return a store over settings with both topics and keys."""
    settings = WorkerSettings(
        kafka=kafka_settings(overrides_topic="verdict-overrides", **fields),
        erasure=ErasureSettings(hash_key=SecretStr(HASH_KEY)),
        overrides=OverrideSettings(signing_key=SecretStr(SIGNING_KEY)),
    )
    return OverrideStore(settings, None)  # type: ignore[arg-type]  # nobody is asked


def test_a_decision_is_written_with_its_record_in_the_audit_log(written: list[list[KeyedRecord]]) -> None:
    """Signed, where the chat's other overrides lie; the log names the chat by its hash."""
    verdict = make_verdict(chat_id="chat-9", override_revision=3)
    said = store(decisions_topic="log").put(verdict, wish(Decision.ALLOW, OverrideScope.FINGERPRINT), [], NOW)
    assert said.revision == round(NOW.timestamp() * 1_000)
    assert (said.source, said.verdict_id) == (verdict.source, verdict.verdict_id)
    assert said.content_fingerprint == verdict.content_fingerprint
    ((record, logged),) = written
    assert record.partition == partition_of(b"chat-9", N_PARTITIONS)
    assert record.value is not None
    assert decode_override(record.key, record.value, [SIGNING_KEY.encode()]).revision == said.revision
    audit = orjson.loads(logged.value or b"")
    hashed = chat_hash("chat-9", HASH_KEY.encode())
    assert (logged.topic, logged.key, logged.partition) == ("log", hashed.encode(), None)
    assert (audit["chat_hash"], audit["action"], audit["revision"]) == (hashed, "set", said.revision)
    assert b"chat-9" not in (logged.value or b"")


def test_a_revision_is_above_all_that_stands_though_a_clock_is_behind(written: list[list[KeyedRecord]]) -> None:
    """On one source the higher revision counts."""
    ahead = round(NOW.timestamp() * 1_000) + 3_600_000
    found = store(decisions_topic="log").put(
        make_verdict(override_revision=ahead + 5),
        wish(Decision.ALLOW, OverrideScope.CHAT),
        [override(revision=ahead)],
        NOW,
    )
    assert found.revision == ahead + 6
    assert len(written) == 1


def test_a_forged_revision_is_not_taken_over_and_the_remedy_is_told(written: list[list[KeyedRecord]]) -> None:
    """Whoever may write Redis could else raise it until nobody can decide on the chat any more."""
    day = round((NOW + timedelta(days=1)).timestamp() * 1_000)
    for forged in (day, 2**63 - 1):
        with pytest.raises(SettingsError, match=r"somebody forged it; delete the chat's key in Redis"):
            store(decisions_topic="log").put(
                make_verdict(override_revision=forged), wish(Decision.BLOCK, OverrideScope.CHAT), [], NOW
            )
    assert written == []


def test_a_missing_topic_is_told_with_what_creates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`deploy.local up` makes none of the topics that are switched on by settings."""
    monkeypatch.setattr(worker.overrides.store, "missing_topics", lambda *_, **__: ["verdict-overrides"])
    with pytest.raises(Fatal, match=r"python -m deploy\.kafka topics"):
        store()


def test_the_list_says_no_end_and_taking_back_says_when_it_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands until it is taken back has not been, and what was taken back still shows until the next event."""
    standing = [override()]
    command = worker.overrides.command
    monkeypatch.setattr(command, "_settings", lambda *_: WorkerSettings(kafka=kafka_settings()))
    monkeypatch.setattr(command, "open_admin", lambda _: None)
    monkeypatch.setattr(OverrideStore, "__init__", lambda *_: None)
    monkeypatch.setattr(OverrideStore, "of_chat", lambda *_: standing)
    monkeypatch.setattr(OverrideStore, "all", lambda _: standing)
    monkeypatch.setattr(OverrideStore, "remove", lambda *_, **__: None)
    listed = RUNNER.invoke(app, ["list"]).output
    assert "no end" in listed
    assert "taken back" not in listed
    cleared = RUNNER.invoke(app, ["clear", standing[0].chat_id, "--actor", "r8", "--reason", "mistake"]).output
    assert "taken back: block" in cleared
    assert "next event" in cleared


@pytest.mark.parametrize(
    ("by", "decision", "policy", "is_told"),
    [
        (DecidedBy.FLOOR, Decision.ALLOW, "*", True),
        (DecidedBy.DENY_LIST, Decision.REVIEW, "default", True),
        (DecidedBy.FLOOR, Decision.ALLOW, "other", False),
        (DecidedBy.FLOOR, Decision.BLOCK, "*", False),
        (DecidedBy.MODEL, Decision.ALLOW, "*", False),
    ],
)
def test_that_a_block_is_none_a_person_lifts_is_told(
    by: DecidedBy, decision: Decision, policy: str, is_told: bool
) -> None:
    """Whoever allows such a chat would else wait for its ads."""
    said = PolicyDecision(version="1", decision=Decision.BLOCK, decided_by=by)
    verdict = make_verdict().model_copy(update={"decisions": {"default": said}})
    assert ("counts for nothing" in _not_lifted(wish(decision, OverrideScope.CHAT, policy), verdict)) == is_told


def test_what_is_taken_back_leaves_a_tombstone_and_a_record(written: list[list[KeyedRecord]]) -> None:
    """Of each, by whoever took it back."""
    both = [override(), allow()]
    store(decisions_topic="log").remove(both, actor="r8", reason="mistake")
    for one, (record, logged) in zip(both, written, strict=True):
        assert (record.key, record.value) == (one.key, None)
        audit = orjson.loads(logged.value or b"")
        assert (audit["action"], audit["actor"], audit["decision"]) == ("clear", "r8", one.decision.value)


def test_nothing_is_decided_without_an_audit_log(written: list[list[KeyedRecord]]) -> None:
    """Nor without a topic for it."""
    with pytest.raises(SettingsError, match="DECISIONS_TOPIC is not set"):
        store().put(make_verdict(), wish(Decision.ALLOW, OverrideScope.CHAT), [], NOW)
    assert written == []
    with pytest.raises(SettingsError, match="OVERRIDES_TOPIC is not set"):
        OverrideStore(WorkerSettings(kafka=kafka_settings()), None)  # type: ignore[arg-type]


def test_the_list_shows_no_control_characters_of_a_chat_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Upstream chooses them, and a terminal obeys them."""
    _print([override(chat_id="a\x1b[2J[red]b")], NOW)
    shown = capsys.readouterr().out
    assert "a?[2J[red]b" in shown
    assert "\x1b" not in shown

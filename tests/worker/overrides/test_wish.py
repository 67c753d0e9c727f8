"""What a person may decide, what of it counts, and the two records that it becomes."""

from datetime import timedelta

import orjson
import pytest
from pydantic import SecretStr, ValidationError

from schemas import DecidedBy, Decision, OverrideScope, PolicyDecision, decode_override
from schemas.erasure import chat_hash
from tests.schemas.payloads import make_verdict
from tests.worker.overrides.parts import NOW, allow, override
from tests.worker.payloads import kafka_settings
from worker.errors import SettingsError
from worker.kafka.murmur2 import partition_of
from worker.overrides.records import decision_topics, id_of_clear, records_of_clear, records_of_set
from worker.overrides.wish import (
    RevisionForged,
    Wish,
    next_revision,
    not_lifted_by,
    outweighed_text,
    outweighing,
    override_of,
    wish_of,
)
from worker.settings.erasure import ErasureSettings
from worker.settings.overrides import OverrideSettings
from worker.settings.worker import WorkerSettings

HASH_KEY, SIGNING_KEY = b"h" * 32, b"s" * 32


def wish(decision: Decision, *, whole_chat: bool = False, lasts: timedelta | None = None, policy: str = "*") -> Wish:
    """Return what is decided now."""
    return wish_of(
        decision, policy=policy, whole_chat=whole_chat, lasts=lasts, actor="r7", reason="abuse", decided_at=NOW
    )


@pytest.mark.parametrize(
    ("decision", "whole_chat", "lasts", "scope", "ends_after"),
    [
        (Decision.ALLOW, False, None, OverrideScope.FINGERPRINT, timedelta(hours=24)),
        (Decision.ALLOW, True, None, OverrideScope.CHAT, timedelta(hours=24)),
        (Decision.ALLOW, False, timedelta(hours=2), OverrideScope.FINGERPRINT, timedelta(hours=2)),
        (Decision.BLOCK, False, None, OverrideScope.CHAT, None),
        (Decision.REVIEW, False, timedelta(days=7), OverrideScope.CHAT, timedelta(days=7)),
    ],
)
def test_an_allow_is_of_a_text_and_a_day_and_all_else_of_the_chat(
    decision: Decision,
    whole_chat: bool,
    lasts: timedelta | None,
    scope: OverrideScope,
    ends_after: timedelta | None,
) -> None:
    """Whoever allowed what they read has not allowed what comes next."""
    found = wish(decision, whole_chat=whole_chat, lasts=lasts)
    assert (found.scope, found.expires_at) == (scope, None if ends_after is None else NOW + ends_after)


def test_a_stricter_word_beside_it_is_named() -> None:
    """Its text says whose it is; the same key, another policy or an expired one stand in no way."""
    stricter = outweighing(wish(Decision.ALLOW), [override(revision=5)], NOW)
    assert stricter is not None
    assert outweighed_text(stricter).startswith("block stands for all policies (chat, revision 5, by reviewer-7)")
    assert outweighing(wish(Decision.ALLOW, whole_chat=True), [override()], NOW) is None
    assert outweighing(wish(Decision.ALLOW), [override(policy="p")], NOW) is None
    assert outweighing(wish(Decision.ALLOW), [override(expires_at=NOW + timedelta(seconds=1))], NOW) is not None
    assert (
        outweighing(wish(Decision.ALLOW), [override(expires_at=NOW + timedelta(seconds=1))], NOW + timedelta(1)) is None
    )
    assert outweighing(wish(Decision.BLOCK), [override(policy="*", scope=OverrideScope.FINGERPRINT)], NOW) is None


def test_floor_and_deny_list_are_named_where_they_block() -> None:
    """For the policies that the word is for."""
    said = {
        "default": PolicyDecision(version="1", decision=Decision.BLOCK, decided_by=DecidedBy.FLOOR),
        "ads": PolicyDecision(version="1", decision=Decision.BLOCK, decided_by=DecidedBy.DENY_LIST),
    }
    assert not_lifted_by(Decision.ALLOW, "*", said) == [DecidedBy.DENY_LIST, DecidedBy.FLOOR]
    assert not_lifted_by(Decision.ALLOW, "ads", said) == [DecidedBy.DENY_LIST]
    assert not_lifted_by(Decision.BLOCK, "*", said) == []


def test_a_revision_is_above_all_that_is_known_and_never_far_ahead() -> None:
    """Of the clock, of what stands, and of the verdict."""
    now_ms = round(NOW.timestamp() * 1_000)
    assert next_revision(NOW, [], 0) == now_ms
    assert next_revision(NOW, [override(revision=now_ms + 5)], now_ms + 9) == now_ms + 10
    with pytest.raises(RevisionForged, match="somebody forged it"):
        next_revision(NOW, [], 2**60)


def test_the_same_decision_is_the_same_two_records() -> None:
    """So that a write that is tried again is a repeat."""
    settings = WorkerSettings(
        kafka=kafka_settings(overrides_topic="o", decisions_topic="d"),
        erasure=ErasureSettings(hash_key=SecretStr(HASH_KEY.decode())),
        overrides=OverrideSettings(signing_key=SecretStr(SIGNING_KEY.decode())),
    )
    topics = decision_topics(settings, 7)
    verdict = make_verdict(chat_id="chat-9")
    said = override_of(verdict, wish(Decision.ALLOW), 5, NOW)
    record, logged = records_of_set(said, "d1", topics)
    assert records_of_set(said, "d1", topics) == [record, logged]
    assert record.partition == partition_of(b"chat-9", 7)
    assert decode_override(record.key, record.value or b"", [SIGNING_KEY]).decided_at == NOW
    audit = orjson.loads(logged.value or b"")
    assert (audit["decision_id"], audit["action"], audit["chat_hash"]) == ("d1", "set", chat_hash("chat-9", HASH_KEY))
    tombstone, cleared = records_of_clear(said, "d2", topics, actor="r8", reason="mistake", cleared_at=NOW)
    assert (tombstone.key, tombstone.value) == (said.key, None)
    assert orjson.loads(cleared.value or b"")["actor"] == "r8"


def test_records_of_one_clearing_have_ids_of_their_own_that_stay() -> None:
    """The audit log has one record for each override, also after a repeat."""
    ids = [id_of_clear("d1", one) for one in (override(), allow(), override())]
    assert ids[0] == ids[2] != ids[1]
    assert all(len(one) == 32 for one in ids)
    assert id_of_clear("d2", override()) != ids[0]


def test_without_an_audit_log_nothing_is_decided() -> None:
    """Nor without a topic for it; the setting is named."""
    for fields, named in (({}, "OVERRIDES_TOPIC"), ({"overrides_topic": "o"}, "DECISIONS_TOPIC")):
        with pytest.raises(SettingsError, match=named):
            decision_topics(WorkerSettings(kafka=kafka_settings(**fields)), 1)


def test_an_override_that_would_end_before_it_begins_is_none() -> None:
    """Its form refuses it."""
    ended = wish(Decision.ALLOW)._replace(expires_at=NOW)
    with pytest.raises(ValidationError, match="expires_at is not after decided_at"):
        override_of(make_verdict(), ended, 5, NOW)

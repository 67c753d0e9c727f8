"""People's decisions on the wire: whole, bounded, signed, and without a chat id in the audit log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from schemas import (
    Decision,
    DecisionAction,
    Override,
    OverrideScope,
    Source,
    VerdictDecision,
    chat_of_key,
    decode_override,
    encode_override,
    encode_verdict_decision,
    override_key,
    verdict_id,
)
from schemas.override import OverrideRefused

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def make_override(**fields: Any) -> Override:
    """Return an allow of the chat's present text, with `fields` laid over it."""
    complete: dict[str, Any] = {
        "chat_id": "chat-1",
        "policy": "*",
        "scope": OverrideScope.FINGERPRINT,
        "decision": Decision.ALLOW,
        "content_fingerprint": "1e" * 16,
        "decided_at": NOW,
        "expires_at": NOW + timedelta(hours=24),
        "actor": "reviewer-7",
        "reason": "false_positive",
        "verdict_id": "0f" * 16,
        "source": Source(topic="chat-events", partition=3, offset=41, timestamp_ms=1_700_000_000_000),
        "revision": 1_767_323_045_000,
        **fields,
    }
    return Override(**complete)


def refusal(key: bytes | None, raw: bytes, *keys: bytes) -> str:
    """Return why a record is refused."""
    with pytest.raises(OverrideRefused) as caught:
        decode_override(key, raw, keys)
    return caught.value.reason


def test_an_override_is_read_as_it_was_written_signed_or_not() -> None:
    """Where a worker holds no key, a signature is not looked at."""
    override = make_override()
    assert decode_override(override.key, encode_override(override)) == override
    signed = encode_override(override, KEY)
    read = decode_override(override.key, signed, [OTHER_KEY, KEY])
    assert read.model_copy(update={"signature": None}) == override
    assert decode_override(override.key, signed) == read


def test_where_a_key_is_held_whatever_it_did_not_sign_is_refused() -> None:
    """Each part of what was said is under the signature: decision, chat, key, expiry, and what a later version adds."""
    override = make_override()
    signed = encode_override(override, KEY)
    assert refusal(override.key, encode_override(override), KEY) == "unsigned"
    assert refusal(override.key, signed, OTHER_KEY) == "signature"
    for old, new in ((b'"allow"', b'"block"'), (b"2026-01-03", b"2036-01-03"), (b"reviewer-7", b"reviewer-8")):
        changed = signed.replace(old, new)
        assert changed != signed
        assert refusal(override.key, changed, KEY) == "signature"
    added = orjson.dumps({**orjson.loads(signed), "later": 1})
    assert refusal(override.key, added, KEY) == "signature"
    other = make_override(chat_id="chat-2")
    moved = signed.replace(b"chat-1", b"chat-2")
    assert refusal(other.key, moved, KEY) == "signature"


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"[1]", b"\xff", b'{"schema_version": 2}'])
def test_what_is_no_override_of_this_version_is_refused(raw: bytes) -> None:
    """Anybody may write a topic that has no rights set."""
    assert refusal(b"k", raw) == "unreadable"


def test_an_override_under_another_key_is_refused() -> None:
    """Compaction would keep it beside the one that it replaces."""
    override = make_override()
    assert refusal(override_key("chat-1", "*", OverrideScope.CHAT), encode_override(override)) == "key"
    assert refusal(None, encode_override(override)) == "key"


def test_the_key_names_chat_policy_and_scope_and_lets_the_chat_be_found() -> None:
    """An erasure finds all keys of a chat; quotes and blanks of an id do no harm."""
    key = override_key('a "chat"', "p", OverrideScope.CHAT)
    assert orjson.loads(key) == {"chat_id": 'a "chat"', "policy": "p", "scope": "chat"}
    assert chat_of_key(key) == 'a "chat"'


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expires_at": None}, "an allow without expires_at"),
        ({"expires_at": NOW}, "expires_at is not after decided_at"),
        ({"content_fingerprint": None}, "scope is fingerprint without content_fingerprint"),
        ({"reason": "Because I said so"}, "reason"),
        ({"actor": "Jane Doe"}, "actor"),
        ({"revision": 0}, "revision"),
    ],
)
def test_an_override_without_a_bound_is_none(fields: dict[str, Any], told: str) -> None:
    """An allow ends, and names what it allows; no free text names a person."""
    with pytest.raises(ValidationError, match=told):
        make_override(**fields)
    assert make_override(decision=Decision.BLOCK, scope=OverrideScope.CHAT, expires_at=None).expires_at is None


def test_the_audit_log_holds_no_chat_id() -> None:
    """It is kept for years, and nothing is deleted from it."""
    assert "chat_id" not in VerdictDecision.model_fields
    record = VerdictDecision(
        decision_id="d1",
        action=DecisionAction.SET,
        chat_hash="ab" * 32,
        policy="*",
        scope=OverrideScope.CHAT,
        decision=Decision.BLOCK,
        revision=7,
        decided_at=NOW,
        actor="reviewer-7",
        reason="abuse",
        source=make_override().source,
    )
    assert VerdictDecision.model_validate_json(encode_verdict_decision(record)) == record


def test_a_list_gives_a_verdict_an_id_of_its_own() -> None:
    """Readers that drop repeats by id would never see that a chat was put on a list."""
    fixed = {"chat_id": "c", "fingerprint": "f", "model_digest": "m", "rules_version": "1", "policies_digest": "p"}
    ids = {verdict_id(**fixed, listed=listed) for listed in ("", "deny", "allow")}
    assert len(ids) == 3
    assert verdict_id(**fixed) in ids

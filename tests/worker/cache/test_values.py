"""What a worker believes of a cached value, before it looks at what the verdict says."""

import orjson
import pytest

from schemas import Verdict, decode_verdict, encode_verdict
from tests.schemas.payloads import make_verdict
from worker.cache.entries import MAX_VALUE_BYTES, marker_entry
from worker.cache.values import MAX_STORED_BYTES, CacheValues, ValueRefused

OLD, NEW = b"o" * 32, b"n" * 32
VERDICT = make_verdict()
JSON = encode_verdict(VERDICT)
MARKER = marker_entry("chat-1", VERDICT.source, "schema_error").value

PLAIN = CacheValues()
SIGNING = CacheValues(signing_keys=[OLD])


def refusal(values: CacheValues, raw: object, chat_id: str = "chat-1") -> str:
    """Return why a value is refused."""
    with pytest.raises(ValueRefused) as caught:
        values.read(chat_id, raw)
    return caught.value.reason


@pytest.mark.parametrize("values", [PLAIN, SIGNING])
@pytest.mark.parametrize("value", [JSON, MARKER])
def test_what_a_worker_stored_is_read_back(values: CacheValues, value: bytes) -> None:
    """Verdicts and markers, signed and not."""
    assert orjson.loads(values.stored("chat-1", value)).items() >= orjson.loads(value).items()
    found = values.read("chat-1", values.stored("chat-1", value))
    assert found == VERDICT if value == JSON else not isinstance(found, Verdict)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(8_000_000, "too_large", id="only its length was read"),
        pytest.param(b"x" * (MAX_STORED_BYTES + 1), "too_large", id="long"),
        pytest.param(RuntimeError("WRONGTYPE"), "wrong_type", id="a list"),
        pytest.param(b"not json", "unreadable", id="no JSON"),
        pytest.param(b"{}", "unreadable", id="neither verdict nor marker"),
        pytest.param(JSON.replace(b'"F":0.52', b'"F":1.52'), "unreadable", id="a probability above 1"),
        pytest.param(JSON.replace(b'"F":0.52', b'"N":0.52'), "unreadable", id="a category is missing"),
        pytest.param(encode_verdict(VERDICT.model_copy(update={"chat_id": "chat-2"})), "chat", id="another chat's"),
    ],
)
def test_what_is_no_verdict_on_the_chat_is_refused(raw: object, reason: str) -> None:
    """Each refusal has a label of its own, so that an operator can tell a bug from an attack."""
    assert refusal(PLAIN, raw) == reason


def test_the_mac_is_the_last_member_and_a_reader_without_a_key_may_ignore_it() -> None:
    """Ad servers and workers that have no key yet go on reading."""
    signed = SIGNING.stored("chat-1", JSON)
    assert list(orjson.loads(signed))[-1] == "mac"
    assert PLAIN.read("chat-1", signed) == decode_verdict(signed) == VERDICT


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(JSON, id="unsigned"),
        pytest.param(b"", id="empty"),
        pytest.param(CacheValues(signing_keys=[NEW]).stored("chat-1", JSON), id="another key"),
        pytest.param(SIGNING.stored("chat-1", JSON).replace(b'"allow"', b'"block"'), id="another decision"),
        pytest.param(SIGNING.stored("chat-1", JSON).replace(b"}", b"} "), id="another byte"),
        pytest.param(SIGNING.stored("chat-2", JSON), id="signed for another chat"),
        pytest.param(CacheValues("other:", [OLD]).stored("chat-1", JSON), id="signed for another taxonomy's key"),
        pytest.param(JSON[:-1] + b',"mac":"' + "\u00e9".encode() * 32 + b'"}', id="no hexadecimal digits"),
    ],
)
def test_with_a_key_only_what_a_worker_signed_for_this_chat_is_read(forged: bytes) -> None:
    """Whoever may write Redis but has no key can make misses and nothing else."""
    assert refusal(SIGNING, forged) == "mac"


def test_during_a_rotation_both_keys_are_accepted_and_the_first_signs() -> None:
    """First every worker accepts the new key, then signs with it, then forgets the old one: no miss in between."""
    accepting, signing, after = CacheValues("v:", [OLD, NEW]), CacheValues("v:", [NEW, OLD]), CacheValues("v:", [NEW])
    before = CacheValues("v:", [OLD]).stored("c", JSON)
    assert accepting.stored("c", JSON) == before
    assert refusal(after, before, "c") == "mac"
    by_new = signing.stored("chat-1", JSON)
    assert all(values.read("chat-1", by_new) == VERDICT for values in (accepting, signing, after))


def test_the_longest_value_that_is_written_is_short_enough_to_be_read_when_it_is_signed() -> None:
    """A signature must not push a value over the limit."""
    longest = VERDICT.model_copy(update={"event_id": "x" * (MAX_VALUE_BYTES - len(JSON) + len("event-1"))})
    assert len(encode_verdict(longest)) == MAX_VALUE_BYTES
    assert SIGNING.read("chat-1", SIGNING.stored("chat-1", encode_verdict(longest))) == longest

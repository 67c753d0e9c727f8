"""What of the state topic counts: the newest record of each chat, where it can be read and is of this input topic."""

import pytest

from model import PolicyError
from schemas import Decision
from schemas.conversation_state import encode_state
from tests.worker.conversation.parts import T0_MS, policy, verdict
from tests.worker.payloads import kafka_settings
from worker.conversation.held_chats import Kept
from worker.conversation.holds import state_after
from worker.conversation.requirement import require_state_topic
from worker.conversation.state_reader import take


def state(offset: int) -> bytes:
    """Return the encoded state after a block."""
    made = state_after(None, verdict(offset, p=Decision.BLOCK), {"p": policy()}, offset=offset, at_ms=T0_MS)
    assert made is not None
    return encode_state(made)


def test_the_newest_record_of_a_chat_counts_and_a_null_value_forgets_it() -> None:
    """Whoever wrote it: an erasure does, too."""
    chats: dict[str, Kept] = {}
    for offset in (1, 5):
        assert take(chats, b"a", state(offset), input_end=10)
    assert chats["a"].encoded == state(5)
    assert chats["a"].until_ms == T0_MS + 3_600_000
    assert take(chats, b"a", None, input_end=10)
    assert take(chats, b"never seen", None, input_end=10)
    assert chats == {}


def test_a_state_of_an_input_topic_that_was_made_again_is_left_out() -> None:
    """Its offsets are none of the new topic's, and would hold nothing or too much."""
    chats: dict[str, Kept] = {}
    assert take(chats, b"a", state(9), input_end=10)
    assert take(chats, b"b", state(10), input_end=10)
    assert chats.keys() == {"a"}


@pytest.mark.parametrize("value", [b"", b"{", b"[]", state(1).replace(b'"schema_version":1', b'"schema_version":2')])
def test_what_cannot_be_read_is_told_and_replaces_what_was_before(value: bytes) -> None:
    """An older state of the chat would be wrong."""
    chats: dict[str, Kept] = {}
    assert take(chats, b"a", state(1), input_end=10)
    assert not take(chats, b"a", value, input_end=10)
    assert chats == {}


def test_a_state_has_some_hundred_bytes_and_grows_with_policies_only() -> None:
    """A chat of a thousand events is as small as one of two."""
    assert len(state(10**15)) - len(state(1)) == 2 * 15
    assert len(state(1)) < 300


def test_policies_that_hold_need_the_topic() -> None:
    """The error names them, the setting and the remedy; without holds, or with the topic, all is well."""
    unset, given = kafka_settings(), kafka_settings(state_topic="verdict-state")
    require_state_topic([policy(hold_s=0.0)], unset)
    require_state_topic([policy()], given)
    with pytest.raises(PolicyError, match=r"policy p, q, and kafka.state_topic is not set; .*STATE_TOPIC"):
        require_state_topic([policy(), policy("r", hold_s=0.0), policy("q")], unset)

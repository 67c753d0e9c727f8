"""What this process wrote to the cache is read back without decoding, and nothing else is."""

import pytest
from pydantic import ValidationError

from schemas import Verdict, encode_verdict
from tests.schemas.payloads import make_verdict
from worker.cache.decoded import DecodedVerdicts


def verdict_of(chat_id: str, event_id: str = "e") -> Verdict:
    """Return a verdict on this chat."""
    return make_verdict().model_copy(update={"chat_id": chat_id, "event_id": event_id})


def kept(*verdicts: Verdict, n_kept: int = 10) -> DecodedVerdicts:
    """Return what a process holds that has written these."""
    decoded = DecodedVerdicts(n_kept)
    for verdict in verdicts:
        decoded.keep(encode_verdict(verdict), verdict)
    return decoded


def test_the_bytes_that_were_written_are_not_decoded_again() -> None:
    """Decoding costs more than all other work on a hit."""
    verdict = verdict_of("chat-1")
    assert kept(verdict).verdict("chat-1", encode_verdict(verdict)) is verdict


def test_what_another_worker_wrote_since_is_decoded() -> None:
    """Redis alone says what is cached: after a rebalance, another worker's verdict stands there."""
    newer = verdict_of("chat-1", "newer")
    assert kept(verdict_of("chat-1")).verdict("chat-1", encode_verdict(newer)) == newer


def test_what_is_no_verdict_is_refused_although_one_was_written_there() -> None:
    """A value that went bad must not be answered from memory."""
    with pytest.raises(ValidationError):
        kept(verdict_of("chat-1")).verdict("chat-1", b"{}")


def test_a_decoded_verdict_equals_the_kept_one() -> None:
    """Whether a verdict was kept must not show in any field."""
    verdict = verdict_of("chat-1")
    raw = encode_verdict(verdict)
    assert kept(n_kept=0).verdict("chat-1", raw) == kept(verdict).verdict("chat-1", raw)


def test_the_chats_written_longest_ago_leave_first() -> None:
    """Memory stays flat however many chats there are; a chat that is written again counts as new."""
    first, second, third = (verdict_of(f"chat-{i}") for i in (1, 2, 3))
    decoded = kept(first, second, first, third, n_kept=2)
    assert decoded.verdict("chat-1", encode_verdict(first)) is first
    assert decoded.verdict("chat-2", encode_verdict(second)) is not second
    assert decoded.verdict("chat-3", encode_verdict(third)) is third

"""What this process wrote to the cache is read back without decoding, and nothing else is."""

import pytest

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
    assert kept(verdict).own("chat-1", encode_verdict(verdict)) is verdict


@pytest.mark.parametrize("raw", [encode_verdict(verdict_of("chat-1", "newer")), b"{}", 70_000])
def test_what_another_program_wrote_since_is_not_answered_from_memory(raw: object) -> None:
    """Redis alone says what is cached: another worker's verdict may stand there, or a value that went bad."""
    assert kept(verdict_of("chat-1")).own("chat-1", raw) is None


def test_the_chats_written_longest_ago_leave_first() -> None:
    """Memory stays flat however many chats there are; a chat that is written again counts as new."""
    first, second, third = (verdict_of(f"chat-{i}") for i in (1, 2, 3))
    decoded = kept(first, second, first, third, n_kept=2)
    assert decoded.own("chat-1", encode_verdict(first)) is first
    assert decoded.own("chat-2", encode_verdict(second)) is None
    assert decoded.own("chat-3", encode_verdict(third)) is third

"""The chats that are shown with their text."""

import io

import orjson
from rich.console import Console

from deploy.demo.__main__ import SAMPLE
from deploy.demo.events import Kind
from deploy.demo.report import print_summary
from deploy.demo.shown_chats import ShownChat, chats_to_show, with_verdicts
from deploy.demo.summary import Durations, summarise
from schemas import Decision, RejectionReason
from tests.deploy.demo.records import MODEL, dead_letter, new_account, publish, verdict

LINES = SAMPLE.read_bytes().splitlines()


def test_five_chats_of_the_sample_are_shown_with_what_they_say() -> None:
    """Tables of counts say nothing to somebody who does not know what was asked."""
    shown = chats_to_show(LINES)
    assert len({chat.chat_id for chat in shown}) == 5
    texts = {orjson.loads(line)["chat_id"]: orjson.loads(line)["messages"] for line in LINES}
    for chat in shown:
        assert chat.text in {" ".join(message["content"].split()) for message in texts[chat.chat_id]}
        assert len(chat.text) <= 90


def test_a_part_of_the_sample_shows_what_it_has() -> None:
    """`--limit 24` leaves the chosen ones out."""
    shown = chats_to_show(LINES[:24])
    assert len(shown) == 5
    assert len(chats_to_show(LINES[:1])) <= 1


def test_a_chat_is_shown_with_the_verdict_on_its_last_state() -> None:
    """An earlier state of it was judged too."""
    account = new_account()
    publish(account, 0)
    publish(account, 1, kind=Kind.EARLIER)
    account.answer(verdict(0, decision=Decision.BLOCK))
    account.answer(verdict(1))
    chats = [ShownChat("chat-0", "one [bold]"), ShownChat("chat-1", "two"), ShownChat("chat-9", "never answered")]
    found = with_verdicts(chats, account.closed())
    assert [(chat.chat_id, seen.decision) for chat, seen in found] == [("chat-0", Decision.BLOCK)]
    screen = io.StringIO()
    summary = summarise(account, Durations(5.0, 2.0, 1.0, 1.0), MODEL)
    print_summary(Console(file=screen, width=120), summary, MODEL, None, found)
    text = screen.getvalue()
    assert "one [bold]" in text
    assert text.index("one [bold]") < text.index("Verdicts by category")


def test_more_dead_letters_than_malformed_records_are_explained() -> None:
    """The sample holds a chat that says nothing: 12 malformed records and 13 dead letters looked like a fault."""
    account = new_account()
    for offset, kind in enumerate([Kind.MALFORMED, Kind.MALFORMED, Kind.CHAT]):
        publish(account, offset, kind=kind)
        account.answer(dead_letter(offset, RejectionReason.EMPTY_CONVERSATION))
    summary = summarise(account, Durations(5.0, 2.0, 1.0, 1.0), MODEL)
    assert summary.n_dead_letters_by_kind == {"malformed": 2, "chat": 1}
    screen = io.StringIO()
    print_summary(Console(file=screen, width=120), summary, MODEL, None)
    assert "= 2 that the demo made malformed + 1 of the events file itself" in screen.getvalue()

"""Fingerprint and verdict id: the same for the same content, different for any other."""

from typing import TypedDict, Unpack

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import ChatEvent, Message, Role, content_fingerprint, conversation_turns, verdict_id

Texts = list[tuple[Role, str]]

# A small alphabet that holds what the digest writes between texts makes collisions likely, if any.
TURNS = st.lists(
    st.tuples(st.sampled_from(Role), st.text(alphabet="aé 1\nuser", min_size=1, max_size=6)),
    min_size=1,
    max_size=4,
)


def _event(turns: Texts, chat_id: str = "c") -> ChatEvent:
    messages = [Message(role=role, content=text) for role, text in turns]
    return ChatEvent(chat_id=chat_id, messages=messages)


def _fingerprint(turns: Texts) -> str:
    return content_fingerprint(_event(turns))


@given(turns=TURNS, ids=st.lists(st.integers() | st.text(max_size=3) | st.none(), min_size=4))
def test_ids_clocks_and_the_event_around_do_not_change_the_fingerprint(
    turns: Texts, ids: list[int | str | None]
) -> None:
    """An upstream retry that renumbers its messages is the same content."""
    renumbered = ChatEvent(
        chat_id="other",
        messages=[
            Message(role=role, content=text, id=ids[i], created_at=ids[-1 - i]) for i, (role, text) in enumerate(turns)
        ],
        event_id=ids[0],
        occurred_at=ids[1],
        context={"a": ids},
        schema_version="1.4",
    )
    assume(conversation_turns(renumbered))
    assert content_fingerprint(renumbered) == _fingerprint(turns)


@given(first=TURNS, second=TURNS)
def test_different_conversations_have_different_fingerprints(first: Texts, second: Texts) -> None:
    """A collision would serve one chat the verdict of another."""
    same = conversation_turns(_event(first)) == conversation_turns(_event(second))
    assert (_fingerprint(first) == _fingerprint(second)) is same


U, A = Role.USER, Role.ASSISTANT


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([(U, "ab"), (U, "c")], [(U, "a"), (U, "bc")]),
        ([(U, "a"), (U, "b")], [(U, "ab")]),
        ([(U, "auser 1\nb")], [(U, "a"), (U, "b")]),
        ([(U, "a"), (U, "b")], [(U, "b"), (U, "a")]),
        ([(U, "a")], [(A, "a")]),
        ([(U, "a"), (A, "b")], [(A, "a"), (U, "b")]),
        ([(U, "a")], [(U, "a ")]),
        ([(U, "é")], [(U, "e\u0301")]),
        ([(U, "a")], [(U, "a"), (U, "a")]),
    ],
)
def test_no_trick_of_cutting_or_joining_gives_another_chat_the_same_fingerprint(first: Texts, second: Texts) -> None:
    """Lengths are part of the digest, so texts cannot imitate the borders between messages."""
    assert _fingerprint(first) != _fingerprint(second)


def test_formatted_chat_and_query_have_the_fingerprint_of_the_same_user_message() -> None:
    """The classifier sees the same text, so the cache may answer for it."""
    expected = _fingerprint([(U, "hello")])
    assert content_fingerprint(ChatEvent(chat_id="c", formatted_chat="hello")) == expected
    assert content_fingerprint(ChatEvent(chat_id="c", query="hello")) == expected


class Parts(TypedDict):
    """Arguments of verdict_id."""

    chat_id: str
    fingerprint: str
    model_digest: str
    policy_name: str
    policy_version: str


def _parts(**changes: Unpack[Parts]) -> Parts:
    return changes


BASE = _parts(chat_id="chat", fingerprint="f", model_digest="m", policy_name="p", policy_version="1")
PART = st.text(alphabet="ab1\n", max_size=3)


def test_a_verdict_id_is_the_same_every_time() -> None:
    """A redelivered event gets the id it had, in any process."""
    assert verdict_id(**BASE) == verdict_id(**BASE)
    assert len(verdict_id(**BASE)) == 32


@given(first=st.tuples(PART, PART, PART, PART, PART), second=st.tuples(PART, PART, PART, PART, PART))
def test_verdict_ids_are_equal_only_where_every_part_is_equal(
    first: tuple[str, str, str, str, str], second: tuple[str, str, str, str, str]
) -> None:
    """A character that moves from one part to the next makes another id."""
    ids = [
        verdict_id(
            chat_id=parts[0],
            fingerprint=parts[1],
            model_digest=parts[2],
            policy_name=parts[3],
            policy_version=parts[4],
        )
        for parts in (first, second)
    ]
    assert (ids[0] == ids[1]) is (first == second)

"""Which text is judged: messages, else formatted_chat, else query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    ChatEvent,
    RecordRejected,
    Role,
    Turn,
    conversation_turns,
    decode_chat_event,
    decode_conversation,
    ends_of,
    is_visible,
    kept_turns,
)
from tests.schemas.payloads import LIMITS, event_bytes

TEXTS = st.text(alphabet=st.sampled_from(["a", " ", "\u200b", "\u0301", "é", "\n"]), max_size=4)


def _turns(**fields: object) -> list[Turn]:
    return conversation_turns(decode_chat_event(event_bytes(**fields), LIMITS))


def test_messages_win_over_formatted_chat_and_query() -> None:
    """The structured form carries the roles."""
    messages = [{"role": "assistant", "content": "hi"}]
    assert _turns(messages=messages, formatted_chat="f", query="q") == [Turn(Role.ASSISTANT, "hi")]


def test_without_visible_messages_formatted_chat_is_judged() -> None:
    """A list of blank messages is as empty as no list."""
    blank = [{"role": "user", "content": "\u200b \n"}]
    for messages in ([], None, blank):
        assert _turns(messages=messages, formatted_chat="f", query="q") == [Turn(Role.USER, "f")]


def test_without_visible_formatted_chat_the_query_is_judged() -> None:
    """The last resort before `empty_conversation`."""
    for formatted_chat in (None, "", "\u2060"):
        assert _turns(messages=[], formatted_chat=formatted_chat, query="q") == [Turn(Role.USER, "q")]


def test_a_blank_message_between_others_is_passed_over() -> None:
    """It would take one of the few places in the window."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "\u200b"},
        {"role": "user", "content": "b"},
    ]
    assert _turns(messages=messages) == [Turn(Role.USER, "a"), Turn(Role.USER, "b")]


@pytest.mark.parametrize("text", ["a", "漢", "😀", "?", "\u200ba", " \u0301b", "🫨", "\U0001fae9"])
def test_text_with_anything_to_see_is_visible(text: str) -> None:
    """Emoji of a later Unicode version than Python's tables are to be seen, too."""
    assert is_visible(text)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b\u200d", "\ufeff", "\u202e", "\u0301", "\0", "\x7f"])
def test_text_with_nothing_to_see_is_not_visible(text: str) -> None:
    """White space, control and format characters, and marks that have nothing to sit on."""
    assert not is_visible(text)


@given(contents=st.lists(TEXTS, max_size=3), formatted_chat=st.none() | TEXTS, query=st.none() | TEXTS)
def test_an_event_is_decoded_exactly_where_it_has_turns(
    contents: list[str], formatted_chat: str | None, query: str | None
) -> None:
    """One rule decides what is rejected as empty and what is judged."""
    messages = [{"role": "user", "content": content} for content in contents]
    fields = {"chat_id": "c", "messages": messages, "formatted_chat": formatted_chat, "query": query}
    turns = conversation_turns(ChatEvent.model_validate(fields))
    assert all(is_visible(turn.text) for turn in turns)
    if turns:
        assert decode_conversation(event_bytes(**fields), LIMITS)[1] == turns
    else:
        with pytest.raises(RecordRejected, match="empty_conversation"):
            decode_conversation(event_bytes(**fields), LIMITS)


def test_an_ordinary_conversation_is_kept_as_it_is() -> None:
    """The same list, not a copy: it is asked for each record."""
    turns = [Turn(Role.USER, "a" * 100_000)] * 1_000
    assert kept_turns(turns) is turns


def test_of_a_very_long_conversation_the_newest_turns_and_the_first_of_the_user_are_kept() -> None:
    """Memory is bounded; the window reads the last six and the topic often stands in the first."""
    turns = [
        Turn(Role.SYSTEM, "s"),
        Turn(Role.USER, "first"),
        *(Turn(Role.USER, f"{i:05} {'x' * 94}") for i in range(5_000)),
    ]
    assert kept_turns(turns) == [turns[1], *turns[-1_000:]]


def test_turns_are_left_out_only_where_more_of_the_user_is_kept_than_is_judged() -> None:
    """Whoever judges 20,000 characters of the user sees more than that, and so knows that something is not judged."""
    turns = [Turn(Role.USER, "x")] * 9_000
    assert kept_turns(turns) == turns
    longer = [Turn(Role.USER, "xyz")] * 9_000
    assert 20_000 < sum(len(turn.text) for turn in kept_turns(longer)[1:]) < 20_010


def test_of_a_very_long_text_the_ends_are_kept() -> None:
    """What is cut once reads the same when it is cut again."""
    text = "a" * 60_000 + "b" + "c" * 60_000
    (kept,) = kept_turns([Turn(Role.USER, text)])
    assert kept.text == ends_of(text) == "a" * 50_000 + " " + "c" * 50_000
    assert ends_of(kept.text) == kept.text


def test_what_shows_only_where_nothing_is_kept_does_not_show() -> None:
    """It would be judged by nobody: the ends of such a text say nothing, and the record is rejected as empty."""
    assert not is_visible("\u200b" * 60_000 + "a" + "\u200b" * 60_000)
    assert is_visible("\u200b" * 160_000 + "a")


@pytest.mark.parametrize("text", ["\u200b" * 100 + "a", " " * 1_000_000 + "é", "\n" * 70 + "\u3164" * 70 + "漢"])
def test_a_visible_character_is_found_however_far_behind_it_stands(text: str) -> None:
    """Each character is looked at once, not each of its million copies."""
    assert is_visible(text)
    assert not is_visible(text[:-1])

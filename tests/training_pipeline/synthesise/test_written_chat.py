"""Reading what a writer wrote: any form, no other substance."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Role
from training_pipeline.synthesise.brief import Labelled, Length, Speaker
from training_pipeline.synthesise.grid import Cell
from training_pipeline.synthesise.written_chat import NotAChat, labelled_message, parse_chat

ANA, BEN, BOT = Speaker(name="ana"), Speaker(name="Ben"), Speaker(name="bot", role=Role.ASSISTANT)
CELL = Cell(
    category="question",
    number=0,
    persona="p",
    topic="t",
    tone="t",
    length=Length(name="two", messages=(2, 3), words=(1, 9)),
    language="English",
    speakers=(ANA, BEN, BOT),
)
LISTED = [{"id": 1, "speaker": "Ben", "content": "hi"}, {"id": 2, "speaker": "ana", "content": "how do I save? "}]
GOOD = orjson.dumps({"messages": LISTED}).decode()


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure, here you are:\n```\n{GOOD}\n```\nAnything else?",
        f"Here it is: {GOOD} I hope it helps.",
        orjson.dumps(LISTED).decode(),
        '{"conversation": [{"name": "BEN", "text": "hi"}, {"author": "ana", "message": "how do I save?"}]}',
    ],
)
def test_a_conversation_is_read_in_any_form(text: str) -> None:
    """Endpoints without structured output wrap their JSON in all sorts of things."""
    assert parse_chat(text, CELL, Labelled.LAST) == [
        {"id": 1, "role": "assistant", "name": "Ben", "content": "hi"},
        {"id": 2, "role": "user", "name": "ana", "content": "how do I save?"},
    ]


def listed(*pairs: tuple[Any, Any]) -> str:
    """Return an answer of these speakers and contents."""
    messages = [{"id": i, "speaker": speaker, "content": content} for i, (speaker, content) in enumerate(pairs, 1)]
    return orjson.dumps({"messages": messages}).decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not one whole JSON object"),
        (GOOD[:-20], "not one whole JSON object"),
        ("I'd rather not.", "not one whole JSON object"),
        ("{" * 100_001, "100001 characters"),
        ('{"messages": []}', "no list of messages"),
        ('{"message": "hi"}', "no list of messages"),
        ("[1, 2]", "message 1 is no object"),
        (listed(("ana", "hi")), "it has 1 messages; expected 2 to 3"),
        (listed(*[("ana", "hi")] * 4), "it has 4 messages; expected 2 to 3"),
        (listed(("ana", "hi"), ("ana", " \u200b")), "message 2 has no text"),
        (listed(("ana", "hi"), ("ana", None)), "message 2 has no text"),
        (listed(("ana", "hi"), ("ana", "x" * 8_001)), "message 2 has more than 8000 characters"),
        (listed(("ana", "hi"), ("eve", "hi")), "the speaker of message 2 is none of ana, Ben, bot"),
        (listed(("ana", "hi"), (7, "hi")), "the speaker of message 2 is none of"),
        (listed(("ana", "hi"), ("Ben", "hi")), "the message that is of the category is not written by ana"),
    ],
)
def test_anything_else_is_refused_with_a_reason_that_quotes_nothing(text: str, found: str) -> None:
    """The reason goes into the next prompt."""
    with pytest.raises(NotAChat) as caught:
        parse_chat(text, CELL, Labelled.LAST)
    assert found in caught.value.found
    assert "eve" not in caught.value.found


def test_which_message_counts_is_the_briefs_word() -> None:
    """An assistant's reply may follow the user's last message, but not where the last one counts."""
    text = listed(("ana", "how?"), ("bot", "so"))
    messages = parse_chat(text, CELL, Labelled.LAST_USER)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert (labelled_message(messages, Labelled.LAST_USER), labelled_message(messages, Labelled.LAST)) == (0, 1)
    assert len(parse_chat(text, CELL, Labelled.CONVERSATION)) == 2
    with pytest.raises(NotAChat, match="not written by ana"):
        parse_chat(text, CELL, Labelled.LAST)
    with pytest.raises(NotAChat, match="ana writes no message"):
        parse_chat(listed(("Ben", "how?"), ("bot", "so")), CELL, Labelled.CONVERSATION)


@pytest.mark.parametrize("first", [ANA, BOT])
@pytest.mark.parametrize("labelled", [Labelled.LAST, Labelled.LAST_USER])
def test_the_message_that_counts_is_the_last_one_of_the_user(first: Speaker, labelled: Labelled) -> None:
    """Training reads that one: another text must not be learnt under this one's label."""
    others = [one for one in (ANA, BEN, BOT) if one is not first]
    pairs = [(others[0].name, "one"), (others[1].name, "two"), (first.name, "three")]
    cell = CELL._replace(speakers=(first, *others))
    if labelled is Labelled.LAST_USER and first is BOT:
        with pytest.raises(NotAChat):
            parse_chat(listed(*pairs), cell, labelled)
        return
    messages = parse_chat(listed(*pairs), cell, labelled)
    assert [message["content"] for message in messages if message["role"] == "user"][-1] == "three"
    assert messages[labelled_message(messages, labelled)]["content"] == "three"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "speaker", "content", "id"]), inner),
)


@given(st.text() | VALUES.map(json.dumps))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    """What a model writes is never trusted."""
    with pytest.raises(NotAChat):
        parse_chat(text, CELL, Labelled.LAST)

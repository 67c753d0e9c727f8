"""Odd rows of newcomers' data are left out with their reason, and never trained on in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.windowing import Windowing
from schemas import taxonomy_of
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.usable import usable_chats

Write = Callable[[list[dict[str, Any]]], Path]
COMMUNITY = taxonomy_of("community")


def row(text: str, category: str, **fields: Any) -> dict[str, Any]:
    """Return one labelled chat."""
    messages = [{"role": "user", "content": text}]
    return {"chat_id": f"{text} {category}", "category": category, "messages": messages, **fields}


def read(path: Path) -> LabelledChats:
    """Read a file of community chats."""
    return read_labelled_chats([path], Windowing(), frozenset(), COMMUNITY)


GOOD = [row(f"how {n}?", "question") for n in range(3)] + [row(f"so {n}.", "comment") for n in range(3)]


def test_each_kind_of_odd_row_is_left_out_and_counted(write_chats: Write) -> None:
    """Whoever brings a table must see what became of it."""
    odd = [
        row("how 9?", "Question"),
        row("hm", "question"),
        row("hm", "comment"),
        row("the only one", "answer"),
        row("\u200b", "comment"),
    ]
    chats = usable_chats(read(write_chats([*GOOD, *odd])))
    assert chats.chat_ids == [one["chat_id"] for one in GOOD]
    assert chats.rejected == {"label_case": 1, "two_labels": 2, "category_of_one": 1, "empty_conversation": 1}


def test_the_same_text_twice_under_one_label_stays(write_chats: Write) -> None:
    """It is no contradiction."""
    path = write_chats([*GOOD, row("how 0?", "question", chat_id="again")])
    assert len(usable_chats(read(path))) == len(GOOD) + 1


def test_chats_that_say_where_they_belong_stay(write_chats: Write) -> None:
    """Their split was made before, and leaving some out would make another."""
    path = write_chats([row("hm", "question", fold="training"), row("hm", "comment", fold="held_out")])
    assert len(usable_chats(read(path))) == 2


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row("a", "Question"), row("b", "COMMENT")], "no labelled chat is left .*label_case': 2"),
        ([row("a", "question"), row("a", "comment")], "0 chats of 0 categories are left .*two_labels': 2"),
        ([row("a", "question"), row("b", "question")], "2 chats of 1 categories are left"),
    ],
)
def test_where_nothing_is_left_to_tell_apart_that_is_an_error(
    write_chats: Write, rows: list[dict[str, Any]], complaint: str
) -> None:
    """A run on nothing would end as if all were well."""
    path = write_chats(rows)
    with pytest.raises(ValueError, match=complaint):
        usable_chats(read(path))


def test_a_label_of_another_taxonomy_is_refused_with_the_taxonomys_name(write_chats: Write) -> None:
    """The usual cause is a forgotten --taxonomy."""
    with pytest.raises(
        ValueError, match=r"category is 'toxic'; expected one of .*taxonomy community 1.*name the taxon"
    ):
        read(write_chats([row("you", "toxic")]))

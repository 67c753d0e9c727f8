"""The log of reveals, preferences, and settings that no queue can have."""

import pytest
from sqlalchemy import select

from console.errors import SettingsError
from console.review.errors import WishRefused
from console.review.preferences import Preferences, prefer, preferences_of
from console.review.queue import Queue
from console.review.reveals import n_reveals
from console.store.store import Store
from console.store.tables import access_log
from schemas.erasure import chat_hash
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import item_row, put


def test_a_reveal_is_logged_without_the_chats_id(queue: Queue, store: Store) -> None:
    """Who, which item, where the text is, and the keyed hash."""
    (item_id,) = put(store, item_row(1, chat_hash=None))
    queue.log_reveal("ann", queue.item(item_id, "ann"))
    with store.reading() as connection:
        row = connection.execute(select(access_log)).mappings().one()
        assert n_reveals(connection, "ann", 0) == 1
        assert n_reveals(connection, "bob", 0) == 0
    assert (row["actor"], row["action"], row["item_id"]) == ("ann", "reveal", item_id)
    assert row["chat_hash"] == chat_hash("chat-1", b"k" * 32)
    assert row["detail"] == {"topic": "chat-events", "partition": 0, "offset": 1}


def test_each_person_has_preferences_of_their_own(store: Store) -> None:
    """A text is blurred from the start."""
    with store.writing() as connection:
        assert preferences_of(connection, "ann") == Preferences(text="blurred", greyscale=False)
        assert prefer(connection, "ann", {"text": "open"}) == Preferences(text="open")
        assert prefer(connection, "ann", {"greyscale": True}) == Preferences(text="open", greyscale=True)
    with store.reading() as connection:
        assert preferences_of(connection, "ann") == Preferences(text="open", greyscale=True)
        assert preferences_of(connection, "bob") == Preferences()


def test_starred_queues_and_saved_filters_are_kept_beside_what_stood_before(store: Store) -> None:
    """A change of one leaves the others."""
    with store.writing() as connection:
        prefer(connection, "ann", {"text": "open"})
        prefer(connection, "ann", {"starred": ["brand-17"]})
        prefer(connection, "ann", {"filters": [{"category": "M", "policy": "brand-17"}, {"category": "A"}]})
        found = preferences_of(connection, "ann").model_dump()
    assert found["text"] == "open"
    assert found["starred"] == ["brand-17"]
    assert found["filters"] == [{"category": "M", "policy": "brand-17"}, {"category": "A", "policy": None}]


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "none"},
        {"colour": True},
        {"greyscale": 1},
        {"starred": [""]},
        {"starred": ["q"] * 51},
        {"filters": [{"policy": "p"}]},
        {"filters": [{"category": "M", "policy": "a\x00"}]},
    ],
)
def test_a_preference_that_is_none_is_refused(store: Store, changes: dict[str, object]) -> None:
    """And nothing is changed."""
    with pytest.raises(WishRefused), store.writing() as connection:
        prefer(connection, "ann", changes)


@pytest.mark.parametrize(
    "settings",
    [
        {"reasons": "Not A Code"},
        {"reason_needed": "skip"},
        {"reasons": "", "reason_needed": "block"},
        {"reason_needed": "default:skip"},
        {"reason_needed": "a b:block"},
        {"reason_needed": "default:none,default:block"},
        {"reasons": "", "reason_needed": "default:block"},
    ],
)
def test_rules_that_no_answer_could_follow_stop_the_start(open_queue: OpenQueue, settings: dict[str, str]) -> None:
    """Rather than every reviewer's first answer."""
    with pytest.raises(SettingsError):
        open_queue(**settings)

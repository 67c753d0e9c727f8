"""Which state an event finds while the batch before is still being committed."""

from worker.conversation.held_chats import Change, HeldChats, Kept

PARTITION = ("chat-events", 0)


def change(offset: int, chat_id: str = "a", *, until_ms: int | None = 100) -> Change:
    """Return a change by the record at this offset; `until_ms` None: nothing is left."""
    state = None if until_ms is None else Kept(until_ms, b"state after %d" % offset)
    return Change((*PARTITION, offset), chat_id, state)


def place(offset: int) -> tuple[str, int, int]:
    """Return a record's place."""
    return (*PARTITION, offset)


def test_an_event_finds_what_batches_in_hand_noted_before_what_is_committed() -> None:
    """The newest counts, whichever batch it is of."""
    chats = HeldChats()
    chats.note(change(1))
    chats.settle([place(1)])
    chats.note(change(2))
    assert chats.find(PARTITION, "a") == b"state after 2"
    chats.note(change(3, until_ms=None))
    assert chats.find(PARTITION, "a") is None
    # The first of the two batches is committed: the second still counts.
    chats.settle([place(2)])
    assert chats.find(PARTITION, "a") is None
    chats.settle([place(3)])
    assert (chats.find(PARTITION, "a"), len(chats)) == (None, 0)


def test_a_batch_writes_the_last_change_of_each_chat_and_none_of_the_next_batch() -> None:
    """The next one is decided while this one is committed."""
    chats = HeldChats()
    for one in (change(1), change(2, "b"), change(3), change(4)):
        chats.note(one)
    assert chats.changes([place(1), place(2), place(3)]) == [change(3), change(2, "b")]


def test_partitions_do_not_see_each_other() -> None:
    """`previous` is a decision in the event's own partition."""
    chats = HeldChats()
    chats.note(change(1))
    assert chats.find(("chat-events", 1), "a") is None
    chats.release([("chat-events", 1)])
    assert chats.find(PARTITION, "a") is not None
    chats.release([PARTITION])
    assert (chats.find(PARTITION, "a"), chats.changes([place(1)])) == (None, [])


def test_what_was_aborted_is_gone() -> None:
    """It will be decided again."""
    chats = HeldChats()
    chats.note(change(1))
    chats.clear()
    assert chats.find(PARTITION, "a") is None
    assert chats.changes([place(1)]) == []


def test_sweeping_looks_at_some_chats_at_a_time_and_comes_to_all() -> None:
    """A batch pays for a few of 100,000."""
    chats = HeldChats()
    chats.restore({PARTITION: {f"c{i}": Kept(until_ms=i, encoded=b"") for i in range(10)}})
    assert chats.sweep(PARTITION, 6, n_looked_at=4) == ["c0", "c1", "c2", "c3"]
    chats.settle([])
    assert len(chats) == 6
    assert chats.sweep(PARTITION, 6, n_looked_at=4) == ["c4", "c5", "c6"]
    chats.settle([])
    assert chats.sweep(PARTITION, 6, n_looked_at=4) == []
    assert len(chats) == 3


def test_a_chat_that_speaks_is_not_swept() -> None:
    """What a batch in hand noted is newer than what the sweep sees."""
    chats = HeldChats()
    chats.restore({PARTITION: {"a": Kept(1, b"old")}})
    chats.note(change(7, until_ms=1_000))
    assert chats.sweep(PARTITION, 500, n_looked_at=10) == []
    chats.settle([place(7)])
    assert chats.find(PARTITION, "a") == b"state after 7"


def test_a_chat_that_speaks_after_it_was_swept_is_kept() -> None:
    """The next batch is decided between the sweep and its commit."""
    chats = HeldChats()
    chats.restore({PARTITION: {"a": Kept(1, b"old")}})
    assert chats.sweep(PARTITION, 500, n_looked_at=10) == ["a"]
    chats.note(change(7, until_ms=1_000))
    chats.settle([place(6)])
    assert chats.find(PARTITION, "a") == b"state after 7"
    chats.settle([place(7)])
    assert chats.find(PARTITION, "a") == b"state after 7"

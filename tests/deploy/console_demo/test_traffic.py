"""What flows into `make console`."""

from collections import defaultdict
from itertools import islice

import orjson

from deploy.console_demo.traffic import endless, states_of
from deploy.demo.__main__ import SAMPLE
from deploy.demo.events import read_lines
from deploy.demo.malformed import MALFORMED
from schemas import CodecLimits, decode_chat_event
from testkit.records import InputRecord

LIMIT = 60
LINES = read_lines(SAMPLE, limit=LIMIT)
BAD_KEYS = {key.encode() for key in MALFORMED}


def taken(n_records: int, *, seed: int = 1) -> list[InputRecord]:
    """Return the first records."""
    return list(islice(endless(LINES, seed=seed), n_records))


def test_it_never_ends_and_each_round_has_chats_of_its_own() -> None:
    """A page that is left open for an afternoon still gets new chats, none of which answers from the cache."""
    keys = {record.key for record in taken(1_000)} - BAD_KEYS
    assert len(keys) > 3 * LIMIT
    assert b"sample-0001" in keys
    assert b"sample-0001.3" in keys


def test_a_chat_only_grows_and_its_states_come_in_order() -> None:
    """An older state after a newer one would look like a fault of the pipeline."""
    lengths: defaultdict[bytes, list[int]] = defaultdict(list)
    for record in taken(1_000):
        if record.key not in BAD_KEYS:
            event = decode_chat_event(record.value, CodecLimits())
            assert event.chat_id.encode() == record.key
            lengths[event.chat_id.encode()].append(len(orjson.loads(record.value or b"")["messages"]))
    assert all(found == sorted(set(found)) for found in lengths.values())
    assert any(len(found) > 2 for found in lengths.values())


def test_a_few_records_are_malformed() -> None:
    """The page Live has dead letters to show."""
    bad = [record for record in taken(1_000) if record.key in BAD_KEYS]
    assert 5 < len(bad) < 50


def test_the_same_seed_gives_the_same_records_and_no_label_is_sent() -> None:
    """What is seen twice can be looked into; upstream knows no categories."""
    assert taken(50) == taken(50)
    assert taken(50) != taken(50, seed=2)
    (state,) = states_of({"chat_id": "a", "category": "D", "messages": [{"role": "user", "content": "x"}]}, suffix=".2")
    assert orjson.loads(state.value or b"") == {"chat_id": "a.2", "messages": [{"role": "user", "content": "x"}]}

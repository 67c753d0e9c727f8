"""Plans as the control topic holds them: of earlier releases they are read, of later ones they are left alone."""

from typing import Any

import orjson
import pytest
import structlog
from confluent_kafka import Message

from tests.worker.replay.test_parts import plan
from worker.errors import Fatal
from worker.kafka.topic_scan import ScannedRecord
from worker.replay.plan.plan_store import _decode
from worker.replay.plan.replay_plan import PLAN_FORMAT_VERSION, StoredReplay


def stored(**fields: Any) -> ScannedRecord:
    """Return a record of the control topic, with `fields` laid over the plan."""
    document = orjson.loads(StoredReplay(format_version=PLAN_FORMAT_VERSION, plan=plan()).model_dump_json())
    return holding(orjson.dumps(document | fields))


def holding(value: bytes) -> ScannedRecord:
    """Return a record of the control topic with this value."""
    return ScannedRecord(Message(topic="verdict-replays", partition=0, offset=7, key=b"r1", value=value))


def test_a_plan_of_this_release_comes_back() -> None:
    """Every process of the replay reads what the first one wrote."""
    found = _decode(stored())
    assert found == StoredReplay(format_version=PLAN_FORMAT_VERSION, plan=plan())


def test_a_plan_of_format_1_is_read() -> None:
    """It named no version; finished redrives are known by it, and must not be done twice."""
    document = orjson.loads(stored().value or b"")
    del document["format_version"]
    for name in ("policies_digest", "taxonomy"):
        del document["plan"]["request"][name]
    found = _decode(holding(orjson.dumps(document)))
    assert found is not None
    assert (found.format_version, found.plan) == (1, plan())


def test_a_plan_of_a_later_release_is_skipped_and_told() -> None:
    """Nobody here can tell what it stands for; the other replays must go on all the same."""
    with structlog.testing.capture_logs() as lines:
        assert _decode(stored(format_version=PLAN_FORMAT_VERSION + 1, plan={"another": "form"})) is None
    (line,) = lines
    assert (line["event"], line["log_level"], line["replay_id"]) == ("replay_plan_skipped", "warning", "r1")
    assert (line["format_version"], line["known_format_version"]) == (PLAN_FORMAT_VERSION + 1, PLAN_FORMAT_VERSION)


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"7", b'{"plan":{}}', b'{"format_version":"3"}', b'{"format_version":0}']
)
def test_what_is_no_plan_is_refused(value: bytes) -> None:
    """With the key by which it can be deleted."""
    with pytest.raises(Fatal, match=r"not the plan of a replay of this version.*tombstone for key 'r1'"):
        _decode(holding(value))

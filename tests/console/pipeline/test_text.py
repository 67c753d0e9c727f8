"""A chat's text, read where its verdict says it lies."""

import base64
from typing import Any

import orjson
import pytest

from console.pipeline.errors import PipelineAway
from console.pipeline.text import ChatText, Texts
from schemas import Role, Turn
from tests.broker_twin.clients import write
from tests.brokers import Broker, unique
from tests.console.operations import worker_settings
from worker.kafka.record_fetch import RecordFetcher

CHAT = "chat \u202e 'one' /../%00"
MESSAGES = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "first"},
    {"role": "user", "content": "\u200b"},
    {"role": "assistant", "content": "an answer"},
    {"role": "user", "content": "second"},
    {"role": "assistant", "content": "another"},
]


def event(**fields: Any) -> bytes:
    """Return a record's value."""
    return orjson.dumps({"chat_id": CHAT, "event_id": 7, "messages": MESSAGES, **fields})


def texts(broker: Broker, monkeypatch: pytest.MonkeyPatch, **kafka: str) -> Texts:
    """Return what reads the broker's topics."""

    def open_fetcher(_settings: object, name: str) -> RecordFetcher:
        config = {"group.id": unique(name), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        return RecordFetcher(broker.consumer(config | {"enable.auto.commit": False}), timeout_s=10)

    monkeypatch.setattr("console.pipeline.text.open_fetcher", open_fetcher)
    return Texts(worker_settings(**kafka))


def test_the_turns_are_those_of_the_record(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the newest of the user's marked; what shows nothing is no turn. Another chat's record is nobody's to see."""
    topic = unique("events")
    broker.create_topics({topic: 2})
    found_in = texts(broker, monkeypatch)
    long = "word " * 150_000
    values = [event(), event(chat_id="another"), b"no json", event(messages=[{"role": "user", "content": long}])]
    write(broker, topic, values, partition=1)
    found = found_in.of(topic, 1, 0, CHAT)
    assert isinstance(found, ChatText)
    assert found.turns == [
        Turn(Role.SYSTEM, "be kind"),
        Turn(Role.USER, "first"),
        Turn(Role.ASSISTANT, "an answer"),
        Turn(Role.USER, "second"),
        Turn(Role.ASSISTANT, "another"),
    ]
    assert (found.is_deciding, found.event_id) == (3, 7)
    assert found_in.of(topic, 1, 1, CHAT) is None
    assert found_in.of(topic, 1, 2, CHAT) is None
    whole = found_in.of(topic, 1, 3, CHAT)
    assert whole is not None
    assert whole.turns[0].text == long
    assert whole.fingerprint != found.fingerprint
    broker.delete_records(topic, 1, before=2)
    assert found_in.of(topic, 1, 0, CHAT) is None
    assert found_in.of(topic, 1, 4, CHAT) is None
    assert found_in.of(topic, 0, 0, CHAT) is None
    found_in.close()


def test_an_envelope_is_taken_off(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the worker takes it off; a record without one is read as it is."""
    topic = unique("events")
    broker.create_topics({topic: 1})
    found_in = texts(broker, monkeypatch, value_format="cloudevents")
    inside = {"specversion": "1.0", "id": "1", "source": "/x", "type": "chat"}
    wrapped = orjson.dumps(inside | {"data_base64": base64.b64encode(event()).decode()})
    write(broker, topic, [wrapped, event()])
    first, second = found_in.of(topic, 0, 0, CHAT), found_in.of(topic, 0, 1, CHAT)
    assert first is not None
    assert first == second
    found_in.close()


def test_a_chat_of_no_user_has_no_deciding_turn(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the model spoke, or a tool."""
    topic = unique("events")
    broker.create_topics({topic: 1})
    found_in = texts(broker, monkeypatch)
    write(broker, topic, [event(messages=[{"role": "assistant", "content": "hello"}])])
    found = found_in.of(topic, 0, 0, CHAT)
    assert found is not None
    assert found.is_deciding is None
    found_in.close()


@pytest.mark.services
def test_brokers_that_do_not_answer_are_away() -> None:
    """Within seconds, however long the worker would wait."""
    found_in = Texts(worker_settings())
    with pytest.raises(PipelineAway, match="chat-events"):
        found_in.of("chat-events", 0, 0, CHAT)
    found_in.close()

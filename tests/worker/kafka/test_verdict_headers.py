"""CloudEvents attributes and the schema header on the messages of a batch, and the settings that ask for them."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from schemas import encode_verdict
from schemas.verdict_headers import VerdictHeaders
from tests.worker.payloads import TOPICS, kafka_settings, record
from tests.worker.test_outcome_encoding import REJECTION, settled, size, verdict
from worker.outcome_encoding import OutputTopics
from worker.record import Row

GUID = "6f1ed002-ab5a-4b0c-8f2e-1f0d5b6b3c11"
HEADERS = VerdictHeaders("/verdictstream", UUID(GUID))


def topics(limit: int) -> OutputTopics:
    """Return topics of this limit whose verdicts carry both."""
    return OutputTopics("verdicts", "chat-events.dlq", limit, limit, verdict_headers=HEADERS)


def test_verdicts_carry_them_and_dead_letters_do_not() -> None:
    """After what is forwarded; the value stays the verdict alone."""
    one = record(1)._replace(headers=(("traceparent", b"1"),))
    judged, letter = settled([Row(one, verdict=verdict(1)), Row(one, rejection=REJECTION)], topics(1_000_000))
    assert judged.headers == (("traceparent", b"1"), *HEADERS.of(verdict(1)))
    assert judged.value == encode_verdict(verdict(1))
    assert not {name for name, _ in letter.headers} & {name for name, _ in judged.headers[1:]}


def test_without_a_setting_nothing_changes() -> None:
    """The default."""
    (message,) = settled([Row(record(1), verdict=verdict(1))], TOPICS)
    assert message.headers == ()
    assert kafka_settings().verdict_headers == TOPICS.verdict_headers == VerdictHeaders()


def test_a_message_with_all_headers_fits_its_topic() -> None:
    """The broker would refuse it for ever: what does not fit becomes a dead letter."""
    forwarded = (("traceparent", b"x" * 2_900),)
    longest = verdict(1).model_copy(update={"chat_id": "\U0001f600" * 256})
    n_bytes = len(encode_verdict(longest))
    row = Row(record(1)._replace(headers=forwarded), verdict=longest)
    (message,) = settled([row], topics(n_bytes + 7_500))
    assert message.topic == "verdicts"
    assert size(message) <= n_bytes + 7_500
    (letter,) = settled([Row(record(1), verdict=longest)], topics(n_bytes + 7_499))
    assert letter.topic == "chat-events.dlq"


def test_the_settings_ask_for_them() -> None:
    """A source and a GUID, each by itself."""
    settings = kafka_settings(cloudevents_source="/verdictstream", verdict_schema_guid=GUID)
    assert settings.verdict_headers == HEADERS
    assert kafka_settings(verdict_schema_guid=GUID).verdict_headers == VerdictHeaders(schema_guid=UUID(GUID))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cloudevents_source": ""}, "cloudevents_source"),
        ({"cloudevents_source": "a b"}, "cloudevents_source"),
        ({"cloudevents_source": "ü"}, "cloudevents_source"),
        ({"cloudevents_source": "x" * 257}, "cloudevents_source"),
        ({"verdict_schema_guid": "7"}, "verdict_schema_guid"),
        ({"cloudevents_source": "/v", "forward_headers": "ce_id,x"}, "forward_headers names ce_id, which"),
        ({"verdict_schema_guid": GUID, "forward_headers": "__value_schema_id"}, "forward_headers names __value_schema"),
    ],
)
def test_what_no_consumer_could_read_is_refused_at_start(fields: dict[str, str], said: str) -> None:
    """And so is a header with two writers."""
    with pytest.raises(ValidationError, match=said):
        kafka_settings(**fields)
    assert kafka_settings(forward_headers="ce_id,__value_schema_id").forward_headers

"""Send one message outside any transaction, for a command that a person waits for."""

from typing import Any

from worker.errors import Fatal
from worker.kafka.client import open_producer
from worker.kafka.config import FALLBACK_MAX_MESSAGE_BYTES
from worker.kafka.errors import describe, fatal_while
from worker.kafka.probe import open_admin
from worker.kafka.ranges import missing_topics
from worker.settings.kafka import KafkaSettings


def send_one(settings: KafkaSettings, topic: str, *, key: bytes, value: bytes) -> str:
    """Send a message and wait until the brokers have it.

    Returns:
        Where it lies, `topic[partition]@offset`.

    Raises:
        Fatal: the brokers do not answer, the topic is missing, or they do not take it.
    """
    doing = f"writing to topic {topic}"
    admin = open_admin(settings)
    with fatal_while(doing):
        # A broker that creates what it is asked for would hide a name that is misspelt.
        if missing_topics(admin, [topic], timeout_s=settings.request_timeout_s):
            raise Fatal(
                f"Kafka lacks topic {topic}, or does not show it; expected it there; create it "
                "(`python -m deploy.kafka topics`), or grant Write"
            )
        limit = FALLBACK_MAX_MESSAGE_BYTES
        producer = open_producer(settings, transactional_id=None, max_message_bytes=limit, min_message_bytes=limit)
        answers: list[tuple[Any, Any]] = []
        producer.produce(topic, value=value, key=key, on_delivery=lambda *answer: answers.append(answer))
        producer.flush(settings.request_timeout_s)
    if not answers:
        raise Fatal(
            f"{doing}: no answer within {settings.request_timeout_s:g} s; expected an acknowledgement; check the "
            "brokers and send it again"
        )
    error, message = answers[0]
    if error is not None:
        raise Fatal(f"{doing}: {describe(error)}; expected an acknowledgement; check the topic and the right to write")
    return f"{topic}[{message.partition()}]@{message.offset()}"

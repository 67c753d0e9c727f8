"""Send the shipped sample chats as events, as an upstream service would.

Usage: send_chats.py BOOTSTRAP_SERVERS [TOPIC]; the topic is `chat-events` where none is given.
"""

import json
import sys
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

CHATS = Path(__file__).parents[1] / "data" / "sample" / "chats.jsonl"


def run(bootstrap_servers: str, topic: str) -> None:
    """Send every chat once; its event_id is the id of its last message."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            # As Java's clients do it; librdkafka's default puts the same key into another partition.
            "partitioner": "murmur2_random",
        }
    )

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            raise KafkaException(error)

    n_sent = 0
    for line in CHATS.read_text("utf-8").splitlines():
        chat = json.loads(line)
        event = {
            "chat_id": chat["chat_id"],
            "event_id": chat["messages"][-1]["id"],
            "messages": chat["messages"],
        }
        producer.produce(topic, key=chat["chat_id"], value=json.dumps(event), on_delivery=on_delivery)
        producer.poll(0)
        n_sent += 1
    producer.flush()
    print(json.dumps({"n_sent": n_sent}))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "chat-events")

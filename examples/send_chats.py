"""Send the shipped sample chats as events, as an upstream service would.

Exit codes: 0 all chats are acknowledged; 1 Kafka did not take them; 2 wrong usage.
"""

import argparse
import json
import sys
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

WAIT_S = 15
"""How long Kafka may take to acknowledge."""
CHATS = Path(__file__).parents[1] / "data" / "sample" / "chats.jsonl"


def run(bootstrap_servers: str, topic: str) -> None:
    """Send every chat once; its event_id is the id of its last message.

    Raises:
        SystemExit: Kafka refused a chat, or did not acknowledge all in time.
    """
    refusals: list[str] = []
    connection_errors: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            # As Java's clients do it; librdkafka's default puts the same key into another partition.
            "partitioner": "murmur2_random",
            "error_cb": lambda error: connection_errors.append(error.str()),
            # Told by `error_cb`, once.
            "log_level": 2,
        }
    )

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refusals.append(error.str())

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
    n_left = producer.flush(WAIT_S)
    if n_left or refusals:
        reason = (refusals or connection_errors or ["no answer"])[-1]
        print(
            f"error: {n_left + len(refusals)} of {n_sent} chats were not acknowledged by Kafka at {bootstrap_servers} "
            f"within {WAIT_S} s: {reason}; check the address and that topic {topic} is there",
            file=sys.stderr,
        )
        sys.exit(1)
    print(json.dumps({"n_sent": n_sent}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bootstrap_servers", metavar="BOOTSTRAP_SERVERS")
    arguments.add_argument("topic", metavar="TOPIC", nargs="?", default="chat-events", help="default: %(default)s")
    given = arguments.parse_args()
    run(given.bootstrap_servers, given.topic)

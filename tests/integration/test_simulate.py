"""`policy simulate` over a real topic: committed records between two times, and nothing is written."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from schemas import encode_verdict
from tests.command_line import Ended, run_main
from tests.worker.simulate.cases import STRICT, shipped, verdicts

START_MS = 1_790_000_000_000
N = 40


@pytest.fixture
def topic(stack: LocalStack) -> str:
    """Return a topic with 40 committed verdicts, a second apart, as many aborted ones, and a tombstone."""
    name = f"verdicts-{uuid4().hex[:8]}"
    stack.kafka.create_topics({name: 3})
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "transactional.id": name, "log_level": 0})
    producer.init_transactions()
    found = verdicts(shipped(), N)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for number, verdict in enumerate(found):
            at_ms, key = START_MS + 1_000 * number, verdict.chat_id.encode()
            producer.produce(name, encode_verdict(verdict), key, timestamp=at_ms)
        producer.produce(name, None, b"chat-0", timestamp=START_MS)
        end()
    return name


def run(stack: LocalStack, topic: str, policy: Path, *options: str) -> Ended:
    """Run the command."""
    return run_main(
        "worker",
        "policy",
        "simulate",
        "--policy",
        policy,
        "--json",
        *options,
        environment={
            "MODERATION_KAFKA__BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "MODERATION_KAFKA__VERDICT_TOPIC": topic,
        },
    )


def test_a_topic_is_read_between_two_times(stack: LocalStack, topic: str, tmp_path: Path) -> None:
    """The configured verdict topic, or the one that is named; aborted verdicts were never given."""
    policy = tmp_path / "strict.toml"
    policy.write_text(STRICT)

    def account(*options: str) -> dict[str, Any]:
        done = run(stack, topic, policy, *options)
        assert done.returncode == 0, done.stderr
        line: dict[str, Any] = orjson.loads(done.stdout)
        return line

    everything = account()
    assert (everything["n_compared"], everything["n_set_aside"]) == (N, {})
    assert account("--verdicts", topic) == everything
    assert account("--newest")["n_compared"] == N
    between = account("--from-time", str(START_MS + 10_000), "--to-time", str(START_MS + 25_000))
    assert between["n_compared"] == 15


def test_a_topic_that_is_not_there_is_named(stack: LocalStack, tmp_path: Path) -> None:
    """It may as well be a file whose name has a typo."""
    policy = tmp_path / "strict.toml"
    policy.write_text(STRICT)
    done = run(stack, "verdicts-nowhere", policy)
    assert done.returncode == 3
    assert b"Kafka lacks the topic verdicts-nowhere, and there is no such file" in done.stderr

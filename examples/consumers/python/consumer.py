"""Read verdicts, keep the newest of each chat; print one JSON line per verdict and, on SIGTERM or Ctrl-C, an account.

Usage: consumer.py BOOTSTRAP_SERVERS [TOPIC]; the topic is `verdicts` where none is given.
`generated/verdict.py` and `generated/verdict_v1.py` are made from the JSON Schemas by datamodel-codegen.
"""

import json
import signal
import sys
from collections import Counter
from typing import Any

from confluent_kafka import Consumer, KafkaException
from generated.verdict import Verdict as VerdictV2
from generated.verdict_v1 import VerdictV1

Verdict = VerdictV2 | VerdictV1
VERSIONS = {1: VerdictV1, 2: VerdictV2}


class Newest:
    """The newest verdict of each chat."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.counts = Counter(new=0, repeat=0, older=0)

    def take(self, verdict: Verdict) -> str:
        """Hold the verdict unless it is older; say whether it is new, a repeat or older."""
        held = self.verdicts.get(verdict.chat_id)
        if held is None:
            kind = "new"
        elif is_older(verdict, held):
            kind = "older"
        else:
            kind = "repeat" if verdict.verdict_id == held.verdict_id else "new"
        self.counts[kind] += 1
        if kind != "older":
            # A repeat asks for no action, but it moves the place that later verdicts are compared with.
            self.verdicts[verdict.chat_id] = verdict
        return kind

    def account(self) -> dict[str, Any]:
        """Return the counts of everything read and of what is held."""
        decisions = Counter(held.decision.value for held in self.verdicts.values())
        return {
            "n_verdicts": self.counts.total(),
            "by_kind": dict(self.counts),
            "n_chats": len(self.verdicts),
            "by_decision": dict(sorted(decisions.items())),
        }


def is_older(verdict: Verdict, held: Verdict) -> bool:
    """Say whether a verdict is older than the one held for its chat, as schemas/README.md defines it."""
    a, b = verdict.source, held.source
    if (a.topic, a.partition) != (b.topic, b.partition):
        return a.timestamp_ms < b.timestamp_ms
    if a.offset != b.offset:
        return a.offset < b.offset
    # The same event: a person's decision stands above those before it.
    if override_revision(verdict) != override_revision(held):
        return override_revision(verdict) < override_revision(held)
    # Judged again: versions compare under one name only.
    for new, old in ((verdict.model, held.model), (verdict.policy, held.policy)):
        if new.name != old.name:
            return False
        if numbers(new.version) != numbers(old.version):
            return numbers(new.version) < numbers(old.version)
    return False


def numbers(version: str) -> list[int]:
    """Return a dotted version as numbers: 1.10 is newer than 1.9, and 1.0 is 1."""
    parts = [int(part) for part in version.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def decode(value: bytes) -> Verdict:
    """Read a verdict of either version; raises where its version or anything else is not as the schema says."""
    version = json.loads(value)["schema_version"]
    if version not in VERSIONS:
        raise ValueError(f"found schema_version {version}, expected 1 or 2; generate the types from the newer schema")
    return VERSIONS[version].model_validate_json(value)


def taxonomy_of(verdict: Verdict) -> str:
    """Return the taxonomy that the category is of; version 1 knew one."""
    return verdict.taxonomy.name if isinstance(verdict, VerdictV2) else "chat-13"


def override_revision(verdict: Verdict) -> int:
    """Return 0 for an event's own verdict; version 1 knew no other."""
    return verdict.override_revision if isinstance(verdict, VerdictV2) else 0


def line_of(verdict: Verdict, kind: str) -> dict[str, Any]:
    """Return what is printed for a verdict; a real program would act here, on `new` alone."""
    return {
        "kind": kind,
        "chat_id": verdict.chat_id,
        "offset": verdict.source.offset,
        "taxonomy": taxonomy_of(verdict),
        "decision": verdict.decision.value,
        "verdict_id": verdict.verdict_id,
    }


def run(bootstrap_servers: str, topic: str) -> None:
    """Read until a signal comes."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopped.append(received))
    newest = Newest()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "example-consumer-python",
            # librdkafka's default, said because Java's is another.
            "isolation.level": "read_committed",
            # What is held lies in memory, so each start reads from the first record and nothing is committed.
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    while not stopped:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        verdict = decode(message.value())
        print(json.dumps(line_of(verdict, newest.take(verdict))), flush=True)
    consumer.close()
    print(json.dumps(newest.account()), flush=True)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "verdicts")

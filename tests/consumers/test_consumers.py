"""Readers that no one here wrote: generated types, each language's own client, real verdicts and the hard ones."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.local import LocalStack
from schemas import decode_verdict
from testkit.reader import BackgroundReader, read_all
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.consumers.conftest import StartExample
from tests.consumers.example import Example, build, require
from tests.consumers.readme import REPOSITORY, commands
from tests.consumers.verdict_topic import ROWS, Row, VerdictTopic, expected_account, expected_lines
from tests.integration.workers import worker_process

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

N_PARTITIONS = 3
CONSUMERS = [
    Example("Java", ("java", "javac", "mvn")),
    Example("Node", ("node", "npm")),
    Example("Go", ("go",)),
    Example("Python", ("python3",)),
]


def send_chats(stack: LocalStack, topic: str) -> None:
    """Send the sample chats by the command that the README gives."""
    command = [sys.executable, "examples/send_chats.py", stack.bootstrap_servers, topic]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def verdicts(
    stack: LocalStack, sample_chats: list[dict[str, Any]], bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> VerdictTopic:
    """Return a topic with a real worker's verdicts on the sample chats, and with what only time brings."""
    mark = uuid4().hex[:8]
    topics = Topics(
        stack.bootstrap_servers,
        f"chat-events-{mark}",
        f"verdicts-{mark}",
        f"chat-events.dlq-{mark}",
        f"group-{mark}",
        N_PARTITIONS,
    )
    stack.kafka.create_topics(dict.fromkeys(topics.names, N_PARTITIONS))
    send_chats(stack, topics.events)
    settings = {**topics.worker_settings(), "MODERATION_MODEL__PATH": str(bundle_path)}
    worker = worker_process(settings, tmp_path_factory.mktemp("worker") / "worker.log")
    reader = BackgroundReader(topics, lambda *_: None)
    wait_until(
        lambda: reader.n_read >= len(sample_chats),
        timeout_s=120,
        what=lambda: f"{reader.n_read} of {len(sample_chats)} verdicts: {worker.tail()}",
    )
    reader.close()
    assert worker.stop() == 0
    topic = VerdictTopic(stack.bootstrap_servers, topics.verdicts, N_PARTITIONS)
    topic.rows += [
        Row(decode_verdict(record.value or b""), "new") for record in read_all(stack.bootstrap_servers, [topic.topic])
    ]
    topic.abort(topic.rows[:50])
    topic.commit(ROWS)
    topic.abort(ROWS)
    topic.close_partitions()
    return topic


@pytest.mark.parametrize("example", CONSUMERS, ids=lambda example: example.heading)
def test_a_reader_with_generated_types_holds_what_the_topic_holds(
    example: Example, verdicts: VerdictTopic, stack: LocalStack, start_example: StartExample
) -> None:
    """A team that has nothing but the schemas must reach the same decisions: all verdicts, 64 bits, none aborted."""
    build(example)
    reader = start_example(example, verdicts.topic, MODERATION_KAFKA__BOOTSTRAP_SERVERS=stack.bootstrap_servers)
    reader.wait_for_lines(len(verdicts.rows))
    assert reader.stop() == 0, reader.errors()
    *lines, account = reader.lines()
    by_chat = defaultdict(list)
    for line in lines:
        by_chat[line["chat_id"]].append(line)
    assert by_chat == expected_lines(verdicts.rows)
    assert account == expected_account(verdicts.rows)


@pytest.mark.parametrize("example", CONSUMERS, ids=lambda example: example.heading)
def test_a_reader_ends_with_an_error_on_a_schema_version_that_it_does_not_know(
    example: Example, stack: LocalStack, start_example: StartExample
) -> None:
    """A wrong reading of a later format would be acted on; an end is noticed."""
    build(example)
    topic = f"verdicts-{uuid4().hex[:8]}"
    stack.kafka.create_topics({topic: 1})
    writer = VerdictTopic(stack.bootstrap_servers, topic, 1)
    writer.commit_later_version(ROWS[0].verdict)
    reader = start_example(example, topic, MODERATION_KAFKA__BOOTSTRAP_SERVERS=stack.bootstrap_servers)
    assert reader.wait_exit() not in (0, None)
    assert "schema_version" in reader.errors()
    assert reader.lines() == []


def test_a_missing_tool_is_named_and_fails_in_ci_only() -> None:
    """A CI that has lost its Java must not pass; a laptop without Java must."""
    example = Example("Cobol", ("cobc", "sh"))
    with pytest.raises(pytest.fail.Exception, match="example Cobol: no cobc, sh on PATH"):
        require(example, {"CI": "true", "PATH": ""})
    with pytest.raises(pytest.skip.Exception, match="example Cobol: no cobc, sh on PATH"):
        require(example, {"PATH": ""})


def test_the_readme_has_commands_for_every_folder() -> None:
    """An example that the README does not run is neither found nor tested."""
    folders = {path.name for path in (REPOSITORY / "examples" / "consumers").iterdir()} | {"ad-server"}
    text = "\n".join(commands(heading).run for heading in [*(c.heading for c in CONSUMERS), "Ad server"])
    assert {folder for folder in folders if f"/{folder}/" in text} == folders

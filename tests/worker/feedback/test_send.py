"""A report from the shell: on a verdict that is known only, and refused before anything is connected."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas import Feedback, decode_feedback
from tests.schemas.payloads import make_verdict
from worker.__main__ import app
from worker.errors import SettingsError
from worker.feedback import command
from worker.process import logs
from worker.process.lifecycle import EXIT_NOT_CACHED, EXIT_USAGE
from worker.settings.kafka import KafkaSettings

RUNNER = CliRunner()
SETTINGS = {
    "MODERATION_KAFKA__BOOTSTRAP_SERVERS": "localhost:1",
    "MODERATION_KAFKA__FEEDBACK_TOPIC": "verdict-feedback",
}
VERDICT = make_verdict()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, Feedback]]:
    """Let what is sent end in a list."""
    found: list[tuple[str, bytes, Feedback]] = []

    def send(_: KafkaSettings, topic: str, *, key: bytes, value: bytes) -> str:
        found.append((topic, key, decode_feedback(value)))
        return f"{topic}[0]@7"

    monkeypatch.setattr(command, "send_one", send)
    monkeypatch.setattr(logs, "configure", lambda _: None)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return found


def send(*options: str, given: str | None = None) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    result = RUNNER.invoke(app, ["feedback", "send", "--reporter", "r-1", *options], input=given)
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return result.exit_code, result.output


def test_a_report_on_a_verdict_from_stdin_or_a_file_is_sent_under_its_verdict_id(
    sent: list[tuple[str, bytes, Feedback]], tmp_path: Path
) -> None:
    """As `worker show --json` prints it, with the event and the text that it is about and without the chat's id."""
    raw = VERDICT.model_dump_json()
    (tmp_path / "verdict.json").write_text(raw)
    assert send("--verdict", "-", "--category", "D", "--note", "no", given=raw)[0] == 0
    code, output = send("--verdict", str(tmp_path / "verdict.json"), "--decision", "block", "--json")
    assert (code, '"place":"verdict-feedback[0]@7"' in output) == (0, True)
    (topic, key, first), (_, _, second) = sent
    assert (topic, key) == ("verdict-feedback", VERDICT.verdict_id.encode())
    assert (first.category, first.note, first.source) == ("D", "no", VERDICT.source)
    assert (first.fingerprint, first.chat_id) == (VERDICT.content_fingerprint, None)
    assert (second.category, second.decision) == (None, "block")


def test_another_verdict_than_was_meant_is_not_reported(sent: list[tuple[str, bytes, Feedback]]) -> None:
    """The chat has gone on meanwhile: exit code 5, and nothing is sent."""
    code, output = send("--verdict", "-", "--category", "D", "--verdict-id", "ab" * 16, given=VERDICT.model_dump_json())
    assert code == EXIT_NOT_CACHED
    assert f"found verdict {VERDICT.verdict_id} in --verdict; expected {'ab' * 16}" in output
    assert "nothing was sent" in output
    assert "in --verdict" in output
    assert not sent


def test_a_chat_without_a_verdict_is_told_by_its_id(
    sent: list[tuple[str, bytes, Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where it was looked for."""
    monkeypatch.setattr(command, "_cached", lambda *_: None)
    code, output = send("--chat-id", "chat-9", "--category", "D")
    assert code == EXIT_NOT_CACHED
    assert "found no verdict of chat 'chat-9' in the cache; expected one; nothing was sent; check the id" in output
    assert not sent


def test_a_chat_without_a_verdict_is_told_with_what_to_give_in_its_place(
    sent: list[tuple[str, bytes, Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache forgets after its TTL; the topic may still have the verdict."""
    monkeypatch.setenv("MODERATION_REDIS__URL", "redis://localhost:1/0")
    monkeypatch.setattr(command, "cached_outcome", lambda *_, **__: None)
    code, output = send("--chat-id", "c", "--category", "D")
    assert code == EXIT_NOT_CACHED
    assert "nothing was sent; check the id, or give the verdict from its topic by --verdict" in output
    assert not sent


def test_a_report_that_says_nothing_names_the_two_options(sent: list[tuple[str, bytes, Feedback]]) -> None:
    """Before the cache is asked."""
    with pytest.raises(SettingsError, match="neither --category nor --decision"):
        send("--verdict", "-", given=VERDICT.model_dump_json())
    assert not sent


@pytest.mark.parametrize("options", [["--category", "question"], ["--category", "D", "--note", "x" * 1_001]])
def test_a_report_that_says_nothing_that_can_be_used_is_refused(
    sent: list[tuple[str, bytes, Feedback]], options: list[str]
) -> None:
    """Exit code 2 and what was expected."""
    code, output = send("--verdict", "-", *options, given=VERDICT.model_dump_json())
    assert code == EXIT_USAGE
    assert "expected" in output
    assert not sent


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "exactly one"),
        (["--chat-id", "c", "--verdict", "-"], "exactly one"),
        (["--chat-id", "c"], "REDIS__URL"),
        (["--verdict", "-"], "holds no verdict"),
        (["--verdict", "/nowhere/verdict.json"], "cannot be read"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_connected(
    sent: list[tuple[str, bytes, Feedback]], options: list[str], told: str
) -> None:
    """Each with its remedy."""
    with pytest.raises(SettingsError, match=told):
        send(*options, "--category", "D", given="{}")
    assert not sent


def test_without_a_topic_the_setting_is_named(
    sent: list[tuple[str, bytes, Feedback]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic is opt-in."""
    monkeypatch.delenv("MODERATION_KAFKA__FEEDBACK_TOPIC")
    with pytest.raises(SettingsError, match="MODERATION_KAFKA__FEEDBACK_TOPIC"):
        send("--verdict", "-", "--category", "D", given=VERDICT.model_dump_json())
    assert not sent

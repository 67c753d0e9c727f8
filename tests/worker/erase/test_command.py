"""What the command refuses before it connects to anything."""

from pathlib import Path

import pytest

from worker.erase import command
from worker.erase.account import Account
from worker.erase.command import erase
from worker.errors import SettingsError

# The command sets the process's logging up.
pytestmark = pytest.mark.usefixtures("default_logging_after")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an address that nobody listens on: a connection would be an error of another kind."""
    monkeypatch.setenv("MODERATION_KAFKA__BOOTSTRAP_SERVERS", "localhost:1")


def test_an_erasure_of_nobody_is_refused(tmp_path: Path) -> None:
    """An empty file is a mistake upstream of it, and would look like a success."""
    empty = tmp_path / "chats.txt"
    empty.write_text("\n  \n")
    with pytest.raises(SettingsError, match="no chat is named"):
        erase(chat_id=[])
    with pytest.raises(SettingsError, match="no chat is named"):
        erase(chats_file=empty)


@pytest.mark.parametrize(("topic", "is_missed"), [("verdict-erasures", False), (None, True)])
def test_a_dry_run_misses_the_list_of_erased_chats_only_where_none_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], topic: str | None, is_missed: bool
) -> None:
    """It lists nobody; that is no reason to tell people that their setting is not there."""
    if topic is not None:
        monkeypatch.setenv("MODERATION_KAFKA__ERASURES_TOPIC", topic)
        monkeypatch.setenv("MODERATION_ERASURE__HASH_KEY", "k" * 32)
    ended: list[int] = []
    monkeypatch.setattr(command, "_run", _nothing_found)
    monkeypatch.setattr(command, "exit_now", ended.append)
    erase(chat_id=["chat-1"], dry_run=True)
    assert ended == [0]
    assert ("kafka.erasures_topic is not set" in capsys.readouterr().out) == is_missed


def _nothing_found(*given: object, **_: object) -> None:
    """Search nowhere."""
    assert any(isinstance(one, Account) for one in given)


@pytest.mark.parametrize("chat_id", ["x" * 257, "", "\udcff"], ids=["too long", "empty", "no text"])
def test_what_can_be_no_chat_id_is_refused_and_not_quoted(chat_id: str) -> None:
    """A whole line of a CSV, say; and what is to be forgotten does not end in a log."""
    with pytest.raises(SettingsError, match=r"chat id 2 of 2 has \d+ characters; expected UTF-8 text") as refused:
        erase(chat_id=["chat-1", chat_id])
    assert not chat_id or chat_id not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """As for replays."""
    with pytest.raises(SettingsError, match=r"missing\.txt: not readable"):
        erase(chats_file=tmp_path / "missing.txt")

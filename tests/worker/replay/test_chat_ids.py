"""Chat ids from a file: how they are read, and what is said of those that no record was of."""

from pathlib import Path

import pytest

from tests.worker.payloads import record
from worker.errors import SettingsError
from worker.replay.command import _chat_ids, _chats_not_met
from worker.replay.plan.selection import Selection


@pytest.mark.parametrize("raw", [b"a\nb\n", b"\xef\xbb\xbfa\r\n\r\n b \r\n"])
def test_a_file_may_come_from_any_editor(tmp_path: Path, raw: bytes) -> None:
    """The first id with a byte-order mark before it selected nothing, and the replay ended with 0."""
    (tmp_path / "ids").write_bytes(raw)
    assert _chat_ids(["c"], tmp_path / "ids") == {"a", "b", "c"}


@pytest.mark.parametrize("raw", ["a\nb".encode("utf-16"), b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_readable_ids_is_refused(tmp_path: Path, raw: bytes) -> None:
    """A replay of no chat at all would be one of all."""
    (tmp_path / "ids").write_bytes(raw)
    with pytest.raises(SettingsError, match="expected"):
        _chat_ids([], tmp_path / "ids")


def test_ids_without_a_record_are_named_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A header, a second column or a typing error selects nothing; said where somebody reads it."""
    selection = Selection(chats=frozenset({"chat-1", "chat_id", *(f"chat-{i},7" for i in range(9))}))
    selection.takes(record(1)._replace(key=b"chat-1"))
    assert _chats_not_met(selection, is_whole=True) == {
        "n_chats": 11, "n_chats_not_met": 10, "whole_range_read": True
    }  # fmt: skip
    said = capsys.readouterr().err
    assert "warning: 10 of 11 chat ids: no record of the range is of them: 'chat-0,7'" in said
    assert "…; expected ids as upstream writes them, in a file one per line" in said
    _chats_not_met(selection, is_whole=False)
    assert "no record that this process read is of them" in capsys.readouterr().err


def test_nothing_is_said_where_nothing_was_read_or_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A replay that is run again after its end reads nothing and knows nothing."""
    asked = Selection(chats=frozenset({"a"}))
    assert _chats_not_met(asked, is_whole=False)["n_chats_not_met"] is None
    assert _chats_not_met(Selection(), is_whole=True) == {}
    assert capsys.readouterr().err == ""

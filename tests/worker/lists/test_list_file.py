"""What a file of lists may say, and whom it names."""

from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.lists.list_file import Lists, read_lists
from worker.settings.lists import ListSettings

PLAIN = ListSettings()
ISSUED = ListSettings(user_field="context.user_id", user_field_chosen_by="platform")
CHOSEN = ListSettings(user_field="context.name")


def lists_of(path: Path, text: str, settings: ListSettings = ISSUED) -> Lists:
    """Return what a file says."""
    file = path / "lists.toml"
    file.write_text(text, encoding="utf-8")
    return read_lists(settings, file)


def test_lists_name_chats_by_prefix_or_whole_and_users_by_their_field(tmp_path: Path) -> None:
    """A prefix is not a pattern, and a whole id is not a prefix."""
    lists = lists_of(
        tmp_path,
        """
        [deny]
        chat_prefixes = ["spam-", "x"]
        chat_ids = ["chat-1"]
        users = ["u1"]
        [allow]
        chat_prefixes = ["demo-"]
        """,
    )
    denied = lists.deny
    assert [denied.names(one, None) for one in ("spam-7", "x9", "chat-1", "chat-11", "a spam-7", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert denied.names("any", "u1")
    assert not denied.names("any", "u2")
    assert (lists.allow.names("demo-1", None), lists.allow.names("demo", None)) == (True, False)
    assert (denied.n_entries, lists.allow.n_entries, lists.names_users) == (4, 1, True)


def test_an_empty_file_names_nobody(tmp_path: Path) -> None:
    """Not everybody, as an empty prefix would."""
    lists = lists_of(tmp_path, "", PLAIN)
    assert not lists.deny.names("chat-1", None)
    assert not lists.allow.names("", None)


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("[deny]\nchat_prefixes = ['']", PLAIN, "deny.chat_prefixes.0: too short; expected at least 1 character"),
        ("[allow]\nchat_prefixes = ['abc']", PLAIN, "allow.chat_prefixes.0: too short; expected at least 4 characters"),
        ("[allow]\nchat_ids = ['abc']", PLAIN, "at least 4 characters"),
        ("[deny]\nusers = ['u1']", PLAIN, "MODERATION_LISTS__USER_FIELD"),
        ("[allow]\nusers = ['user-1']", CHOSEN, "who may choose what context.name holds"),
        ("[deny]\nprefixes = ['a']", PLAIN, "deny.prefixes: no such key"),
        ("[block]\nchat_ids = ['a']", PLAIN, "block: no such key"),
        ("[deny]\nchat_ids = [1]", PLAIN, "deny.chat_ids.0"),
        ("[deny]\nchat_ids = 'a'", PLAIN, "deny.chat_ids"),
        ("[deny", PLAIN, "not a readable TOML file"),
    ],
)
def test_a_file_that_says_what_it_may_not_is_refused_and_not_quoted(
    tmp_path: Path, text: str, settings: ListSettings, told: str
) -> None:
    """An id is a person's; the error names its place."""
    with pytest.raises(SettingsError) as caught:
        lists_of(tmp_path, text, settings)
    assert told in str(caught.value)
    assert "expected" in str(caught.value).casefold()
    assert "user-1" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """A deny list that is not there is no empty one."""
    with pytest.raises(SettingsError, match="not a readable TOML file"):
        read_lists(PLAIN, tmp_path / "nowhere.toml")


def test_a_users_field_that_is_issued_must_be_named() -> None:
    """Else the setting would look as if it did something."""
    with pytest.raises(ValueError, match="user_field_chosen_by is set without user_field"):
        ListSettings(user_field_chosen_by="platform")

"""The key by which chats are hashed: long, kept over a change, and there where a topic needs it."""

from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.settings.source import read_settings

SERVERS = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "localhost:1"}
KEY, LATER_KEY = "k" * 32, "l" * 32


def test_a_changed_key_keeps_the_one_before_it(tmp_path: Path) -> None:
    """Hashes under the older one stand on the list for good."""
    file = tmp_path / "key"
    file.write_text(f"{LATER_KEY}\n{KEY}\n")
    settings = read_settings(SERVERS | {"MODERATION_ERASURE__HASH_KEY_FILE": str(file)}, None)
    assert settings.erasure.hash_keys == (LATER_KEY.encode(), KEY.encode())
    assert read_settings(SERVERS, None).erasure.hash_keys == ()


@pytest.mark.parametrize("key", ["short", f"{KEY}\nshort", f"{KEY}\n{KEY}\n{KEY}"], ids=["one", "of two", "three"])
def test_a_short_key_and_a_third_one_are_refused(key: str) -> None:
    """Ids behind a short key could be tried out."""
    with pytest.raises(SettingsError, match="at least 32 characters") as refused:
        read_settings(SERVERS | {"MODERATION_ERASURE__HASH_KEY": key}, None)
    assert key not in str(refused.value)


@pytest.mark.parametrize("topic", ["ERASURES_TOPIC", "DECISIONS_TOPIC"])
def test_a_topic_that_names_chats_by_hashes_needs_the_key(topic: str) -> None:
    """Else it would hold ids, or nothing."""
    told = SERVERS | {f"MODERATION_KAFKA__{topic}": "t"}
    with pytest.raises(SettingsError, match=rf"kafka\.{topic.lower()} is set without erasure\.hash_key"):
        read_settings(told, None)
    read_settings(told | {"MODERATION_ERASURE__HASH_KEY": KEY}, None)

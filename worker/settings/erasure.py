"""How a chat is named where its own id must not stand."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from worker.settings.section import Section

_KEY_CHARACTERS = 32
_MOST_KEYS = 2


class ErasureSettings(Section):
    """Keyed hashes of chat ids (`schemas.erasure`): in the list of erased chats and the log of people's decisions."""

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset({"hash_key"})

    hash_key: SecretStr | None = Field(
        default=None,
        description="Key by which chat ids are hashed, at least 32 characters; a second line is recognised, too. "
        "kafka.erasures_topic and kafka.decisions_topic need it.",
    )
    hash_key_file: Path | None = Field(default=None, description="File that holds hash_key.")

    @field_validator("hash_key")
    @classmethod
    def _keys_are_long(cls, key: SecretStr | None) -> SecretStr | None:
        lines = [] if key is None else key.get_secret_value().splitlines()
        if len(lines) > _MOST_KEYS or any(len(line.strip()) < _KEY_CHARACTERS for line in lines):
            raise ValueError(
                f"expected one line, or two after a change of the key, each of at least {_KEY_CHARACTERS} characters; "
                "make one with `openssl rand -hex 32`"
            )
        return key

    @property
    def hash_keys(self) -> tuple[bytes, ...]:
        """The keys: the first makes hashes, each is recognised; none: there is no key."""
        text = "" if self.hash_key is None else self.hash_key.get_secret_value()
        return tuple(line.strip().encode() for line in text.splitlines())

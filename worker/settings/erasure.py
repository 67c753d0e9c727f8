"""How a chat is named where its own id must not stand."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from worker.settings.key_lines import KeyLines, keys_of
from worker.settings.section import Section


class ErasureSettings(Section):
    """Keyed hashes of chat ids (`schemas.erasure`): in the list of erased chats and the log of people's decisions."""

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset({"hash_key"})

    hash_key: KeyLines | None = Field(
        default=None,
        description="Key by which chat ids are hashed, at least 32 characters; a second line is recognised, too. "
        "kafka.erasures_topic and kafka.decisions_topic need it.",
    )
    hash_key_file: Path | None = Field(default=None, description="File that holds hash_key.")

    @property
    def hash_keys(self) -> tuple[bytes, ...]:
        """The keys: the first makes hashes, each is recognised; none: there is no key."""
        return keys_of(self.hash_key)

"""Whether people's decisions must be signed."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from worker.settings.key_lines import KeyLines, keys_of
from worker.settings.section import Section


class OverrideSettings(Section):
    """People's decisions on topic `kafka.overrides_topic`."""

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset({"signing_key"})

    signing_key: KeyLines | None = Field(
        default=None,
        description="Key that signs overrides, at least 32 characters; a second line is accepted, too. Where a worker "
        "holds one, unsigned and wrongly signed overrides count for nothing.",
    )
    signing_key_file: Path | None = Field(default=None, description="File that holds signing_key.")

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys: the first signs, each is accepted; none: nothing is signed."""
        return keys_of(self.signing_key)

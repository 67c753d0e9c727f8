"""Whether people's decisions must be signed."""

from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, SecretStr, field_validator

from worker.settings.section import Section

_KEY_CHARACTERS: Final = 32
_MOST_KEYS: Final = 2


class OverrideSettings(Section):
    """People's decisions on topic `kafka.overrides_topic`."""

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset({"signing_key"})

    signing_key: SecretStr | None = Field(
        default=None,
        description="Key that signs overrides, at least 32 characters; a second line is accepted, too. Where a worker "
        "holds one, unsigned and wrongly signed overrides count for nothing.",
    )
    signing_key_file: Path | None = Field(default=None, description="File that holds signing_key.")

    @field_validator("signing_key")
    @classmethod
    def _keys_are_long(cls, key: SecretStr | None) -> SecretStr | None:
        lines = [] if key is None else key.get_secret_value().splitlines()
        if len(lines) > _MOST_KEYS or any(len(line.strip()) < _KEY_CHARACTERS for line in lines):
            raise ValueError(
                f"expected one line, or two during a rotation, each of at least {_KEY_CHARACTERS} characters; "
                "make one with `openssl rand -hex 32`"
            )
        return key

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys: the first signs, each is accepted; none: nothing is signed."""
        text = "" if self.signing_key is None else self.signing_key.get_secret_value()
        return tuple(line.strip().encode() for line in text.splitlines())

"""Keys for HMACs as settings hold them: one line, or two while a key is exchanged."""

from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

_CHARACTERS: Final = 32
_MOST_KEYS: Final = 2


def _are_long(text: SecretStr) -> SecretStr:
    lines = text.get_secret_value().splitlines()
    if len(lines) > _MOST_KEYS or any(len(line.strip()) < _CHARACTERS for line in lines):
        raise ValueError(
            f"expected one line, or two during a rotation, each of at least {_CHARACTERS} characters; "
            "make one with `openssl rand -hex 32`"
        )
    return text


KeyLines = Annotated[SecretStr, AfterValidator(_are_long)]
"""The text of such a setting."""


def keys_of(text: SecretStr | None) -> tuple[bytes, ...]:
    """Return the keys: the first is used, each is recognised; none where nothing is set."""
    lines = [] if text is None else text.get_secret_value().splitlines()
    return tuple(line.strip().encode() for line in lines)

"""What all sections of the settings share: frozen, no unknown names, finite numbers, clean text."""

from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

MAX_S: Final = 2_147_483
"""Longest time of a setting, seconds: 24 days, which every timer of the system holds."""


class Section(BaseModel):
    """One section of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    comma_lists: ClassVar[frozenset[str]] = frozenset()
    """Texts whose parts are stripped where they are read: templates break them over lines."""

    @field_validator("*")
    @classmethod
    def _text_is_clean(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what a copy from elsewhere leaves; the text is not quoted, since it may be a secret."""
        if not isinstance(value, str | Path) or info.field_name in cls.comma_lists:
            return value
        text = str(value)
        if not text.isprintable():
            raise ValueError("holds a control character; expected text without line ends; remove it")
        if text != text.strip():
            raise ValueError("begins or ends with a blank; expected none there; remove it")
        return value


def check_networks(name: str, parts: Iterable[str]) -> None:
    """Refuse what is no network.

    Raises:
        ValueError: names the setting and the part.
    """
    for part in parts:
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(
                f"{name} names {part!r}; expected networks as in 10.0.0.0/8, or single addresses"
            ) from None

"""What all sections of the settings share: frozen, no unknown names, finite numbers, clean text, secrets from files.

A secret `x` may be given as `x_file`, the path of a file that holds it, as Kubernetes and Docker mount secrets: what is
in a file shows in no process listing and in no dump of the environment.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator, model_validator

FILE_SUFFIX: Final = "_file"
MAX_SECRET_BYTES: Final = 65_536
"""Far above any password, key or token; what is longer is not a secret but the wrong file."""
MAX_S: Final = 2_147_483
"""Longest time of a setting, seconds: what the clients hold in 32 bits of milliseconds, 24 days."""


class Section(BaseModel):
    """One section of the settings."""

    # Pydantic's own error text would quote what was given.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    lists_of_secrets: ClassVar[frozenset[str]] = frozenset()
    """Secrets that may have several lines."""
    comma_lists: ClassVar[frozenset[str]] = frozenset()
    """Texts whose parts are stripped by a check of their own: templates break them over lines."""

    @field_validator("*")
    @classmethod
    def _text_is_clean(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what a copy from elsewhere leaves: the clients would take it for a part of the name."""
        if not isinstance(value, str | Path) or info.field_name in cls.comma_lists:
            return value
        text = str(value)
        # Neither check quotes the text: what is copied to the wrong place may be a secret.
        for i, character in enumerate(text):
            if not character.isprintable():
                raise ValueError(
                    f"character {i + 1} of {len(text)} is {character!a}; expected text without line ends and "
                    "other control characters; a file with Windows line ends, or `echo` without -n, leaves them"
                )
        if text != text.strip():
            raise ValueError("begins or ends with a blank; expected none there; remove it")
        return value

    @field_validator("*")
    @classmethod
    def _secret_is_one_line(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, SecretStr):
            return value
        # As in a file: a Kubernetes Secret made by `echo` ends in a line end, however it is mounted.
        secret = value.get_secret_value().rstrip("\r\n")
        if info.field_name not in cls.lists_of_secrets and not set("\r\n").isdisjoint(secret):
            raise ValueError("holds several lines; expected the secret alone, on one line; is it the right one?")
        return SecretStr(secret)

    @model_validator(mode="before")
    @classmethod
    def _secrets_come_from_their_files(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        names = [name for name in cls.model_fields if f"{name}{FILE_SUFFIX}" in cls.model_fields]
        found = dict(values)
        for name in names:
            file_name = f"{name}{FILE_SUFFIX}"
            path = values.get(file_name)
            if path is None:
                continue
            if values.get(name) is not None:
                raise ValueError(f"{name} and {file_name} are both set; expected one of them; leave the other out")
            found[name] = SecretStr(read_secret(Path(str(path)), file_name))
        return found

    @model_validator(mode="after")
    def _secrets_hold_something(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if not isinstance(value, SecretStr):
                continue
            secret = value.get_secret_value()
            if not secret.strip():
                raise ValueError(f"{name} is empty; expected a secret, or leave it out")
            if "\0" in secret:
                raise ValueError(f"{name} holds a NUL character, at which the clients would cut it; expected text")
        return self


def read_secret(path: Path, name: str) -> str:
    """Return what a secret file holds, without the byte order mark and the line ends that editors add.

    Args:
        path: The file.
        name: The setting that names it, for the error.

    Raises:
        ValueError: it cannot be read, or is empty, too long or no text. The text never quotes the content.
    """
    # What is no absolute path may be the secret itself, set by the wrong name.
    shown = path if path.is_absolute() and "@" not in str(path) else "the file"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(
            f"{name}: {shown} cannot be read ({error.strerror}); expected a file that holds the secret; check the "
            "mount and who may read it"
        ) from None
    except ValueError:
        raise ValueError(f"{name}: holds a NUL character; expected the path of a file that holds the secret") from None
    if len(raw) > MAX_SECRET_BYTES:
        raise ValueError(f"{name}: {shown} is longer than {MAX_SECRET_BYTES} bytes; expected a secret; check the path")
    try:
        text = raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: {shown} is not UTF-8 text; expected the secret as text") from None
    if not text:
        raise ValueError(f"{name}: {shown} is empty; expected a secret")
    return text

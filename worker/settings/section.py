"""What all sections of the settings share: frozen, no unknown names, and secrets that may come from files.

A secret `x` may be given as `x_file`, the path of a file that holds it, as Kubernetes and Docker mount secrets: what is
in a file shows in no process listing and in no dump of the environment.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

FILE_SUFFIX: Final = "_file"
MAX_SECRET_BYTES: Final = 65_536
"""Far above any password, key or token; what is longer is not a secret but the wrong file."""


class Section(BaseModel):
    """One section of the settings."""

    # Pydantic's own error text would quote what was given.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
            if not secret:
                raise ValueError(f"{name} is empty; expected a secret, or leave it out")
            if "\0" in secret:
                raise ValueError(f"{name} holds a NUL character, at which the clients would cut it; expected text")
        return self


def read_secret(path: Path, name: str) -> str:
    """Return what a secret file holds, without the line ends that editors add.

    Args:
        path: The file.
        name: The setting that names it, for the error.

    Raises:
        ValueError: it cannot be read, or is empty, too long or no text. The text never quotes the content.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(
            f"{name}: {path} cannot be read ({error.strerror}); expected a file that holds the secret; check the mount "
            "and who may read it"
        ) from None
    if len(raw) > MAX_SECRET_BYTES:
        raise ValueError(f"{name}: {path} is longer than {MAX_SECRET_BYTES} bytes; expected a secret; check the path")
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: {path} is not UTF-8 text; expected the secret as text") from None
    if not text:
        raise ValueError(f"{name}: {path} is empty; expected a secret")
    return text

"""Read the settings from the environment and an optional TOML file.

The environment wins over the file. pydantic-settings ignores unknown environment names, so they are compared with the
fields here: a typo cannot pass unseen.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)

from worker.errors import SettingsError
from worker.settings.tls import check_key_files
from worker.settings.worker import WorkerSettings

PREFIX: Final = "MODERATION_"


def setting_names(model: type[BaseModel] = WorkerSettings, prefix: str = PREFIX) -> Iterator[str]:
    """Yield every environment name that the worker understands."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_names(annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def usable_settings(environment: Mapping[str, str], config: Path | None) -> WorkerSettings:
    """Build the settings as `read_settings` does, and check the certificates and keys that they name.

    Raises:
        SettingsError: also for a certificate or key that cannot be used.
    """
    settings = read_settings(environment, config)
    check_key_files(settings)
    return settings


def read_settings(environment: Mapping[str, str], config: Path | None) -> WorkerSettings:
    """Build the settings.

    Args:
        environment: Environment variables; only MODERATION_ names are looked at.
        config: TOML file, or None.

    Raises:
        SettingsError: an unknown name, an unreadable file, or a value that breaks a rule; names all problems.
    """
    _refuse_unknown(environment)
    # An empty section, so that a missing address is reported by its full name.
    file_values = {"kafka": {}} | _read_toml(config)

    class Settings(WorkerSettings):
        """WorkerSettings with the sources given to `read_settings`, not the ones of the process."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_environment = EnvSettingsSource(settings_cls)
            from_environment.env_vars = {name.lower(): value for name, value in environment.items()}
            return from_environment, InitSettingsSource(settings_cls, init_kwargs=file_values)

    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{_env_name(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(problems)) from None


def _env_name(location: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part).upper() for part in location)


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = set(setting_names())
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if not unknown:
        return
    hints = []
    for name in unknown:
        close = difflib.get_close_matches(name.upper(), known, n=1)
        hints.append(f"{name}: no such setting" + (f"; did you mean {close[0]}?" if close else ""))
    raise SettingsError("\n".join([*hints, "`python -m worker check-config` lists every setting"]))


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not a readable TOML file: {error}") from error

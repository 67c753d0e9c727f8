"""Read the settings from flags, the environment and an optional TOML file; the first that names one counts.

pydantic-settings ignores unknown environment names, so they are compared with the fields here: a typo cannot pass
unseen.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from console.errors import SettingsError
from console.settings.console import ConsoleSettings

PREFIX: Final = "CONSOLE_"


def setting_names(model: type[BaseModel] = ConsoleSettings, prefix: str = PREFIX) -> Iterator[str]:
    """Yield every environment name that the console understands."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_names(annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def read_settings(
    environment: Mapping[str, str], config: Path | None, flags: Mapping[str, Any] | None = None
) -> ConsoleSettings:
    """Build the settings.

    Args:
        environment: Environment variables; only CONSOLE_ names are looked at.
        config: TOML file, or None.
        flags: Values of the command line by dotted name, `http.port` say; those that are None count as not given.

    Raises:
        SettingsError: an unknown name, an unreadable file, or a value that breaks a rule; names all problems.
    """
    _refuse_unknown(environment)
    file_values = _read_toml(config)
    flag_values = _nested({name: value for name, value in (flags or {}).items() if value is not None})

    class Settings(ConsoleSettings):
        """ConsoleSettings with the sources given to `read_settings`, not the ones of the process."""

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
            return (
                InitSettingsSource(settings_cls, init_kwargs=flag_values),
                from_environment,
                InitSettingsSource(settings_cls, init_kwargs=file_values),
            )

    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{_env_name(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(problems)) from None


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in flags.items():
        section, _, inner = name.rpartition(".")
        (values.setdefault(section, {}) if section else values)[inner] = value
    return values


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
    raise SettingsError("\n".join([*hints, "`python -m console check-config` lists every setting"]))


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not a readable TOML file: {error}") from error

"""Read the settings from flags, the environment and an optional TOML file; the first that names one counts.

A variable or a text of the file that is empty counts as not set. pydantic-settings ignores unknown environment names,
so they are compared with the fields here: a typo cannot pass unseen.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from console.errors import SettingsError
from console.settings.console import ConsoleSettings
from schemas.file_faults import Key, TomlFile, meant, read_toml, unknown_keys

PREFIX: Final = "CONSOLE_"


def setting_keys(model: type[BaseModel] = ConsoleSettings, above: Key = ()) -> Iterator[Key]:
    """Yield the key of every setting."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_keys(annotation, (*above, name))
        else:
            yield (*above, name)


def variable(key: Key) -> str:
    """Return the environment name of a setting."""
    return PREFIX + "__".join(key).upper()


def setting_names() -> Iterator[str]:
    """Yield every environment name that the console understands."""
    yield from map(variable, setting_keys())


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
    file = _read_file(config)
    if unknown := [*_unknown_variables(environment), *unknown_keys(file, list(setting_keys()), prefix=PREFIX)]:
        raise SettingsError("\n".join(unknown) + "; `python -m console check-config` lists every setting")
    variables = {name.lower(): value for name, value in environment.items() if value}
    file_values = file.without_empty()
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
            from_environment.env_vars = variables
            return (
                InitSettingsSource(settings_cls, init_kwargs=flag_values),
                from_environment,
                InitSettingsSource(settings_cls, init_kwargs=file_values),
            )

    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(found, variables, file) for found in error.errors(include_url=False, include_input=False)]
        raise SettingsError("\n".join(problems)) from None


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in flags.items():
        section, _, inner = name.rpartition(".")
        (values.setdefault(section, {}) if section else values)[inner] = value
    return values


def _problem(found: ErrorDetails, variables: Mapping[str, str], file: TomlFile) -> str:
    key: Key = tuple(map(str, found["loc"]))
    text = found["msg"].removeprefix("Value error, ")
    from_file = key in setting_keys() and key in file.lines and variable(key).lower() not in variables
    return f"{variable(key) if key else PREFIX + '…'}: {text}" + (f" ({file.place(key)})" if from_file else "")


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = set(setting_names())
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield f"{name}: no such setting{meant(name.upper(), known)}"


def _read_file(path: Path | None) -> TomlFile:
    if path is None:
        return TomlFile(Path(), {})
    try:
        return read_toml(path)
    except ValueError as error:
        raise SettingsError(str(error)) from None

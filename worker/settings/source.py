"""Read the settings from the environment and an optional TOML file.

The environment wins over the file; a value without a character counts as not set. pydantic-settings ignores unknown
environment names, so they are compared with the fields here: a typo cannot pass unseen.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)

from schemas.file_faults import Key, TomlFile, meant, read_toml, unknown_keys
from worker.errors import SettingsError
from worker.settings.tls import check_key_files
from worker.settings.worker import WorkerSettings

PREFIX: Final = "MODERATION_"


def setting_keys(model: type[BaseModel] = WorkerSettings, above: Key = ()) -> Iterator[Key]:
    """Yield the key of every setting."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_keys(annotation, (*above, name))
        else:
            yield (*above, name)


def field_of(key: Key) -> FieldInfo:
    """Return the field of a setting."""
    model: type[BaseModel] = WorkerSettings
    for name in key[:-1]:
        model = model.model_fields[name].annotation  # type: ignore[assignment]  # a section's model
    return model.model_fields[key[-1]]


def variable(key: Key) -> str:
    """Return the environment name of a setting."""
    return PREFIX + "__".join(key).upper()


def setting_names() -> Iterator[str]:
    """Yield every environment name that the worker understands."""
    yield from map(variable, setting_keys())


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
    file = _read_file(config)
    if unknown := [*_unknown_variables(environment), *unknown_keys(file, list(setting_keys()), prefix=PREFIX)]:
        raise SettingsError("\n".join(unknown) + "; `python -m worker check-config` lists every setting")
    if truths := [
        f"{variable(key)}: found true or false; expected a number or a text ({file.place(key)})"
        for key in file.truths()
        if field_of(key).annotation is not bool
    ]:
        raise SettingsError("\n".join(truths))
    variables = {name.lower(): value for name, value in environment.items() if value}
    # An empty section, so that a missing address is reported by its full name.
    file_values = {"kafka": {}} | file.without_empty()

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
            from_environment.env_vars = variables
            return from_environment, InitSettingsSource(settings_cls, init_kwargs=file_values)

    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(found, variables, file) for found in error.errors(include_url=False)]
        raise SettingsError("\n".join(problems)) from None


def _read_file(path: Path | None) -> TomlFile:
    if path is None:
        return TomlFile(Path(), {})
    try:
        return read_toml(path)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = set(setting_names())
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield f"{name}: no such setting{meant(name.upper(), known)}"


def _problem(found: ErrorDetails, variables: Mapping[str, str], file: TomlFile) -> str:
    key: Key = tuple(map(str, found["loc"]))
    name = f"{variable(key)}: " if key else ""
    if found["type"] == "missing":
        return (
            f"{name}not set; expected {field_of(key).description} Set it, or {key[-1]} under [{key[0]}] in the file of "
            "--config"
        )
    if found["type"] == "string_pattern_mismatch":
        # The description says what is expected; a regular expression is no advice.
        text = f"is of another form; expected {_form(key)}"
    else:
        text = found["msg"].removeprefix("Value error, ") + _found_number(found)
    from_file = key in setting_keys() and key in file.lines and variable(key).lower() not in variables
    return f"{name}{text} ({file.place(key)})" if from_file else f"{name}{text}"


def _form(key: Key) -> str:
    """Return in words what a setting with a pattern takes."""
    extra = field_of(key).json_schema_extra
    return str(extra["form"]) if isinstance(extra, dict) and "form" in extra else "what its description says"


def _found_number(found: ErrorDetails) -> str:
    """Return what was found where it is a number out of its range; a text is never quoted, since it may be a secret."""
    if found["type"] not in {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}:
        return ""
    return f"; found {str(found['input']).strip()[:32]}"

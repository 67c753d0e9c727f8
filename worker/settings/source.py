"""Read the settings from the environment and an optional TOML file.

The environment wins over the file; a value without a character counts as not set. pydantic-settings ignores unknown
environment names, so they are compared with the fields here: a typo cannot pass unseen.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)

from schemas.file_faults import TomlFile, meant, read_toml, shown_name
from worker.errors import SettingsError
from worker.settings.tls import check_key_files
from worker.settings.worker import WorkerSettings

PREFIX: Final = "MODERATION_"

Key = tuple[str, ...]
"""Where a setting stands in a file: `("kafka", "group_id")` is `group_id` under `[kafka]`."""


def setting_keys(model: type[BaseModel] = WorkerSettings, above: Key = ()) -> Iterator[Key]:
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
    if unknown := [*_unknown_variables(environment), *_unknown_keys(file)]:
        raise SettingsError("\n".join(unknown) + "; `python -m worker check-config` lists every setting")
    variables = {name.lower(): value for name, value in environment.items() if value}
    # An empty section, so that a missing address is reported by its full name.
    file_values = {"kafka": {}} | _without_empty(file.values)

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


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_empty(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value != ""
    }


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = set(setting_names())
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield f"{name}: no such setting{meant(name.upper(), known)}"


def _unknown_keys(file: TomlFile) -> Iterator[str]:
    known = list(setting_keys())
    sections = {key[0] for key in known if len(key) > 1}
    for key in _keys_of(file.values):
        if key in known:
            continue
        if key[0] in sections and len(key) == 1:
            yield f"{file.place(key)}: {key[0]}: expected a section, [{key[0]}], with settings under it"
            continue
        shown = ".".join(map(shown_name, key))
        yield f"{file.place(key)}: {shown}: no such setting{_meant_key(key, known)}"


def _keys_of(values: Mapping[str, Any], above: Key = ()) -> Iterator[Key]:
    """Yield the keys of a file; of an unknown section the section alone, and of what is deeper the top."""
    sections = {key[0] for key in setting_keys() if len(key) > 1}
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, Mapping) and key[0] in sections and not above:
            yield from _keys_of(value, key)
        else:
            yield key


def _meant_key(key: Key, known: list[Key]) -> str:
    """Return the suggestion for a key: the same name under another section or as a variable, or a near one."""
    name = ".".join(key).lower().removeprefix(PREFIX.lower()).replace("__", ".")
    sections = {one[0] for one in known if len(one) > 1}
    dotted = [".".join(one) for one in known]
    same = [one for one in dotted if one == name or one.rpartition(".")[2] == name.rpartition(".")[2]]
    if len(same) == 1:
        return f"; did you mean {same[0]}?"
    if len(key) == 1 and (near := meant(name, [f"[{section}]" for section in sections])):
        return near
    return meant(name, dotted)


def _problem(found: ErrorDetails, variables: Mapping[str, str], file: TomlFile) -> str:
    key: Key = tuple(map(str, found["loc"]))
    name = f"{variable(key)}: " if key else ""
    if found["type"] == "missing":
        field = WorkerSettings.model_fields[key[0]].annotation.model_fields[key[-1]]  # type: ignore[union-attr]
        return (
            f"{name}not set; expected {field.description} Set it, or {key[-1]} under [{key[0]}] in the file of --config"
        )
    text = found["msg"].removeprefix("Value error, ") + _found_number(found)
    from_file = key in setting_keys() and key in file.lines and variable(key).lower() not in variables
    return f"{name}{text} ({file.place(key)})" if from_file else f"{name}{text}"


def _found_number(found: ErrorDetails) -> str:
    """Return what was found where it is a number out of its range; a text is never quoted, since it may be a secret."""
    if found["type"] not in {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}:
        return ""
    return f"; found {str(found['input']).strip()[:32]}"

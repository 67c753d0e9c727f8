"""Read a policy file (TOML or JSON)."""

from codecs import BOM_UTF8
from pathlib import Path

import orjson
from pydantic import ValidationError

from model.bundle.bundle import Bundle
from model.bundle.documents import refuse_duplicates
from model.bundle.files import read_regular
from schemas import DEFAULT_POLICY, Policy, Taxonomy, TaxonomyError
from schemas.file_faults import TomlFile, meant, parse_toml, shown_name


class PolicyError(Exception):
    """The policy file cannot be used: the process does not start."""


def load_policy(path: Path | None, bundle: Bundle | None = None) -> Policy:
    """Return the policy in a file, or the default policy where no file is named.

    Args:
        path: TOML or JSON.
        bundle: What it is for: its taxonomy must be the policy's, and its default policy is taken where no file is
            named. None reads the file alone, and takes the shipped bundle's default policy.

    Raises:
        PolicyError: the file is missing, not TOML or JSON, not a policy, or one over another taxonomy.
    """
    if path is None:
        return DEFAULT_POLICY if bundle is None else bundle.default_policy
    return _read(path) if bundle is None else policy_over(bundle.taxonomy, path)


def policy_over(taxonomy: Taxonomy, path: Path | None) -> Policy:
    """Return the policy in a file, over a taxonomy; what the taxonomy bans where no file is named.

    Raises:
        PolicyError: the file is refused, or is a policy over another taxonomy.
    """
    if path is None:
        return Policy.default_for(taxonomy)
    policy = _read(path)
    try:
        policy.require(taxonomy)
    except TaxonomyError as error:
        raise PolicyError(f"{path}: {_refusal(error)}") from error
    return policy


def _read(path: Path) -> Policy:
    try:
        file = _parsed(path, read_regular(path))
    except OSError as error:
        raise PolicyError(f"{path}: {_refusal(f'it cannot be read ({error.strerror})')}") from None
    except ValueError as error:
        raise PolicyError(f"{path}: {_refusal(error)}") from None
    try:
        return Policy.model_validate(file.values)
    except ValidationError as error:
        raise PolicyError(f"{path}: {_refusal(_faults(error, file))}") from None


def _parsed(path: Path, raw: bytes) -> TomlFile:
    """Return what a file says, in TOML or, by its name, in JSON.

    Raises:
        ValueError: it is neither. The text quotes no value.
    """
    if path.suffix != ".json":
        return parse_toml(path, raw)
    document = raw.removeprefix(BOM_UTF8)
    refuse_duplicates(document)
    values = orjson.loads(document)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a JSON object")  # noqa: TRY004  a fault of the file
    return TomlFile(path, values)


def _faults(error: ValidationError, file: TomlFile) -> str:
    """Return one line for each fault, as settings have it. No value is quoted: another file may have been meant."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        key = tuple(map(str, fault["loc"]))
        place = f"{file.place(key[:1])}: {'.'.join(map(shown_name, key))}"
        if fault["type"] == "missing":
            lines.append(f"{place}: not set")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{place}: no such field{meant(key[0], Policy.model_fields)}")
        elif fault["type"] == "timezone_aware":
            lines.append(f"{place}: no offset from UTC; expected one, as in 2026-07-01T00:00:00Z")
        else:
            lines.append(f"{place}: {fault['msg']}")
    return "\n".join(["", *lines])


def _refusal(cause: object) -> str:
    return (
        f"not a usable policy: {cause}; expected name, version, taxonomy, banned, max_banned_to_safe_rate and "
        "max_safe_to_banned_rate in TOML or JSON (see schemas/json/policy.v1.schema.json)"
    )

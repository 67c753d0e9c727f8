"""Read a policy file (TOML or JSON)."""

import tomllib
from pathlib import Path

import orjson
from pydantic import ValidationError

from schemas import DEFAULT_POLICY, Policy


class PolicyError(Exception):
    """The policy file cannot be used: the process does not start."""


def load_policy(path: Path | None) -> Policy:
    """Return the policy in a file, or the default policy where no file is named.

    Raises:
        PolicyError: the file is missing, not TOML or JSON, or not a policy.
    """
    if path is None:
        return DEFAULT_POLICY
    try:
        raw = path.read_bytes()
        document = orjson.loads(raw) if path.suffix == ".json" else tomllib.loads(raw.decode())
        return Policy.model_validate(document)
    except (OSError, ValueError, ValidationError) as error:
        raise PolicyError(
            f"{path}: not a usable policy: {error}; expected name, version, banned, max_banned_to_safe_rate and "
            "max_safe_to_banned_rate in TOML or JSON (see schemas/json/policy.v1.schema.json)"
        ) from error

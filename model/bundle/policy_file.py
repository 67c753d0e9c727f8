"""Read a policy file (TOML or JSON)."""

import tomllib
from pathlib import Path

import orjson
from pydantic import ValidationError

from model.bundle.bundle import Bundle
from schemas import DEFAULT_POLICY, Policy


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
    try:
        raw = path.read_bytes()
        document = orjson.loads(raw) if path.suffix == ".json" else tomllib.loads(raw.decode())
        policy = Policy.model_validate(document)
        if bundle is not None:
            policy.require(bundle.taxonomy)
    except (OSError, ValueError, ValidationError) as error:
        raise PolicyError(
            f"{path}: not a usable policy: {error}; expected name, version, taxonomy, banned, max_banned_to_safe_rate "
            "and max_safe_to_banned_rate in TOML or JSON (see schemas/json/policy.v1.schema.json)"
        ) from error
    return policy

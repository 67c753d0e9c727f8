"""Read a policy file (TOML or JSON)."""

import tomllib
from pathlib import Path

import orjson
from pydantic import ValidationError

from model.bundle.bundle import Bundle
from schemas import DEFAULT_POLICY, Policy, Taxonomy, TaxonomyError


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
        raw = path.read_bytes()
        document = orjson.loads(raw) if path.suffix == ".json" else tomllib.loads(raw.decode())
        return Policy.model_validate(document)
    except (OSError, ValueError, ValidationError) as error:
        raise PolicyError(f"{path}: {_refusal(error)}") from error


def _refusal(error: Exception) -> str:
    return (
        f"not a usable policy: {error}; expected name, version, taxonomy, banned, max_banned_to_safe_rate and "
        "max_safe_to_banned_rate in TOML or JSON (see schemas/json/policy.v1.schema.json)"
    )

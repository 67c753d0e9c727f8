"""Which classifier the worker runs, how it follows its files, and what one inference may take."""

import re
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, field_validator

from model import DEFAULT_BUNDLE_PATH, DEFAULT_TIMEOUT_S
from schemas.taxonomy import CODE_PATTERN
from worker.settings.section import MAX_S, Section

MAX_THREADS: Final = 1_024
"""More than the CPUs of any one machine; each is a thread of ours and one of ONNX Runtime."""


class ModelSettings(Section):
    """The classifier and the policies."""

    comma_lists: ClassVar[frozenset[str]] = frozenset({"floor"})

    path: Path = Field(default=DEFAULT_BUNDLE_PATH, description="Bundle folder, or a registry.")
    policy_path: Path | None = Field(
        default=None, description="Policy file, over the taxonomy of the bundle; by default the bundle's own policy."
    )
    policies_dir: Path | None = Field(
        default=None,
        description="Folder of more policies over the same taxonomy, *.toml and *.json: each of them decides on every "
        "verdict, beside the default policy, which policy_path names. Unset: there is the default policy alone.",
    )
    floor: str = Field(
        default="",
        description="Codes of categories that no policy may allow, comma-separated, beside those of the taxonomy.",
    )
    public_key_file: Path | None = Field(
        default=None,
        description="Ed25519 public key, PEM: bundles, a shadow's and a replay's too, are loaded from registries only, "
        "and only where its private key has signed them. Unset: no signature is asked for.",
    )
    reload_interval_s: float = Field(
        default=5.0,
        ge=0,
        le=MAX_S,
        description="How often bundle and policy are looked at for a change, which is taken over between two batches; "
        "0: only on SIGHUP.",
    )
    n_threads: int = Field(
        default=0, ge=0, le=MAX_THREADS, description="Inference threads; 0 follows the cgroup's CPU quota."
    )
    max_padded_tokens: int = Field(default=256, gt=0, description="Token budget of one inference, padding included.")
    max_rows: int = Field(default=64, gt=0, description="Row limit of one inference.")
    timeout_s: float = Field(
        default=DEFAULT_TIMEOUT_S,
        gt=0,
        le=MAX_S,
        description="A longer inference is ended; each of its rows is tried once more, alone, and then dead-lettered.",
    )

    @field_validator("floor")
    @classmethod
    def _floor_is_codes(cls, floor: str) -> str:
        for code in _codes(floor):
            if re.fullmatch(CODE_PATTERN, code) is None:
                raise ValueError("holds what is no category code; expected codes of the taxonomy, comma-separated")
        return floor

    @property
    def floor_codes(self) -> frozenset[str]:
        """What the operator adds to the taxonomy's floor."""
        return frozenset(_codes(self.floor))


def _codes(text: str) -> list[str]:
    return [code.strip() for code in text.split(",") if code.strip()]

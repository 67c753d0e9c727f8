"""Which classifier the worker runs, how it follows its files, and what one inference may take."""

from pathlib import Path
from typing import Final

from pydantic import Field

from model import DEFAULT_BUNDLE_PATH, DEFAULT_TIMEOUT_S
from worker.settings.section import MAX_S, Section

MAX_THREADS: Final = 1_024
"""More than the CPUs of any one machine; each is a thread of ours and one of ONNX Runtime."""


class ModelSettings(Section):
    """The classifier."""

    path: Path = Field(default=DEFAULT_BUNDLE_PATH, description="Bundle folder, or a registry.")
    policy_path: Path | None = Field(
        default=None, description="Policy file, over the taxonomy of the bundle; by default the bundle's own policy."
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

"""Everything the console is told; read once in `__main__`, frozen, passed by hand from there on.

Environment names start with CONSOLE_, nested names take two underscores (CONSOLE_HTTP__PORT). Times are in seconds,
sizes in bytes.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from console.settings.http import HttpSettings
from console.settings.operations import AppealSettings, PipelineSettings, ReviewSettings, StoreSettings
from console.settings.proxy import ProxySettings
from console.settings.section import MAX_S, Section
from model import DEFAULT_BUNDLE_PATH, DEFAULT_TIMEOUT_S
from schemas import CodecLimits


class ModelSettings(Section):
    """The classifier, as the worker has it."""

    path: Path = Field(default=DEFAULT_BUNDLE_PATH, description="Bundle folder, or a registry.")
    policy_path: Path | None = Field(default=None, description="The default policy's file; unset: the bundle's policy.")
    policies_path: Path | None = Field(
        default=None, description="Folder of further policy files; each answer holds a decision for every policy."
    )
    public_key_file: Path | None = Field(
        default=None, description="Ed25519 public key, PEM: only a registry's bundle that it has signed is loaded."
    )
    n_threads: int = Field(
        default=0, ge=0, le=1_024, description="Inference threads; 0 follows the cgroup's CPU quota."
    )
    max_padded_tokens: int = Field(default=256, gt=0, description="Token budget of one inference, padding included.")
    max_rows: int = Field(default=64, gt=0, description="Row limit of one inference.")
    timeout_s: float = Field(
        default=DEFAULT_TIMEOUT_S,
        gt=0,
        le=MAX_S,
        description="A longer inference is ended, its conversation refused.",
    )


class QueueSettings(Section):
    """What waits for the classifier, and for how long."""

    deadline_s: float = Field(
        default=5.0,
        gt=0,
        le=120,
        description="Longest time from a request's first byte to its answer; x-deadline-ms shortens it for one.",
    )
    max_conversations: int = Field(
        default=512, ge=256, description="Conversations that wait at most; beyond it a request gets 429 at once."
    )
    batch_conversations: int = Field(default=16, gt=0, description="Conversations of one micro-batch at most.")
    batch_tokens: int = Field(
        default=4_096, gt=0, description="Tokens of one micro-batch at most, as estimated from the texts' lengths."
    )


class PagesSettings(Section):
    """The pages; `api_only` leaves them out."""

    bundles: str = Field(
        default="",
        description="What the Try page offers besides the served bundle, by commas: bundle folders, registries, and "
        "taxonomy files whose descriptions make a classifier.",
    )
    max_bundles: int = Field(default=3, ge=1, description="Of these in memory at once; each has a model of its own.")

    @property
    def bundle_paths(self) -> list[Path]:
        """The paths of `bundles`."""
        return [Path(part) for one in self.bundles.split(",") if (part := one.strip())]


class LogSettings(Section):
    """JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level written."
    )


class ConsoleSettings(BaseSettings):
    """Everything the console is told; `console.settings.source.read_settings` builds it and refuses unknown names."""

    model_config = SettingsConfigDict(
        env_prefix="CONSOLE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        case_sensitive=False,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    http: HttpSettings = HttpSettings()
    proxy: ProxySettings = ProxySettings()
    model: ModelSettings = ModelSettings()
    queue: QueueSettings = QueueSettings()
    codec: CodecLimits = CodecLimits()
    pages: PagesSettings = PagesSettings()
    pipeline: PipelineSettings = PipelineSettings()
    store: StoreSettings = StoreSettings()
    review: ReviewSettings = ReviewSettings()
    appeals: AppealSettings = AppealSettings()
    log: LogSettings = LogSettings()
    api_only: bool = Field(default=False, description="Serve the API and no pages.")

    @model_validator(mode="after")
    def _strangers_are_asked_who_they_are(self) -> Self:
        http = self.http
        if http.is_loopback or http.keys_file is not None:
            return self
        if self.api_only:
            raise ValueError(
                f"http.host={http.host} is open to other machines, and http.keys_file is unset; expected a file of API "
                "keys; make one with `python -m console key`, or listen on 127.0.0.1"
            )
        if http.users_file is None and not self.proxy.is_on:
            raise ValueError(
                f"http.host={http.host} is open to other machines, and none of http.keys_file, http.users_file and "
                "proxy.secret_file is set; expected one; make one with `python -m console key` or "
                "`python -m console user`, or listen on 127.0.0.1"
            )
        return self

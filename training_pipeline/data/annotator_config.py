"""Which models annotate: one TOML file, `[[annotator]]` per model. Keys are named by their environment variable."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from training_pipeline.data.errors import DataError


class OutputMode(StrEnum):
    """How the answer is kept to the closed set at the source; the parser is the same for all."""

    JSON_SCHEMA = "json_schema"
    """Strict structured output: OpenAI, Gemini, Groq, Together, vLLM, Ollama."""
    JSON_OBJECT = "json_object"
    """Any JSON object."""
    TEXT = "text"
    """The prompt alone: for endpoints without `response_format`."""


class TokenLimitField(StrEnum):
    """What the endpoint calls the limit on answer tokens."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"


class Annotator(BaseModel):
    """One model behind a chat-completions endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Names its answers file.")
    base_url: str = Field(pattern="^https?://", description="Up to and with the version, such as …/v1.")
    model: str = Field(min_length=1)
    api_key_env: str | None = Field(default=None, description="Environment variable with the key; none for local ones.")
    output: OutputMode = OutputMode.JSON_SCHEMA
    top_logprobs: int = Field(default=0, ge=0, le=20, description="Alternatives asked for; 0 asks for none.")
    temperature: float | None = Field(default=0.0, ge=0, le=2, description="Unset for models that refuse it.")
    max_answer_tokens: int = Field(default=60, gt=0)
    token_limit_field: TokenLimitField = TokenLimitField.MAX_TOKENS
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Sent as it is, for what one vendor needs.")
    last_messages: int = Field(default=12, gt=0)
    message_characters: int = Field(default=2_000, ge=100)
    max_in_flight: int = Field(default=8, gt=0)
    requests_per_minute: float | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=60.0, gt=0)
    max_attempts: int = Field(default=6, gt=0)
    first_backoff_s: float = Field(default=1.0, gt=0)
    max_backoff_s: float = Field(default=60.0, gt=0, description="Also the longest Retry-After that is waited for.")
    usd_per_million_input_tokens: float | None = Field(default=None, ge=0)
    usd_per_million_output_tokens: float | None = Field(default=None, ge=0)

    @field_validator("temperature", mode="before")
    @classmethod
    def _unset_is_none(cls, value: object) -> object:
        # TOML has no null.
        return None if value == "unset" else value

    @model_validator(mode="after")
    def _prices_come_in_pairs(self) -> Self:
        if (self.usd_per_million_input_tokens is None) != (self.usd_per_million_output_tokens is None):
            raise ValueError("one price is missing; expected both usd_per_million_… or none")
        return self

    def cost_usd(self, n_input_tokens: int, n_output_tokens: int) -> float | None:
        """Return what a request cost, or None where no price is given."""
        if self.usd_per_million_input_tokens is None or self.usd_per_million_output_tokens is None:
            return None
        return (
            n_input_tokens * self.usd_per_million_input_tokens + n_output_tokens * self.usd_per_million_output_tokens
        ) / 1e6


class AnnotatorFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: list[Annotator] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [annotator.name.casefold() for annotator in self.annotator]
        if len(set(names)) < len(names):
            raise ValueError("two annotators have the same name; expected one name each")
        return self


def read_annotators(path: Path) -> list[Annotator]:
    """Read the annotators.

    Raises:
        DataError: the file cannot be read, or is not of this form.
    """
    try:
        return AnnotatorFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).annotator
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected [[annotator]] tables in TOML") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{path}: {error}; see training_pipeline/data/README.md for an example") from error

"""Documents of /v1/moderations: OpenAI's shape, with keys of our own beside its names."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from schemas import Decision

OPENAI_NAMES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

MAX_INPUTS: Final = 256


class TextPart(BaseModel):
    """A text."""

    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    """Where an image is."""

    url: str


class ImagePart(BaseModel):
    """An image; it is never looked at, and reported as not evaluated."""

    type: Literal["image_url"]
    image_url: ImageUrl


class ModerationRequest(BaseModel):
    """A text, texts (one result each), or the parts of one message (one result)."""

    input: str | list[str] | list[TextPart | ImagePart] = Field(description=f"Lists have 1 to {MAX_INPUTS} entries.")
    model: str | None = Field(default=None, description="Not read: the bundle of this process answers, and is named.")


class OwnResult(BaseModel):
    """What the verdict says besides."""

    decision: Decision
    category: str | None = Field(description="Code of the most probable category; null where no text was judged.")
    banned_to_safe_risk: float | None
    decisions: dict[str, Any] = Field(description="By policy name.")
    unevaluated: list[str] = Field(description="What was not judged: image, failure, length, language.")
    flagged_names: list[str] = Field(description="The names of `categories` that are true.")


class ModerationResult(BaseModel):
    """One result. OpenAI's thirteen names are false, 0 and applied to nothing: the model judges none of them."""

    flagged: bool = Field(description="True unless the default policy allows.")
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text", "image"]]]
    verdictstream: OwnResult


class ModerationAnswer(BaseModel):
    """The answer."""

    id: str
    model: str = Field(description="The bundle that answered, never a name of OpenAI's models.")
    results: list[ModerationResult]

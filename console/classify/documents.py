"""Documents of /v1/classify, for its description; requests are read by `console.classify.reading`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from console.judging.verdicts import HttpVerdict
from schemas import ChatEvent, RejectionReason

MAX_CONVERSATIONS = 256


class PlainText(BaseModel):
    """A text, judged as the one message of a user."""

    model_config = ConfigDict(title="PlainText")

    text: str
    chat_id: Annotated[str | None, Field(min_length=1, max_length=256)] = Field(
        default=None, description="Left out: a name made from the text, the same for the same text."
    )
    event_id: str | int | None = None


class Batch(BaseModel):
    """Up to 256 conversations."""

    conversations: list[ChatEvent | PlainText | str] = Field(min_length=1, max_length=MAX_CONVERSATIONS)


ClassifyRequest = ChatEvent | PlainText | Batch


class Rejection(BaseModel):
    """A conversation of a batch that got no verdict."""

    rejected: RejectionReason
    error: str = Field(description="What was found and what was expected; no text of the conversation.")
    chat_id: str | None = None


class BatchAnswer(BaseModel):
    """One result per conversation, in order; one that has `rejected` is no verdict."""

    results: list[HttpVerdict | Rejection]


ClassifyAnswer = HttpVerdict | BatchAnswer

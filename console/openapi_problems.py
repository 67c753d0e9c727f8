"""Problems as documents, for the description of the API."""

from typing import Any

from pydantic import BaseModel, Field


class ProblemBody(BaseModel):
    """What went wrong, in OpenAI's form."""

    message: str
    type: str = Field(description="invalid_request_error, rate_limit_error or server_error.")
    param: str | None
    code: str | None = Field(description="Stable name for programs.")
    details: dict[str, Any] | None = Field(default=None, description="Of a conflict: who has what was asked for.")


class ProblemDocument(BaseModel):
    """The answer to a request under /v1 that is not answered as asked."""

    error: ProblemBody


class GoogleProblemBody(BaseModel):
    """What went wrong, in Google's form."""

    code: int
    message: str
    status: str
    details: list[dict[str, Any]] = []


class GoogleProblem(BaseModel):
    """The answer to a request under /v1alpha1 that is not answered as asked."""

    error: GoogleProblemBody

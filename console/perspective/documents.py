"""Documents of Perspective's API, for our description of it; requests are read by `console.perspective.reading`."""

from typing import Literal

from pydantic import BaseModel, Field

MAX_COMMENT_BYTES = 20_480


class TextEntry(BaseModel):
    """A text."""

    text: str
    type: Literal["TEXT_TYPE_UNSPECIFIED", "PLAIN_TEXT"] = "PLAIN_TEXT"


class ArticleAndParentComment(BaseModel):
    """What a comment answers."""

    article: TextEntry | None = None
    parentComment: TextEntry | None = None  # noqa: N815  the API's name


class Context(BaseModel):
    """What was said before: read as the words of others, never scored. One of the two forms."""

    entries: list[TextEntry] | None = Field(default=None, description="Oldest first.")
    articleAndParentComment: ArticleAndParentComment | None = None  # noqa: N815


class RequestedAttribute(BaseModel):
    """How an attribute is asked for."""

    scoreType: Literal["SCORE_TYPE_UNSPECIFIED", "PROBABILITY"] = "PROBABILITY"  # noqa: N815
    scoreThreshold: float | None = Field(default=None, description="A lower score is left out of the answer.")  # noqa: N815


class AnalyzeRequest(BaseModel):
    """A comment to be scored."""

    comment: TextEntry = Field(description=f"At most {MAX_COMMENT_BYTES} bytes of UTF-8.")
    context: Context | None = None
    requestedAttributes: dict[str, RequestedAttribute] = Field(min_length=1)  # noqa: N815
    languages: list[str] | None = Field(default=None, description="Left out: told from the text, never a refusal.")
    spanAnnotations: bool = Field(default=False, description="Not read: the one span is always there.")  # noqa: N815
    doNotStore: bool = Field(default=True, description="Nothing is stored either way.")  # noqa: N815
    clientToken: str | None = None  # noqa: N815
    sessionId: str | None = None  # noqa: N815
    communityId: str | None = None  # noqa: N815


class Score(BaseModel):
    """A score."""

    value: float
    type: Literal["PROBABILITY"] = "PROBABILITY"


class SpanScore(BaseModel):
    """A score of a part of the comment, counted in UTF-16 units, the end exclusive."""

    begin: int
    end: int
    score: Score


class AttributeScores(BaseModel):
    """The scores of one attribute."""

    summaryScore: Score  # noqa: N815
    spanScores: list[SpanScore]  # noqa: N815


class AnalyzeAnswer(BaseModel):
    """The scores; `attributeScores` is absent where each is below its threshold."""

    attributeScores: dict[str, AttributeScores] | None = None  # noqa: N815
    languages: list[str]
    detectedLanguages: list[str]  # noqa: N815
    clientToken: str | None = None  # noqa: N815


class SuggestedScore(BaseModel):
    """A score that a person gives."""

    value: float = Field(ge=0, le=1)
    type: Literal["SCORE_TYPE_UNSPECIFIED", "PROBABILITY"] = "PROBABILITY"


class SuggestedSpan(BaseModel):
    """Of a part of the comment."""

    begin: int | None = None
    end: int | None = None
    score: SuggestedScore


class SuggestedScores(BaseModel):
    """Of one attribute: of the whole comment, or the highest of its parts."""

    summaryScore: SuggestedScore | None = None  # noqa: N815
    spanScores: list[SuggestedSpan] | None = None  # noqa: N815


class SuggestScoreRequest(BaseModel):
    """Scores that a person gives a comment: from 0.5 on it has what the attribute means."""

    comment: TextEntry
    context: Context | None = None
    attributeScores: dict[str, SuggestedScores] = Field(min_length=1)  # noqa: N815
    languages: list[str] | None = None
    clientToken: str | None = None  # noqa: N815
    sessionId: str | None = Field(default=None, description="Not read.")  # noqa: N815
    communityId: str | None = Field(default=None, description="Not read.")  # noqa: N815


class SuggestScoreAnswer(BaseModel):
    """The same whether the suggestion counts or not: only those on texts with a known verdict do."""

    requestedLanguages: list[str] | None = None  # noqa: N815
    clientToken: str | None = None  # noqa: N815

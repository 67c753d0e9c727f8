"""What the Try page asks and gets, as JSON."""

from pydantic import BaseModel, Field

from console.judging.verdicts import HttpVerdict
from console.pages.try_it.examples import Example, examples_of
from console.pages.try_it.reading import ReadingOf
from console.service import Service
from schemas import ModelRef, RejectionReason, TaxonomyRef


class Bundles(BaseModel):
    """What can be chosen."""

    names: list[str]


class CategoryOf(BaseModel):
    """A category of a bundle."""

    code: str
    name: str
    description: str
    is_banned: bool = Field(description="Under the policy that decides.")


class BundleOf(BaseModel):
    """A bundle that was chosen."""

    model: ModelRef
    taxonomy: TaxonomyRef
    subject: str
    is_calibrated: bool
    policy: str
    categories: list[CategoryOf]
    examples: list[Example]

    @classmethod
    def of(cls, service: Service) -> "BundleOf":
        """Describe what answers."""
        taxonomy, writer = service.bundle.taxonomy, service.writer
        return cls(
            model=service.bundle.ref,
            taxonomy=taxonomy.ref,
            subject=taxonomy.subject,
            is_calibrated=service.bundle.is_calibrated,
            policy=f"{writer.policy.name} {writer.policy.version}",
            categories=[
                CategoryOf(
                    code=category.code,
                    name=category.name,
                    description=category.description,
                    is_banned=category.code in writer.banned,
                )
                for category in taxonomy.categories
            ],
            examples=examples_of(taxonomy),
        )


class Judged(BaseModel):
    """What is said of a conversation."""

    verdict: HttpVerdict
    reading: ReadingOf


class Influence(BaseModel):
    """What it makes of the verdict to leave a part out."""

    message: int
    text: str
    category_drop: float | None = Field(description="By how much the category's evidence falls; None: not asked.")
    banned_drop: float | None = Field(description="The same of the banned probability.")


class Influences(BaseModel):
    """Which parts move the verdict."""

    category: str
    parts: list[Influence]
    is_complete: bool = Field(description="Whether every part was asked about before the deadline.")


class Row(BaseModel):
    """What is said of one text of a table."""

    category: str = ""
    name: str = ""
    probability: float | None = None
    decision: str = ""
    banned_probability: float | None = None
    risk: float | None = None
    rejected: RejectionReason | None = Field(default=None, description="The API's code; None where there is a verdict.")
    error: str = ""


class Rows(BaseModel):
    """One row for each text, in order."""

    rows: list[Row]

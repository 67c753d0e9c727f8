"""What the console is told of the pipeline that it shows, of its database, and of the people who review."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from worker.settings.section import MAX_S, Section


class PipelineSettings(Section):
    """Whether the console follows a pipeline. Where Kafka and Redis are is said by the worker's own settings."""

    is_on: bool = Field(
        default=False,
        description="Follow the topics that the MODERATION_ settings name, and serve what shows them: the pages Live, "
        "Review, Chat, Policy and Model.",
    )
    worker_config: Path | None = Field(
        default=None, description="The worker's TOML file; MODERATION_ variables win over it."
    )
    live_minutes: int = Field(default=60, ge=1, le=1_440, description="How far back the page Live begins.")


class StoreSettings(Section):
    """The database: the queue, its claims and answers, and what is still to be sent. It holds no chat text."""

    url: SecretStr = Field(
        default=SecretStr("sqlite:///console.sqlite3"),
        description="SQLAlchemy address: sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
    )
    url_file: Path | None = Field(default=None, description="File that holds url.")
    keep_days: int = Field(default=90, ge=1, description="Answered items are deleted after so many days.")


class ReviewSettings(Section):
    """The review queue."""

    lease_s: float = Field(default=600.0, ge=10, le=MAX_S, description="How long a claimed item is one person's.")
    undo_s: float = Field(
        default=10.0, ge=0, le=300, description="An answer can be taken back so long before it is sent."
    )
    opinions: int = Field(default=1, ge=1, le=5, description="People who answer each item, blind to one another.")
    age_bonus_s: float = Field(
        default=14_400.0,
        ge=0,
        le=MAX_S,
        description="The riskiest item goes before what came so many seconds earlier; age outweighs risk beyond.",
    )
    answer_within_s: float = Field(
        default=14_400.0, gt=0, le=MAX_S, description="Items that wait for longer are counted as late."
    )
    sample_per_stratum: int = Field(
        default=20,
        ge=0,
        description="Automatic decisions drawn a day, from each decision of each policy and category; 0: none.",
    )
    gold_every: int = Field(
        default=0, ge=0, description="About every so many items one whose answer is known, unseen among them; 0: none."
    )
    gold_file: Path | None = Field(
        default=None, description="JSON lines of labelled chats, in place of the shipped ones, that gold items are of."
    )
    reasons: str = Field(
        default="policy_violation,false_positive,context_needed,other",
        description="Codes of which an answer names one, by commas.",
    )
    reason_needed: str = Field(
        default="block",
        description="Decisions that need a reason, by commas: allow, block, category. A queue may have rules of its "
        "own in their place: brand-17:allow, appeals:none.",
    )

    comma_lists: ClassVar[frozenset[str]] = frozenset({"reasons", "reason_needed"})


class AppealSettings(Section):
    """Appeals, and how their callers are told."""

    webhook_hosts: str = Field(
        default="", description="Hosts to which answers may be sent, by commas; empty: to none, callers ask."
    )
    private_hosts: str = Field(
        default="",
        description="Those of webhook_hosts, by commas, whose address may be a private one or this machine's; on this "
        "machine plain http is taken, too.",
    )
    signing_key: SecretStr | None = Field(default=None, description="Signs each answer that is sent.")
    signing_key_file: Path | None = Field(default=None, description="File that holds signing_key.")
    per_hour: int = Field(default=60, ge=1, description="Appeals that one key may make in an hour.")

    comma_lists: ClassVar[frozenset[str]] = frozenset({"webhook_hosts", "private_hosts"})

    @model_validator(mode="after")
    def _answers_are_signed(self) -> Self:
        if self.webhook_hosts and self.signing_key is None and self.signing_key_file is None:
            raise ValueError("webhook_hosts is set without signing_key; expected both; set signing_key_file")
        return self

"""The manifest of a bundle: what the files are, how the model must be fed and read, and where it comes from."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

from model.calibration import LogitScaling
from model.evidence.language import LanguageRule
from model.evidence.rule import EvidenceRule
from model.windowing import Windowing
from schemas import CHAT_13, Policy, Taxonomy
from schemas.dotted_version import DottedVersion

MANIFEST_NAME: Final = "manifest.json"
MODEL_NAME: Final = "model.onnx"
TOKENIZER_NAME: Final = "tokenizer.json"
CALIBRATION_NAME: Final = "calibration.json"
MODEL_CARD_NAME: Final = "MODEL_CARD.md"
FIRST_STAGE_NAME: Final = "first_stage.npy"
NETWORK_NAME: Final = "first_stage_network.npz"
LANGUAGES_NAME: Final = "languages.npz"
HEAD_NAME: Final = "head.npz"

FORMAT_2_FIELDS: Final = frozenset({"evidence", "languages", "taxonomy", "policy", "calibrated", "encoder"})
"""What a manifest of format 1 does not have; calibration.json holds `evidence` from format 2 on."""

REQUIRED_FILES: Final = frozenset({MODEL_NAME, TOKENIZER_NAME, MODEL_CARD_NAME})
"""Besides the manifest, these make a bundle; a calibrated one has its chats' evidence too, one with a first stage its
table, and that may have its network."""

HEAD_FILES: Final = frozenset({HEAD_NAME, MODEL_CARD_NAME})
"""The same of a bundle that is a head on the frozen encoder."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class FileEntry(BaseModel):
    """One file of the bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Sha256
    n_bytes: int = Field(ge=0)


class Thresholds(BaseModel):
    """Operating points on banned probability under the default policy; recomputed from calibration.json by `verify`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow_up_to: float = Field(ge=0, le=1, description="Largest calibration score that is still allowed.")
    block_from: float = Field(ge=0, le=1, description="Smallest calibration score that is blocked.")


class ClassGroup(BaseModel):
    """Categories whose logits share a temperature and a bias; see `model.calibration.LogitScaling`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: list[str] = Field(min_length=1)
    temperature: float = Field(gt=0, allow_inf_nan=False)
    bias: float = Field(allow_inf_nan=False)


class ExitSides(BaseModel):
    """Where the first stage is sure enough whether a chat is of these categories; see `model.cascade.first_stage`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: list[str] = Field(min_length=1, description="Categories of one side.")
    margin: float = Field(
        gt=0,
        le=0.5,
        description="It answers alone where the probability of the side is at most this, or at least 1 - this.",
    )


class FirstStageFields(BaseModel):
    """How the first stage is read; its weights are in files of their own. See `model.cascade.first_stage`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    longest_ngram: int = Field(ge=1, le=5, description="Tokens in the longest n-gram.")
    intercept: list[FiniteFloat] = Field(description="Of each output column.")
    blend_weight: float = Field(ge=0, allow_inf_nan=False, description="Of its logits beside the transformer's.")
    exit_from: float | None = Field(
        ge=0, le=1, description="Probability of its category from which it answers alone; null: never."
    )
    exit_sides: ExitSides | None = Field(
        default=None, description="Where given, it answers alone only where it is also sure of the side."
    )


class EncoderRef(BaseModel):
    """The frozen encoder that a head was fitted on; see `model.described.frozen_encoder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    digest: Sha256


class Manifest(BaseModel):
    """Everything a process must know before it serves from a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2]
    name: str = Field(min_length=1, max_length=64)
    version: DottedVersion
    taxonomy: Taxonomy | None = Field(
        default=None, description="From format 2 on: the categories, in the order of the output columns; null: chat-13."
    )
    policy: Policy | None = Field(
        default=None,
        description="From format 2 on: the default policy; null: what the taxonomy bans, at the usual rates.",
    )
    calibrated: bool = Field(
        default=True,
        description="From format 2 on: false where there were no chats to calibrate on; under a policy that bans "
        "anything nothing is allowed.",
    )
    labels: list[str] = Field(description="Category code of each output column, as in the taxonomy.")
    files: dict[str, FileEntry]
    windowing: Windowing
    temperature: float = Field(gt=0, allow_inf_nan=False)
    class_groups: list[ClassGroup] | None = Field(
        default=None, description="Where given, they calibrate in place of the one temperature."
    )
    first_stage: FirstStageFields | None = Field(
        default=None, description="Where given, it answers what is easy, before the transformer."
    )
    evidence: EvidenceRule | None = Field(
        default=None, description="From format 2 on: what is evidence besides the main window; null: nothing."
    )
    languages: LanguageRule | None = Field(
        default=None, description="From format 2 on: on which languages it was calibrated; null: none is told apart."
    )
    encoder: EncoderRef | None = Field(
        default=None,
        description="From format 2 on: the frozen encoder of the package, whose vectors head.npz reads; null: the "
        "bundle has a model of its own.",
    )
    thresholds: Thresholds
    metrics: dict[str, Any] = Field(description="Figures of this very bundle, by data set, as `evaluate` printed them.")
    training_data: dict[str, Any] = Field(description="Digests, counts and licence classes of the data.")
    quantisation: str
    licence: str

    @property
    def categories(self) -> Taxonomy:
        """The taxonomy, chat-13 where the manifest holds none."""
        return self.taxonomy or CHAT_13

    @property
    def default_policy(self) -> Policy:
        """The policy that is used where none is named."""
        return self.policy or Policy.default_for(self.categories)

    @property
    def logit_scaling(self) -> LogitScaling:
        """What calibrates this bundle's logits."""
        codes = self.categories.codes
        if self.class_groups is None:
            return LogitScaling.single(self.temperature, len(codes))
        groups = ((group.codes, group.temperature, group.bias) for group in self.class_groups)
        return LogitScaling.of_groups(groups, codes)

    @model_validator(mode="after")
    def _all_speak_of_the_taxonomy(self) -> Self:
        codes = list(self.categories.codes)
        if self.labels != codes:
            raise ValueError(f"labels are {self.labels}; expected {codes} in this order")
        grouped = [code for group in self.class_groups or [] for code in group.codes]
        if self.class_groups is not None and sorted(grouped) != sorted(codes):
            raise ValueError(f"class_groups hold {sorted(grouped)}; expected each of {codes} once")
        if self.evidence is not None and sorted(self.evidence.weights) != sorted(codes):
            raise ValueError(
                f"evidence has weights of {sorted(self.evidence.weights)}; expected one for each of {codes}"
            )
        first = self.first_stage
        if first is not None and len(first.intercept) != len(codes):
            raise ValueError(f"first_stage has {len(first.intercept)} intercepts; expected {len(codes)}")
        if first is not None and first.exit_sides is not None and set(first.exit_sides.codes) - set(codes):
            raise ValueError(f"first_stage has exit sides {first.exit_sides.codes}; expected some of {codes}")
        if self.policy is not None:
            self.policy.require(self.categories)
        return self

    @model_validator(mode="after")
    def _fields_are_of_the_format(self) -> Self:
        later = sorted(FORMAT_2_FIELDS & self.model_fields_set)
        later += ["windowing.keeps_request"] if self.windowing.keeps_request else []
        later += [] if self.windowing.marks_roles else ["windowing.marks_roles"]
        if self.format_version == 1 and later:
            raise ValueError(f"format_version is 1 and {', '.join(later)} is there; expected format_version 2")
        return self

    @model_validator(mode="after")
    def _files_are_known(self) -> Self:
        expected = REQUIRED_FILES if self.encoder is None else HEAD_FILES
        expected |= frozenset() if self.first_stage is None else {FIRST_STAGE_NAME}
        expected |= {CALIBRATION_NAME} if self.calibrated else frozenset()
        expected |= frozenset() if self.languages is None else {LANGUAGES_NAME}
        optional = frozenset() if self.first_stage is None else {NETWORK_NAME}
        if self.files.keys() - optional != expected:
            also = f" and at most {', '.join(optional)}" if optional else ""
            raise ValueError(f"files are {sorted(self.files)}; expected {sorted(expected)}{also}")
        return self

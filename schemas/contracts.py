"""The contracts as JSON Schema (draft 2020-12), generated from the models that do the work.

Invariant: the files in `json/` are what this module returns, byte for byte; `json/released/` holds
what other teams rely on and changes only at a release.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.chat_event import EVENT_SCHEMA_VERSION, ChatEvent
from schemas.compatibility import Direction, breaking_changes
from schemas.conversation_state import CONVERSATION_STATE_SCHEMA_VERSION, ConversationState
from schemas.dead_letter import DeadLetter
from schemas.erasure import ERASURE_SCHEMA_VERSION, Erasure
from schemas.feedback import FEEDBACK_SCHEMA_VERSION, Feedback
from schemas.marker import MARKER_SCHEMA_VERSION, RejectionMarker
from schemas.override import OVERRIDE_SCHEMA_VERSION, Override
from schemas.policy import Policy
from schemas.policy_table import POLICY_TABLE_SCHEMA_VERSION, PolicyTableRow
from schemas.review import REVIEW_SCHEMA_VERSION, Review
from schemas.verdict import VERDICT_SCHEMA_VERSION, Verdict
from schemas.verdict_change import VERDICT_CHANGE_SCHEMA_VERSION, VerdictChange
from schemas.verdict_decision import VERDICT_DECISION_SCHEMA_VERSION, VerdictDecision
from schemas.verdict_v1 import VERDICT_V1_SCHEMA_VERSION, VerdictV1

DEAD_LETTER_SCHEMA_VERSION: Final = 1
POLICY_SCHEMA_VERSION: Final = 1
RELEASED_FOLDER: Final = "released"
UNRELEASED: Final[frozenset[str]] = frozenset(
    {
        "conversation-state.v1.schema.json",
        "erasure.v1.schema.json",
        "feedback.v1.schema.json",
        "override.v1.schema.json",
        "policy-table.v1.schema.json",
        "review.v1.schema.json",
        "verdict-decision.v1.schema.json",
    }
)
"""File names of contracts that nobody relies on yet; every other contract has a baseline to be compared with."""

_OF_NUMBERS: Final = frozenset({"minimum", "maximum", "format", "default"})


class ContractSchema(GenerateJsonSchema):
    """Pydantic's schema in the form that generators of types read best.

    Titles that only repeat the field names are left out, so that each title names a class.
    """

    def field_title_should_be_set(
        self,
        schema: core_schema.CoreSchema,  # noqa: ARG002  pydantic's signature
    ) -> bool:
        """Say no for every field."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Write "text or null" as one type that may be null: of an `anyOf` generators make an untyped object.

        An object that may be null is written out where it stands; its class is named after the property.
        """
        form = {**self.resolve_ref_schema(self.generate_inner(schema["schema"]))}
        form.pop("title", None)
        if isinstance(form.get("type"), str):
            return {**form, "type": [form["type"], "null"]}
        return super().nullable_schema(schema)


@dataclass(frozen=True)
class Contract:
    """One kind of document that crosses a team's border."""

    name: str
    major: int
    model: type[BaseModel]
    direction: Direction
    is_legacy: bool = False
    """Whether documents of it are still about, though nothing writes them any more."""

    @property
    def file_name(self) -> str:
        """Name of the schema's file; a new major version is a new file."""
        return f"{self.name}.v{self.major}.schema.json"

    @property
    def is_on_topics(self) -> bool:
        """Say whether the worker reads or writes it on a topic or in Redis today."""
        return not self.is_legacy and self.model is not Policy

    @property
    def mode(self) -> Literal["validation", "serialization"]:
        """What the schema describes: what we accept, or what we write."""
        return "validation" if self.direction is Direction.INPUT else "serialization"

    def json_schema(self) -> dict[str, Any]:
        """Return the contract's JSON Schema, with `$schema` and `$id`."""
        schema = self.model.model_json_schema(by_alias=True, mode=self.mode, schema_generator=ContractSchema)
        if self.model is DeadLetter:
            schema = as_header_texts(schema)
        return {
            "$schema": GenerateJsonSchema.schema_dialect,
            "$id": f"urn:verdictstream:{self.name}:{self.major}",
            **schema,
        }


CONTRACTS: Final = (
    Contract("chat-event", EVENT_SCHEMA_VERSION, ChatEvent, Direction.INPUT),
    Contract("erasure", ERASURE_SCHEMA_VERSION, Erasure, Direction.OUTPUT),
    Contract("verdict", VERDICT_SCHEMA_VERSION, Verdict, Direction.OUTPUT),
    Contract("verdict", VERDICT_V1_SCHEMA_VERSION, VerdictV1, Direction.OUTPUT, is_legacy=True),
    Contract("dead-letter-headers", DEAD_LETTER_SCHEMA_VERSION, DeadLetter, Direction.OUTPUT),
    Contract("verdict-change", VERDICT_CHANGE_SCHEMA_VERSION, VerdictChange, Direction.OUTPUT),
    Contract("rejection-marker", MARKER_SCHEMA_VERSION, RejectionMarker, Direction.OUTPUT),
    Contract("conversation-state", CONVERSATION_STATE_SCHEMA_VERSION, ConversationState, Direction.OUTPUT),
    Contract("override", OVERRIDE_SCHEMA_VERSION, Override, Direction.INPUT),
    Contract("verdict-decision", VERDICT_DECISION_SCHEMA_VERSION, VerdictDecision, Direction.OUTPUT),
    Contract("policy", POLICY_SCHEMA_VERSION, Policy, Direction.INPUT),
    Contract("policy-table", POLICY_TABLE_SCHEMA_VERSION, PolicyTableRow, Direction.OUTPUT),
    Contract("review", REVIEW_SCHEMA_VERSION, Review, Direction.OUTPUT),
    Contract("feedback", FEEDBACK_SCHEMA_VERSION, Feedback, Direction.INPUT),
)


def as_header_texts(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Describe the dead letter's headers as they travel: every value is UTF-8 text.

    A number becomes a string of digits, and a header without a value is left out, never null.
    """
    return {**schema, "properties": {name: _as_text(field) for name, field in schema["properties"].items()}}


def _as_text(field: JsonSchemaValue) -> JsonSchemaValue:
    types = {field["type"]} if isinstance(field.get("type"), str) else {*field.get("type", ())}
    if "integer" not in types:
        return field
    rest = {keyword: value for keyword, value in field.items() if keyword not in _OF_NUMBERS}
    return {**rest, "type": "string", "pattern": "^[0-9]+$" if field.get("minimum") == 0 else "^-?[0-9]+$"}


def render(document: Mapping[str, Any]) -> str:
    """Return a JSON document as it is committed: indented, in the order of the models."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def rendered_schemas() -> dict[str, str]:
    """Return the text of every schema file by file name."""
    return {contract.file_name: render(contract.json_schema()) for contract in CONTRACTS}


def release_problems(folder: Path) -> list[str]:
    """Compare the generated schemas with the released ones.

    Args:
        folder: The folder of the generated files; the baseline is `released/` in it.

    Returns:
        One sentence per breaking change, starting with the file's name; empty where there is none.
    """
    current = {contract.file_name: contract for contract in CONTRACTS}
    problems = []
    for path in sorted((folder / RELEASED_FOLDER).glob("*.json")):
        contract = current.get(path.name)
        if contract is None:
            problems.append(
                f"{path.name}: released, but no longer generated; keep it until the last team has "
                "moved to the new major version, then remove the file from the baseline"
            )
            continue
        try:
            released = json.loads(path.read_bytes())
        except ValueError as error:
            problems.append(f"{path.name}: released, but not JSON ({error}); restore the file")
            continue
        changes = breaking_changes(released, contract.json_schema(), contract.direction)
        problems += [f"{path.name}: {change}" for change in changes]
    return problems


def without_baseline(folder: Path) -> list[str]:
    """Return one sentence per contract that no released file stands for, so that its changes would go unseen."""
    return [
        f"{contract.file_name}: has no released form in {folder / RELEASED_FOLDER}, so that nothing tells a change "
        "that breaks its readers; run `python -m schemas release`, or name it in UNRELEASED (schemas/contracts.py)"
        for contract in CONTRACTS
        if contract.file_name not in UNRELEASED and not (folder / RELEASED_FOLDER / contract.file_name).is_file()
    ]

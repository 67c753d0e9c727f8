"""The content of a message: a text, nothing, or a list of parts.

Invariant: whichever form upstream chose, a message holds one text; parts that are no text are left out and can be
counted, and a part that should be a text and is none rejects the record.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

TEXT_PART_TYPES: Final = frozenset({"text", "input_text", "output_text"})

_KINDS: Final = ("image", "audio", "video", "file")
_TEXT_PART: Final = {"type": {"enum": sorted(TEXT_PART_TYPES)}, "text": {"type": "string"}}
_OTHER_PART: Final = {"type": {"type": "string", "not": {"enum": sorted(TEXT_PART_TYPES)}}}
_JSON_SCHEMA: Final[JsonSchemaValue] = {
    "anyOf": [
        {"type": "string"},
        {"type": "null"},
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "object", "properties": _TEXT_PART, "required": ["type", "text"]},
                    {"type": "object", "properties": _OTHER_PART, "required": ["type"]},
                ]
            },
        },
    ],
    "description": "The text, or its parts; parts of other types are left out.",
}


class _Forms:
    """Reads every form of a content as one text."""

    @staticmethod
    def __get_pydantic_core_schema__(_source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # From left to right: nearly every content is a text, and is told by its type without calling Python.
        return core_schema.union_schema(
            [core_schema.str_schema(strict=True), core_schema.no_info_plain_validator_function(content_text)],
            mode="left_to_right",
            custom_error_type="content",
            custom_error_message="Input should be a valid string, null, or a list of parts, each an object with a type "
            "and, where the type is a text's, a text",
            serialization=core_schema.to_string_ser_schema(),
        )

    @staticmethod
    def __get_pydantic_json_schema__(_core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(_JSON_SCHEMA)


Content = Annotated[str, _Forms]
"""One text, however upstream wrote it."""


def content_text(content: object) -> str:
    """Return the text of a content, its parts on lines of their own.

    Raises:
        ValueError: it is neither a text nor null nor a list of parts.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise ValueError("no content")  # noqa: TRY004  pydantic turns only ValueError into a validation error
    return "\n".join(text for part in content if (text := _text_of_part(part)) is not None)


def _text_of_part(part: object) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise ValueError("no part")  # noqa: TRY004
    if kind not in TEXT_PART_TYPES:
        return None
    text = part.get("text")
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004
    return text


def parts_left_out(messages: object) -> Counter[str]:
    """Count the parts of a parsed record's messages that are no text, by kind: image, audio, video, file or other."""
    found: Counter[str] = Counter()
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            name = part.get("type") if isinstance(part, dict) else None
            if isinstance(name, str) and name not in TEXT_PART_TYPES:
                found[name] += 1
    kinds: Counter[str] = Counter()
    for name, n_parts in found.items():
        kinds[_kind(name)] += n_parts
    return kinds


def holds_unread(left_out: Mapping[str, int] | None) -> bool:
    """Say whether what was left out may show something: pictures, sound and files, not the calls of tools.

    Args:
        left_out: See `parts_left_out`; None: nothing.
    """
    return left_out is not None and not left_out.keys().isdisjoint(_KINDS)


def _kind(name: str) -> str:
    return next((kind for kind in _KINDS if kind in name), "other")

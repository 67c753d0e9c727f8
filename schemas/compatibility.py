"""Find the changes of a contract that break those who wrote to the released one.

Two directions. `INPUT` (we read, others write): every document of the released schema must still be
accepted. `OUTPUT` (we write, others read): every document of the new schema must have been allowed
by the released one. Both are the same question, "does `wide` accept all that `narrow` accepts?",
with the roles swapped; a property that disappears is breaking in either direction.

Invariant: what cannot be shown to be compatible is reported; a keyword this file does not know
counts as a change of meaning unless both sides hold the same value. One exception, on purpose: a
new optional input property is harmless, though a writer may have sent that name with another type.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

JsonSchema = dict[str, Any]


class Direction(Enum):
    """Which side of the contract is out of our hands."""

    INPUT = "input"
    """Others write what we read."""
    OUTPUT = "output"
    """Others read what we write."""


_ANNOTATIONS: Final = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"})
_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_CHECKED_ELSEWHERE: Final = frozenset(
    {"type", "enum", "const", "required", "properties", "items", "additionalProperties"}
    | {"propertyNames", "anyOf", "$ref", *_LOWER_BOUNDS, *_UPPER_BOUNDS}
)
_NOTHING: Final[JsonSchema] = {"enum": []}


def breaking_changes(released: JsonSchema, current: JsonSchema, direction: Direction) -> tuple[str, ...]:
    """Compare two versions of one contract.

    Args:
        released: JSON Schema (draft 2020-12) that others rely on.
        current: JSON Schema generated from the code.
        direction: Whether others write or read the documents.

    Returns:
        One sentence per breaking change, each starting with the path of what changed; empty where
        the change is harmless.
    """
    narrow, wide = (released, current) if direction is Direction.INPUT else (current, released)
    comparison = _Comparison(narrow, wide, direction)
    return tuple(dict.fromkeys(comparison.differences(narrow, wide, "$")))


class _Comparison:
    """Does `wide` accept every document that `narrow` accepts?"""

    def __init__(self, narrow: JsonSchema, wide: JsonSchema, direction: Direction) -> None:
        self._narrow_root = narrow
        self._wide_root = wide
        self._direction = direction
        self._open: set[tuple[str, str]] = set()

    def differences(self, narrow: Any, wide: Any, path: str) -> Iterator[str]:
        pair = (_text(narrow), _text(wide))
        if pair in self._open:
            # A recursive definition, being compared further up, is as compatible as its rest.
            return
        self._open.add(pair)
        narrow_schema = _resolve(narrow, self._narrow_root)
        wide_schema = _resolve(wide, self._wide_root)
        yield from self._alternatives(
            _forms(narrow_schema, self._narrow_root), _forms(wide_schema, self._wide_root), path
        )
        if self._direction is Direction.INPUT and {"default"} <= {*narrow_schema} & {*wide_schema}:
            before, after = narrow_schema["default"], wide_schema["default"]
            if before != after:
                yield f"{path}: the default was {before!r} and is {after!r} now"
        self._open.discard(pair)

    def _alternatives(self, narrow: list[JsonSchema], wide: list[JsonSchema], path: str) -> Iterator[str]:
        for form in narrow:
            attempts = [list(self._one_form(form, other, path)) for other in wide]
            if not all(attempts):
                continue
            # The closest form of the same type tells best what changed, where there is one.
            same_type = [attempt for attempt, other in zip(attempts, wide, strict=True) if _types(form) & _types(other)]
            if same_type:
                yield from min(same_type, key=len)
            else:
                yield self._say(path, _names(_types(form)))

    def _one_form(self, narrow: JsonSchema, wide: JsonSchema, path: str) -> Iterator[str]:
        extra_types = _types(narrow) - _types(wide)
        if extra_types:
            yield self._say(path, _names(extra_types))
            return
        yield from self._values(narrow, wide, path)
        yield from self._bounds(narrow, wide, path)
        yield from self._object(narrow, wide, path)
        if "items" in wide:
            yield from self.differences(narrow.get("items", {}), wide["items"], f"{path}[]")
        for keyword in sorted(set(wide) - _ANNOTATIONS - _CHECKED_ELSEWHERE):
            if keyword == "pattern" and _all_match(_enum(narrow), wide["pattern"]):
                continue
            if not self._means_the_same(narrow.get(keyword), wide[keyword]):
                yield f"{path}: {keyword} changed; it cannot be shown to be compatible"

    def _means_the_same(self, narrow: Any, wide: Any) -> bool:
        if narrow != wide:
            return False
        definitions_differ = self._narrow_root.get("$defs") != self._wide_root.get("$defs")
        return not (definitions_differ and '"$ref"' in _text(wide))

    def _values(self, narrow: JsonSchema, wide: JsonSchema, path: str) -> Iterator[str]:
        allowed = _enum(wide)
        if allowed is None:
            return
        written = _enum(narrow)
        if written is None:
            yield self._say(path, "any value outside the enum")
            return
        for value in written:
            if value not in allowed:
                yield self._say(path, f"value {value!r}")

    def _bounds(self, narrow: JsonSchema, wide: JsonSchema, path: str) -> Iterator[str]:
        for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
            if keyword not in wide:
                continue
            limit, other = wide[keyword], narrow.get(keyword)
            outside = other is None or (other < limit if keyword in _LOWER_BOUNDS else other > limit)
            if outside:
                yield self._say(path, f"a value past {keyword} {limit}")

    def _object(self, narrow: JsonSchema, wide: JsonSchema, path: str) -> Iterator[str]:
        is_input = self._direction is Direction.INPUT
        released, current = (narrow, wide) if is_input else (wide, narrow)
        for name in _properties(released):
            if name not in _properties(current):
                yield f"{path}.{name}: the property was removed"
        for name in wide.get("required", ()):
            if name not in narrow.get("required", ()) and name in _properties(current):
                change = "is required now" if is_input else "was always there and may be missing now"
                yield f"{path}.{name}: the property {change}"
        for name in sorted(_properties(narrow) | _properties(wide)):
            if name in _properties(current):
                yield from self._property(narrow, wide, name, path)
        rest_narrow = narrow.get("additionalProperties", True)
        rest_wide = wide.get("additionalProperties", True)
        if rest_wide is not True:
            yield from self.differences(rest_narrow, rest_wide, f"{path}.*")
        if "propertyNames" in wide:
            names = narrow.get("propertyNames", {})
            yield from self.differences(names, wide["propertyNames"], f"{path}.*(name)")

    def _property(self, narrow: JsonSchema, wide: JsonSchema, name: str, path: str) -> Iterator[str]:
        before = _properties(narrow).get(name, narrow.get("additionalProperties", True))
        after = _properties(wide).get(name, wide.get("additionalProperties", True))
        # `before` is True where a new optional input property was an unknown, ignored one.
        if before is not True:
            yield from self.differences(before, after, f"{path}.{name}")

    def _say(self, path: str, what: str) -> str:
        if self._direction is Direction.INPUT:
            return f"{path}: {what} was accepted and is refused now"
        return f"{path}: {what} may be written now; released readers do not expect it"


def _text(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True)


def _resolve(schema: Any, root: JsonSchema) -> JsonSchema:
    """Replace a boolean schema by an object, and a reference to `$defs` by what it names."""
    if isinstance(schema, bool):
        return {} if schema else _NOTHING
    resolved: JsonSchema = dict(schema)
    while "$ref" in resolved:
        name = resolved.pop("$ref").removeprefix("#/$defs/")
        resolved = {**root["$defs"][name], **resolved}
    return resolved


def _forms(schema: JsonSchema, root: JsonSchema) -> list[JsonSchema]:
    """Write `anyOf` and a list of types out as complete schemas; a schema that accepts nothing has none."""
    if schema.get("enum") == []:
        return []
    if "anyOf" not in schema:
        types = schema.get("type")
        return [schema] if not isinstance(types, list) else [_of_type(schema, name) for name in types]
    shared = {keyword: value for keyword, value in schema.items() if keyword != "anyOf" and keyword not in _ANNOTATIONS}
    return [form for branch in schema["anyOf"] for form in _forms({**shared, **_resolve(branch, root)}, root)]


def _of_type(schema: JsonSchema, name: str) -> JsonSchema:
    """Return the part of a schema that concerns one of its types."""
    if name != "null":
        return {**schema, "type": name}
    # Only these say anything of null; a bound or the form of items does not.
    return {keyword: value for keyword, value in schema.items() if keyword in {"enum", "const"}} | {"type": name}


_ALL_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _types(schema: JsonSchema) -> frozenset[str]:
    """Return the JSON types a schema accepts; every number accepts an integer."""
    declared = schema.get("type", _ALL_TYPES)
    types = frozenset({declared} if isinstance(declared, str) else declared)
    return types | {"integer"} if "number" in types else types


def _names(types: frozenset[str]) -> str:
    if types == _ALL_TYPES:
        return "any value"
    return "type " + " or ".join(sorted(types))


def _enum(schema: JsonSchema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _all_match(values: list[Any] | None, pattern: str) -> bool:
    """Say whether all values of an enum, where there is one, are texts that a pattern accepts."""
    return values is not None and all(isinstance(value, str) and re.search(pattern, value) for value in values)


def _properties(schema: JsonSchema) -> JsonSchema:
    properties: JsonSchema = schema.get("properties", {})
    return properties

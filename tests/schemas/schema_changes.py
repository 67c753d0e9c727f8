"""Changes of a contract, breaking and harmless, as pairs of released and current JSON Schema."""

from typing import Any

from schemas.compatibility import Direction, JsonSchema

IN, OUT = Direction.INPUT, Direction.OUTPUT


def object_schema(required: tuple[str, ...] = ("a",), **properties: JsonSchema) -> JsonSchema:
    """Return the schema of an object with a text `a` and the given properties."""
    return {"type": "object", "properties": {"a": {"type": "string"}, **properties}} | {"required": list(required)}


def field_schema(**keywords: Any) -> JsonSchema:
    """Return the schema of an object whose optional property `f` has the given keywords."""
    return object_schema(f=keywords)


def _any_of(*types: str) -> JsonSchema:
    return field_schema(anyOf=[{"type": name} for name in types])


OPEN_MAP = field_schema(type="object", additionalProperties={"type": "number"})
CLOSED = {**object_schema(), "additionalProperties": False}

BREAKING: dict[str, tuple[Direction, JsonSchema, JsonSchema, str]] = {
    "input: an enum becomes a pattern that refuses a value": (
        IN,
        field_schema(type="string", enum=["A", "b"]),
        field_schema(type="string", pattern="^[A-Z]$"),
        "$.f: pattern changed",
    ),
    "input: property removed": (IN, field_schema(type="string"), object_schema(), "$.f: the property was"),
    "input: removed and unknown ones refused": (
        IN,
        field_schema(type="string"),
        CLOSED,
        "$.f: the property was removed",
    ),
    "input: new required property": (
        IN,
        object_schema(),
        object_schema(("a", "f"), f={"type": "string"}),
        "$.f: the property is required now",
    ),
    "input: optional becomes required": (
        IN,
        field_schema(type="string"),
        object_schema(("a", "f"), f={"type": "string"}),
        "$.f: the property is required now",
    ),
    "input: type changed": (IN, field_schema(type="string"), field_schema(type="integer"), "type string was"),
    "input: number becomes integer": (
        IN,
        field_schema(type="number"),
        field_schema(type="integer"),
        "$.f: type number was accepted",
    ),
    "input: null no longer accepted": (
        IN,
        _any_of("string", "null"),
        field_schema(type="string"),
        "$.f: type null was accepted and is refused now",
    ),
    "input: null no longer in the list of types": (
        IN,
        field_schema(type=["string", "null"]),
        field_schema(type="string"),
        "$.f: type null was accepted and is refused now",
    ),
    "input: items narrowed beside null": (
        IN,
        field_schema(type=["array", "null"], items={"type": "number"}),
        field_schema(type=["array", "null"], items={"type": "integer"}),
        "$.f[]: type number",
    ),
    "output: null in the list of types": (
        OUT,
        field_schema(type="string"),
        field_schema(type=["string", "null"]),
        "$.f: type null may be written now",
    ),
    "output: enum without its null": (
        OUT,
        field_schema(type="string", enum=["x"]),
        field_schema(type=["string", "null"], enum=["x", None]),
        "$.f: type null may be written now",
    ),
    "input: one form of three removed": (
        IN,
        _any_of("string", "integer", "null"),
        _any_of("string", "null"),
        "$.f: type integer was accepted",
    ),
    "input: any type becomes one": (IN, field_schema(), field_schema(type="string"), "$.f: type array or"),
    "input: enum value removed": (IN, field_schema(enum=["x", "y"]), field_schema(enum=["x"]), "value 'y'"),
    "input: enum introduced": (
        IN,
        field_schema(type="string"),
        field_schema(type="string", enum=["x"]),
        "any value outside the enum",
    ),
    "input: constant changed": (IN, field_schema(const=1), field_schema(const=2), "value 1"),
    "input: upper bound lowered": (
        IN,
        field_schema(type="string", maxLength=256),
        field_schema(type="string", maxLength=64),
        "maxLength 64",
    ),
    "input: lower bound raised": (
        IN,
        field_schema(type="integer", minimum=0),
        field_schema(type="integer", minimum=1),
        "minimum 1",
    ),
    "input: bound introduced": (
        IN,
        field_schema(type="array", items={}),
        field_schema(type="array", items={}, maxItems=9),
        "maxItems 9",
    ),
    "input: pattern introduced": (
        IN,
        field_schema(type="string"),
        field_schema(type="string", pattern="^a"),
        "$.f: pattern changed",
    ),
    "input: pattern changed": (
        IN,
        field_schema(type="string", pattern="^a"),
        field_schema(type="string", pattern="^b"),
        "$.f: pattern changed",
    ),
    "input: unknown properties refused": (IN, object_schema(), CLOSED, "$.*: any value was accepted"),
    "input: property removed where unknown ones are refused": (
        IN,
        {**field_schema(type="string"), "additionalProperties": False},
        CLOSED,
        "$.f: the property was removed",
    ),
    "input: items narrowed": (
        IN,
        field_schema(type="array", items={"type": "number"}),
        field_schema(type="array", items={"type": "integer"}),
        "$.f[]: type number",
    ),
    "input: items introduced": (
        IN,
        field_schema(type="array"),
        field_schema(type="array", items={"type": "integer"}),
        "$.f[]: type array or",
    ),
    "input: values of a map narrowed": (
        IN,
        OPEN_MAP,
        field_schema(type="object", additionalProperties={"type": "integer"}),
        "$.f.*: type number",
    ),
    "input: default changed": (
        IN,
        field_schema(type="string", default="x"),
        field_schema(type="string", default="y"),
        "$.f: the default was 'x' and is 'y' now",
    ),
    "input: a keyword this check does not know": (
        IN,
        field_schema(type="string"),
        field_schema(type="string", contentEncoding="base64"),
        "contentEncoding changed",
    ),
    "output: property removed": (OUT, field_schema(type="string"), object_schema(), "$.f: the property was"),
    "output: required property removed": (
        OUT,
        object_schema(("a", "f"), f={"type": "string"}),
        object_schema(),
        "$.f: the property was removed",
    ),
    "output: required becomes optional": (
        OUT,
        object_schema(("a", "f"), f={"type": "string"}),
        field_schema(type="string"),
        "$.f: the property was always there and may be missing now",
    ),
    "output: type changed": (OUT, field_schema(type="integer"), field_schema(type="string"), "type string may"),
    "output: integer becomes number": (
        OUT,
        field_schema(type="integer"),
        field_schema(type="number"),
        "$.f: type number may be written",
    ),
    "output: may be null": (
        OUT,
        field_schema(type="string"),
        _any_of("string", "null"),
        "$.f: type null may be written now",
    ),
    "output: enum value added": (OUT, field_schema(enum=["x"]), field_schema(enum=["x", "y"]), "value 'y' may"),
    "output: enum dropped": (
        OUT,
        field_schema(type="string", enum=["x"]),
        field_schema(type="string"),
        "any value outside the enum may be written",
    ),
    "output: upper bound raised": (
        OUT,
        field_schema(type="string", maxLength=64),
        field_schema(type="string", maxLength=256),
        "maxLength 64",
    ),
    "output: bound dropped": (
        OUT,
        field_schema(type="integer", minimum=0),
        field_schema(type="integer"),
        "minimum 0",
    ),
    "output: format dropped": (
        OUT,
        field_schema(type="string", format="date-time"),
        field_schema(type="string"),
        "format changed",
    ),
    "output: new property where readers refuse unknown ones": (
        OUT,
        CLOSED,
        {**field_schema(type="string"), "additionalProperties": False},
        "$.f: type string may be written",
    ),
    "output: names of a map widened": (
        OUT,
        field_schema(type="object", propertyNames={"enum": ["x"]}),
        field_schema(type="object", propertyNames={"enum": ["x", "y"]}),
        "$.f.*(name): value 'y'",
    ),
}

HARMLESS: dict[str, tuple[Direction, JsonSchema, JsonSchema]] = {
    "input: an enum becomes a pattern that its values match": (
        IN,
        field_schema(type="string", enum=["A", "B"]),
        field_schema(type="string", pattern="^[A-Z]$"),
    ),
    "input: new optional property": (IN, object_schema(), field_schema(type="string")),
    "input: required becomes optional": (
        IN,
        object_schema(("a", "f"), f={"type": "string"}),
        field_schema(type="string"),
    ),
    "input: integer becomes number": (IN, field_schema(type="integer"), field_schema(type="number")),
    "input: null accepted": (IN, field_schema(type="string"), _any_of("string", "null")),
    "input: order of forms": (IN, _any_of("string", "null"), _any_of("null", "string")),
    "input: types as a list": (IN, _any_of("string", "null"), field_schema(type=["null", "string"])),
    "input: a list of types written out": (IN, field_schema(type=["null", "string"]), _any_of("string", "null")),
    "input: items beside null": (
        IN,
        field_schema(anyOf=[{"type": "array", "items": {"type": "string"}}, {"type": "null"}]),
        field_schema(type=["array", "null"], items={"type": "string"}),
    ),
    "output: bounds beside null": (
        OUT,
        field_schema(anyOf=[{"type": "integer", "minimum": 0}, {"type": "null"}]),
        field_schema(type=["integer", "null"], minimum=0),
    ),
    "input: enum value added": (IN, field_schema(enum=["x"]), field_schema(enum=["y", "x"])),
    "input: bounds widened": (
        IN,
        field_schema(type="string", minLength=2, maxLength=3),
        field_schema(type="string", minLength=1, maxLength=4),
    ),
    "input: bounds dropped": (IN, field_schema(type="string", maxLength=3), field_schema(type="string")),
    "input: pattern dropped": (IN, field_schema(type="string", pattern="a"), field_schema(type="string")),
    "input: unknown properties accepted": (IN, CLOSED, object_schema()),
    "input: a closed object becomes a map": (
        IN,
        CLOSED,
        {**object_schema(), "additionalProperties": {"type": "integer"}},
    ),
    "output: new property": (OUT, object_schema(), field_schema(type="string")),
    "output: new required property": (OUT, object_schema(), object_schema(("a", "f"), f={"type": "string"})),
    "output: optional becomes required": (
        OUT,
        field_schema(type="string"),
        object_schema(("a", "f"), f={"type": "string"}),
    ),
    "output: enum value no longer written": (OUT, field_schema(enum=["x", "y"]), field_schema(enum=["x"])),
    "output: never null again": (OUT, _any_of("string", "null"), field_schema(type="string")),
    "output: bounds narrowed": (
        OUT,
        field_schema(type="number", minimum=0, maximum=9),
        field_schema(type="number", minimum=1, maximum=8),
    ),
    "output: number becomes integer": (OUT, field_schema(type="number"), field_schema(type="integer")),
    "output: a default appears": (OUT, field_schema(type="string"), field_schema(type="string", default="x")),
    "texts only": (
        IN,
        field_schema(type="string", description="old", title="Old"),
        field_schema(type="string", description="new", examples=["x"]),
    ),
}

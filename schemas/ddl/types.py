"""JSON Schema to column types of three SQL engines: a small tree in between, one way to write it for each engine.

Invariant: a schema that this file does not understand is an error, never a guess.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

JsonSchema = dict[str, Any]


class Dialect(StrEnum):
    """A SQL engine."""

    DUCKDB = "duckdb"
    FLINK = "flink"
    KSQLDB = "ksqldb"


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    RECORD = "record"
    MAP = "map"
    LIST = "list"


@dataclass(frozen=True)
class Column:
    """A type: a plain one, the fields of a record, or what a map or a list holds."""

    kind: Kind
    fields: tuple[tuple[str, "Column"], ...] = ()
    holds: "Column | None" = None


class UnknownSchemaError(ValueError):
    """A part of a JSON Schema has no column type here."""


_PLAIN: Final = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
}
_NAMES: Final = {
    Dialect.DUCKDB: {
        Kind.TEXT: "VARCHAR",
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TIME: "TIMESTAMPTZ",
    },
    # Flink's JSON format and ksqlDB read times in forms of their own only; texts of one length sort all the same.
    Dialect.FLINK: {
        Kind.TEXT: "STRING",
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TIME: "STRING",
    },
    Dialect.KSQLDB: {
        Kind.TEXT: "VARCHAR",
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TIME: "VARCHAR",
    },
}


def columns_of(schema: JsonSchema) -> tuple[tuple[str, Column], ...]:
    """Return name and type of each property of an object, in order.

    Raises:
        UnknownSchemaError: a property has no column type.
    """
    definitions = schema.get("$defs", {})
    return _fields(schema, definitions)


def _fields(schema: JsonSchema, definitions: JsonSchema) -> tuple[tuple[str, Column], ...]:
    return tuple((name, _column(part, definitions, name)) for name, part in schema["properties"].items())


def _column(part: JsonSchema, definitions: JsonSchema, where: str) -> Column:
    if "$ref" in part:
        return _column(definitions[part["$ref"].rpartition("/")[2]], definitions, where)
    names = _types(part)
    if names == {"string", "integer"}:
        # Either is written as text: an id that may be both.
        return Column(Kind.TEXT)
    if len(names) != 1:
        raise UnknownSchemaError(f"{where}: found the types {sorted(names)}; expected one; say here what it becomes")
    (name,) = names
    if name == "object":
        return _object(part, definitions, where)
    if name == "array":
        return Column(Kind.LIST, holds=_column(part["items"], definitions, where))
    if name not in _PLAIN:
        raise UnknownSchemaError(f"{where}: found the type {name!r}; expected one of {', '.join(_PLAIN)}")
    return Column(Kind.TIME if part.get("format") == "date-time" else _PLAIN[name])


def _object(part: JsonSchema, definitions: JsonSchema, where: str) -> Column:
    if "properties" in part:
        return Column(Kind.RECORD, fields=_fields(part, definitions))
    return Column(Kind.MAP, holds=_column(part["additionalProperties"], definitions, where))


def _types(part: JsonSchema) -> set[str]:
    """Return the types that a value may have, without null."""
    if "anyOf" in part:
        found = {name for one in part["anyOf"] for name in _types(one)}
    else:
        said = part.get("type", [])
        found = {said} if isinstance(said, str) else {*said}
    return found - {"null"}


def written(column: Column, dialect: Dialect) -> str:
    """Return a type as an engine writes it."""
    if column.kind is Kind.RECORD:
        fields = ", ".join(f"{quoted(name, dialect)} {written(field, dialect)}" for name, field in column.fields)
        return {
            Dialect.DUCKDB: f"STRUCT({fields})",
            Dialect.FLINK: f"ROW<{fields}>",
            Dialect.KSQLDB: f"STRUCT<{fields}>",
        }[dialect]
    if column.holds is not None:
        held = written(column.holds, dialect)
        if column.kind is Kind.LIST:
            return f"{held}[]" if dialect is Dialect.DUCKDB else f"ARRAY<{held}>"
        text = _NAMES[dialect][Kind.TEXT]
        return f"MAP({text}, {held})" if dialect is Dialect.DUCKDB else f"MAP<{text}, {held}>"
    return _NAMES[dialect][column.kind]


def quoted(name: str, dialect: Dialect) -> str:
    """Return a name in an engine's quotes, since some are words of SQL. ksqlDB would also turn it into capitals."""
    return f'"{name}"' if dialect is Dialect.DUCKDB else f"`{name}`"

"""The statements: one table over the topic `verdicts` for each engine."""

from typing import Final

from schemas.contracts import CONTRACTS, Contract
from schemas.ddl.types import Column, Dialect, columns_of, quoted, written
from schemas.verdict import Verdict

TOPIC: Final = "verdicts"
_HEAD: Final = "-- Made by `python -m schemas ddl {dialect}` from verdict.v{version}.schema.json; do not edit.\n"
_LAST_ROW: Final = (
    "-- The last row of a chat is not its newest verdict: a replay answers old events again (schemas/README.md).\n"
)
_OF_DUCKDB: Final = """\
-- Reads JSON lines: SET VARIABLE verdicts = 'verdicts.jsonl'; first. A field that is added later is left out.
-- Rows of schema_version 1 have no decisions, evidence or taxonomy: those columns are null.
"""
_OF_FLINK: Final = """\
-- Committed records alone; aborted verdicts were never given. Set the brokers' address.
-- `verdict_time` is the record's. Exactly-once sinks need checkpoints.
"""
_OF_KSQLDB: Final = """\
-- Set isolation.level=read_committed for the server or the query: ksql.streams.consumer.isolation.level.
"""


VERDICT: Final = next(one for one in CONTRACTS if one.model is Verdict)


def ddl(dialect: Dialect, contract: Contract = VERDICT) -> str:
    """Return the statement for an engine, with comments on what its users must know.

    Raises:
        UnknownSchemaError: the contract has a part without a column type.
    """
    columns = columns_of(contract.json_schema())
    head = _HEAD.format(dialect=dialect, version=contract.major)
    if dialect is Dialect.DUCKDB:
        return head + _OF_DUCKDB + _LAST_ROW + _duckdb(columns)
    if dialect is Dialect.FLINK:
        return head + _OF_FLINK + _LAST_ROW + _flink(columns)
    return head + _OF_KSQLDB + _LAST_ROW + _ksqldb(columns)


def _duckdb(columns: tuple[tuple[str, Column], ...]) -> str:
    types = ",\n".join(f"        {name}: '{written(column, Dialect.DUCKDB)}'" for name, column in columns)
    return (
        "CREATE OR REPLACE VIEW verdicts AS\n"
        "SELECT * FROM read_json(\n"
        "    getvariable('verdicts'),\n"
        "    format = 'newline_delimited',\n"
        f"    columns = {{\n{types}\n    }}\n"
        ");\n"
    )


def _flink(columns: tuple[tuple[str, Column], ...]) -> str:
    listed = _listed(columns, Dialect.FLINK)
    return (
        f"CREATE TABLE {TOPIC} (\n{listed},\n"
        "  `verdict_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,\n"
        "  WATERMARK FOR `verdict_time` AS `verdict_time` - INTERVAL '10' SECOND\n"
        ") WITH (\n"
        "  'connector' = 'kafka',\n"
        f"  'topic' = '{TOPIC}',\n"
        "  'properties.bootstrap.servers' = 'localhost:9092',\n"
        "  'properties.isolation.level' = 'read_committed',\n"
        "  'scan.startup.mode' = 'earliest-offset',\n"
        "  'format' = 'json',\n"
        "  'json.fail-on-missing-field' = 'false'\n"
        ");\n"
    )


def _ksqldb(columns: tuple[tuple[str, Column], ...]) -> str:
    # ksqlDB has key and value as columns side by side, and their names must differ.
    listed = _listed(columns, Dialect.KSQLDB)
    return (
        f"CREATE STREAM {TOPIC} (\n  `key` VARCHAR KEY,\n{listed}\n"
        f") WITH (KAFKA_TOPIC = '{TOPIC}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');\n"
    )


def _listed(columns: tuple[tuple[str, Column], ...], dialect: Dialect) -> str:
    return ",\n".join(f"  {quoted(name, dialect)} {written(column, dialect)}" for name, column in columns)

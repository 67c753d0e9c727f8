"""Tables for SQL engines: made from the JSON Schema, and DuckDB reads verdicts through its own."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from schemas import CHAT_13, Decision, Verdict, encode_verdict
from schemas.__main__ import app
from schemas.contracts import CONTRACTS
from schemas.ddl.tables import VERDICT, ddl
from schemas.ddl.types import Column, Dialect, Kind, UnknownSchemaError, columns_of, written
from tests.schemas.payloads import make_verdict
from tests.schemas.test_golden import GOLDEN

SQL = Path(__file__).parents[3] / "examples" / "sql"


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_committed_file_is_what_the_schema_makes(dialect: Dialect) -> None:
    """A field that is added to the verdict is missing in no engine."""
    assert (SQL / f"{dialect}.sql").read_text("utf-8") == ddl(dialect)
    assert CliRunner().invoke(app, ["ddl", dialect.value]).stdout == ddl(dialect)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_every_property_is_a_column(dialect: Dialect) -> None:
    """In the contract's order, once."""
    text = ddl(dialect)
    named = r"^ +(\w+): '" if dialect is Dialect.DUCKDB else r"^  `(\w+)` "
    extra = {Dialect.DUCKDB: [], Dialect.FLINK: ["verdict_time"], Dialect.KSQLDB: ["key"]}[dialect]
    found = [name for name in re.findall(named, text, re.MULTILINE) if name not in extra]
    assert found == [*VERDICT.json_schema()["properties"]]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.file_name)
def test_every_contract_that_we_write_has_column_types(contract: Any) -> None:
    """Nested references, maps and what may be null, in all of them."""
    if contract.mode == "serialization":
        for _, column in columns_of(contract.json_schema()):
            assert all(written(column, dialect) for dialect in Dialect)


@pytest.mark.parametrize(
    ("part", "column"),
    [
        ({"type": ["string", "null"]}, Column(Kind.TEXT)),
        ({"type": "string", "format": "date-time"}, Column(Kind.TIME)),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, Column(Kind.TEXT)),
        ({"type": "object", "additionalProperties": {"type": "number"}}, Column(Kind.MAP, holds=Column(Kind.NUMBER))),
        ({"type": "array", "items": {"type": "boolean"}}, Column(Kind.LIST, holds=Column(Kind.BOOLEAN))),
        ({"$ref": "#/$defs/X"}, Column(Kind.RECORD, fields=(("a", Column(Kind.INTEGER)),))),
    ],
)
def test_a_part_of_a_schema_has_one_type(part: dict[str, Any], column: Column) -> None:
    """And null adds nothing: every column may be null."""
    schema = {"properties": {"x": part}, "$defs": {"X": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    assert columns_of(schema) == (("x", column),)


@pytest.mark.parametrize("part", [{}, {"type": ["string", "number"]}, {"type": "null"}, {"const": 1}])
def test_what_has_no_column_type_is_an_error(part: dict[str, Any]) -> None:
    """A guess would be found out when the first such value comes."""
    with pytest.raises(UnknownSchemaError, match=r"^x: found"):
        columns_of({"properties": {"x": part}})


def verdict(chat_id: str, offset: int, decision: Decision, **fields: Any) -> Verdict:
    """Return a verdict of this chat and event."""
    made = make_verdict(**{"chat_id": chat_id, "decision": decision, **fields})
    times = {"offset": offset, "timestamp_ms": 1_700_000_000_000 + offset}
    return made.model_copy(update={"source": made.source.model_copy(update=times)})


@pytest.fixture
def database(tmp_path: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Return a database with the view over a few verdicts, a replay and an override among them."""
    verdicts = [
        verdict("a", 1, Decision.ALLOW),
        verdict("a", 3, Decision.BLOCK),
        verdict("a", 2, Decision.ALLOW, replay_id="jan", decided_at=datetime(2027, 1, 1, tzinfo=UTC)),
        verdict("b", 7, Decision.ALLOW),
        verdict("b", 7, Decision.REVIEW, override_revision=1),
        verdict("чат", 2**62, Decision.ALLOW, event_id=7),
    ]
    lines = [encode_verdict(one).removesuffix(b"}") + b',"later":{"a":[1]},"mac":"x"}' for one in verdicts]
    for name in ("verdict.v1.json", "verdict.v2.json"):
        golden = json.loads((GOLDEN / name).read_bytes())
        lines.append(json.dumps({**golden, "chat_id": name}).encode())
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE verdicts = ?", [str(path)])
        connection.execute((SQL / "duckdb.sql").read_text("utf-8"))
        yield connection


def test_duckdb_reads_every_field(database: "duckdb.DuckDBPyConnection") -> None:
    """Of all versions and with fields of later ones; 64 bits stay 64 bits, an id of either type is a text."""
    rows = database.execute("SELECT count(*), count(decisions), min(schema_version) FROM verdicts").fetchall()
    assert rows == [(8, 7, 1)]
    found = database.execute(
        "SELECT event_id, source.offset, evidence['F'], decisions['default'].decision, unevaluated, "
        "decided_at::VARCHAR, previous FROM verdicts WHERE chat_id = 'чат'"
    ).fetchone()
    assert found is not None
    assert found[:5] == ("7", 2**62, 0.52, "allow", [])
    assert found[6] is None
    held = database.execute(
        "SELECT previous.offset, epoch_us(previous.decided_at), epoch_us(decided_at) FROM verdicts "
        "WHERE previous IS NOT NULL"
    ).fetchall()
    assert held == [(40, 1_767_322_980_000_000, 1_767_322_990_123_456)]


def queries() -> dict[str, str]:
    """Return the example's statements by the word that their comment begins with."""
    blocks = (SQL / "duckdb_queries.sql").read_text("utf-8").split("\n\n")[1:]
    return {block.removeprefix("-- ").partition(":")[0]: block for block in blocks}


def test_the_queries_run_and_say_what_their_comments_say(database: "duckdb.DuckDBPyConnection") -> None:
    """The newest of a chat is neither the last row nor the replay's."""
    named = queries()
    assert [*named] == ["newest", "policy_decisions", "shares", "categories", "scores"]
    answers = {name: database.execute(sql).fetchall() for name, sql in named.items()}
    newest = database.execute("SELECT chat_id, decision FROM newest WHERE chat_id < 'c' ORDER BY chat_id").fetchall()
    assert newest == [("a", "block"), ("b", "review")]
    assert ("acme", "review", 1, 1.0) in answers["shares"]
    assert sum(row[2] for row in answers["shares"] if row[0] == "default") == 4
    assert ("toxicity", "not_toxic", 1, 0.0125) in answers["categories"]
    expected = round(sum(make_verdict().evidence[code] for code in CHAT_13.banned), 6)
    assert {row[1] for row in answers["scores"]} == {expected}

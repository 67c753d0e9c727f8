"""Flink's own parser reads the table of the examples. ksqlDB's is not to be had from Maven Central."""

import subprocess

import pytest

from schemas.contracts import CONTRACTS
from tests.consumers.example import Example, build
from tests.consumers.readme import REPOSITORY, commands

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

FLINK = Example("Flink SQL check", ("java", "javac", "mvn"))


def parsed(sql: str) -> "subprocess.CompletedProcess[str]":
    """Parse a file by the README's command."""
    build(FLINK)
    line = commands(FLINK.heading).run.rpartition(" ")[0]
    return subprocess.run(
        ["bash", "-c", f"{line} {sql}"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )


def test_flink_parses_the_table() -> None:
    """Every property of the verdict, and the record's time."""
    done = parsed("examples/sql/flink.sql")
    (contract,) = (one for one in CONTRACTS if one.name == "verdict" and not one.is_legacy)
    assert (done.returncode, done.stdout) == (0, f"verdicts {len(contract.json_schema()['properties']) + 1}\n")


def test_the_parser_refuses_another_engines_table() -> None:
    """Or the test above would show nothing."""
    done = parsed("examples/sql/ksqldb.sql")
    assert done.returncode != 0
    assert "SqlParseException" in done.stderr

"""Readers that hold the policy table decide as the worker does: every policy, every reason, every edge."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from model import DEFAULT_BUNDLE_PATH, load_bundle
from model.policies.rules import policies_over
from model.policies.table import policy_rows
from schemas import CHAT_13, encode_verdict
from schemas.policy_table import encode_policy_row
from tests.consumers.example import Example, build
from tests.consumers.readme import REPOSITORY, commands
from tests.policy_cases import as_a_topic_holds_them, some_readings, twenty_policies, with_wrong_decisions
from tests.tiny_bundle import tiny_bundle

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

READERS = [
    Example("Decide in Python", ("python3",)),
    Example("Decide in TypeScript", ("node", "npm")),
    Example("Decide in Java", ("java", "mvn")),
]
N_VERDICTS = 10_000
"""Of the shipped bundle; a tenth as many of others."""

Decisions = dict[str, list[str]]


def decided(example: Example, table: Path, verdicts: Path) -> list[Decisions]:
    """Return what a reader decides, by the command that the README gives."""
    build(example)
    command = (
        commands(example.heading).run.replace("policies.jsonl", str(table)).replace("verdicts.jsonl", str(verdicts))
    )
    done = subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4_000:]
    return [json.loads(line)["decisions"] for line in done.stdout.splitlines()]


def written(path: Path, lines: Sequence[bytes]) -> Path:
    """Write lines; return the file."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.fixture(scope="module", params=["shipped", "format 1", "not calibrated"])
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, list[Decisions]]:
    """Return a table, verdicts, and what the worker's policies say of these."""
    folder = tmp_path_factory.mktemp("decide")
    path = DEFAULT_BUNDLE_PATH
    if request.param == "format 1":
        path = tiny_bundle(folder / "bundle", CHAT_13, format_version=1)
    elif request.param == "not calibrated":
        path = tiny_bundle(folder / "bundle", CHAT_13, n_chats_each=0)
    bundle = load_bundle(path)
    policies = policies_over(bundle, twenty_policies(), floor=frozenset("M"))
    n = N_VERDICTS if request.param == "shipped" else N_VERDICTS // 10
    verdicts = [read.verdict(bundle, policies) for read in some_readings(bundle, policies, n)]
    expected = [
        {name: [one.decision.value, one.decided_by.value] for name, one in verdict.decisions.items()}
        for verdict in verdicts
    ]
    table = policy_rows(policies, bundle.ref, bundle.taxonomy)
    rows = [encode_policy_row(row) for row in as_a_topic_holds_them(table)]
    lines = [encode_verdict(with_wrong_decisions(verdict)) for verdict in verdicts]
    return written(folder / "policies.jsonl", rows), written(folder / "verdicts.jsonl", lines), expected


@pytest.mark.parametrize("example", READERS, ids=lambda example: example.heading)
def test_a_reader_decides_as_the_worker_does(example: Example, case: tuple[Path, Path, list[Decisions]]) -> None:
    """20 policies on each verdict, decisions and what they rest on; the decisions in the verdicts are wrong."""
    table, verdicts, expected = case
    found = decided(example, table, verdicts)
    assert len(found) == len(expected)
    differences = [
        (number, pair) for number, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    ]
    assert not differences, f"{len(differences)} differ, the first: {differences[0]}"

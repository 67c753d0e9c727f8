"""The rows of the policy table, and a reader that holds nothing else beside verdicts."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import orjson
import pytest

from model import Bundle
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from model.policies.table import policy_rows
from schemas import DecidedBy, Decision, Verdict, encode_verdict
from schemas.policy_table import PolicyTableRow, decode_policy_row, encode_policy_row, read_policy_rows
from tests.policy_cases import NOW, Read, as_a_topic_holds_them, some_readings, twenty_policies, with_wrong_decisions

READER = Path(__file__).parents[3] / "examples" / "decide" / "decide.py"
SAFE = dict.fromkeys("ABCDEFGHIJKLM", 0.0) | {"F": 1.0}
PLAIN = Read(SAFE, "F", (), "en", 10, NOW, NO_CONTEXT)


class Held(NamedTuple):
    """A worker's policies, and what a reader of their table holds."""

    bundle: Bundle
    policies: PolicySet
    rows: list[PolicyTableRow]
    reader: ModuleType
    """The example in Python."""

    def decided(self, verdict: Verdict) -> dict[str, tuple[str, str]]:
        """Return what the reader makes of the bytes of a verdict and of the rows."""
        found = orjson.loads(encode_verdict(verdict))
        return {row.policy.name: self.reader.decide(found, orjson.loads(encode_policy_row(row))) for row in self.rows}

    @property
    def alone(self) -> PolicySet:
        """The policies of a worker that has the default one alone."""
        return PolicySet([self.policies.default], self.policies.floor)


@pytest.fixture(scope="module")
def held(bundle: Bundle) -> Held:
    """Return twenty policies over the shipped bundle, behind its floor."""
    policies = policies_over(bundle, twenty_policies())
    spec = importlib.util.spec_from_file_location("decide_example", READER)
    assert spec is not None
    assert spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    return Held(bundle, policies, policy_rows(policies, bundle.ref, bundle.taxonomy), reader)


def said(verdict: Verdict) -> dict[str, tuple[str, str]]:
    """Return the decisions that a verdict holds."""
    return {name: (one.decision.value, one.decided_by.value) for name, one in verdict.decisions.items()}


def test_a_reader_of_the_table_decides_as_the_worker_does(held: Held) -> None:
    """On and around thresholds, in any context; the other readers: tests/consumers/test_decide.py."""
    seen: set[tuple[str, str]] = set()
    for read in some_readings(held.bundle, held.policies, 250):
        verdict = read.verdict(held.bundle, held.policies)
        expected = said(verdict)
        assert held.decided(with_wrong_decisions(verdict)) == expected
        seen |= set(expected.values())
    # Where all verdicts say the same, a reader agrees with anything.
    assert {decision for decision, _ in seen} == set(Decision)
    assert {by for _, by in seen} == set(DecidedBy)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (NO_CONTEXT, ("allow", "model")),
        (DecisionContext(is_denied=True), ("block", "deny_list")),
        (DecisionContext(said={"default": Decision.ALLOW}, override_revision=1), ("allow", "model")),
        (DecisionContext(said={"default": Decision.BLOCK}, override_revision=1), ("review", "override")),
        (DecisionContext(held=frozenset({"default"})), ("allow", "model")),
    ],
)
def test_for_a_policy_that_the_worker_lacks_a_person_s_block_leaves_review(
    held: Held, context: DecisionContext, expected: tuple[str, str]
) -> None:
    """Whether it was meant for all policies, the verdict does not say; a list is always for all."""
    verdict = PLAIN._replace(context=context).verdict(held.bundle, held.alone)
    assert held.decided(verdict)["loose"] == expected


def test_without_a_context_any_policy_can_be_decided_from_any_verdict(held: Held) -> None:
    """The worker that wrote it may have one policy alone."""
    alone = held.alone
    for read in some_readings(held.bundle, held.policies, 50):
        plain = read._replace(context=NO_CONTEXT)
        expected = said(plain.verdict(held.bundle, held.policies))
        assert held.decided(plain.verdict(held.bundle, alone)) == expected


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("verdict", "schema_version"), 1, "expected 2 and 1"),
        (("row", "schema_version"), 2, "expected 2 and 1"),
        (("row", "model"), {"digest": "sha256:other"}, "the row of sha256:other"),
    ],
)
def test_a_reader_ends_at_what_it_does_not_know(
    held: Held, place: tuple[str, str], value: object, message: str
) -> None:
    """A wrong reading would be acted on."""
    documents: dict[str, Any] = {
        "verdict": orjson.loads(encode_verdict(PLAIN.verdict(held.bundle, held.policies))),
        "row": orjson.loads(encode_policy_row(held.rows[0])),
    }
    documents[place[0]][place[1]] = value
    with pytest.raises(SystemExit, match=message):
        held.reader.decide(documents["verdict"], documents["row"])


def test_a_reader_of_the_topic_takes_the_row_of_the_verdict_s_bundle_and_version(held: Held, tmp_path: Path) -> None:
    """The topic keeps rows of earlier bundles and versions, for verdicts that are still read."""
    verdicts = [read.verdict(held.bundle, held.policies) for read in some_readings(held.bundle, held.policies, 50)]
    table = tmp_path / "policies.jsonl"
    table.write_bytes(b"\n".join(encode_policy_row(row) for row in as_a_topic_holds_them(held.rows)))
    lines = b"\n".join(encode_verdict(with_wrong_decisions(verdict)) for verdict in verdicts)
    done = subprocess.run([sys.executable, READER, table], input=lines, capture_output=True, timeout=60, check=True)
    found = [orjson.loads(line)["decisions"] for line in done.stdout.splitlines()]
    assert found == [{name: list(one) for name, one in said(verdict).items()} for verdict in verdicts]


def test_a_reader_without_a_row_of_the_bundle_decides_nothing(held: Held, tmp_path: Path) -> None:
    """Thresholds of another bundle say nothing about its scores."""
    table = tmp_path / "policies.jsonl"
    other = held.rows[0].model_copy(update={"model": held.rows[0].model.model_copy(update={"digest": "sha256:0"})})
    table.write_bytes(encode_policy_row(other))
    line = encode_verdict(PLAIN.verdict(held.bundle, held.policies))
    done = subprocess.run([sys.executable, READER, table], input=line, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"the table has no row of bundle sha256:" in done.stderr


def test_rows_are_the_same_bytes_each_time_and_read_back(held: Held) -> None:
    """Two workers write the same record; sets have another order in every process."""
    again = policy_rows(policies_over(held.bundle, twenty_policies()), held.bundle.ref, held.bundle.taxonomy)
    raw = [encode_policy_row(row) for row in held.rows]
    assert raw == [encode_policy_row(row) for row in again]
    assert [decode_policy_row(one) for one in raw] == held.rows
    assert list(read_policy_rows(b"\n".join([*raw, b"", b"\n"]))) == held.rows
    by_name = {row.policy.name: row for row in held.rows}
    assert (by_name["must should may"].must, by_name["must should may"].should) == (("M",), ("D",))
    assert by_name["must should may"].may == ("J",)
    assert by_name["all but A"].must == tuple("BCDEFGHIJKLM")


def test_a_row_s_key_names_bundle_policy_and_version(held: Held) -> None:
    """Another version is another record, so that older verdicts keep their rows."""
    assert held.rows[0].key == f"{held.bundle.digest}/default/3".encode()
    assert len({row.key for row in held.rows}) == len(held.rows) == 20


def test_times_in_a_row_compare_as_texts_with_those_of_verdicts(held: Held) -> None:
    """A policy may be written in another zone, and at a full second."""
    (row,) = [orjson.loads(encode_policy_row(row)) for row in held.rows if row.policy.name == "from"]
    assert row["valid_from"] == "2026-11-30T12:00:00.000000Z"
    (row,) = [orjson.loads(encode_policy_row(row)) for row in held.rows if row.policy.name == "between"]
    assert row["valid_until"] == "2026-11-30T12:00:00.000001Z"


def test_the_floor_stands_in_every_row(held: Held) -> None:
    """One row is all that a reader needs."""
    assert held.policies.floor is not None
    allow_below, block_from = held.policies.floor.thresholds.on_the_wire
    for row in held.rows:
        assert row.floor is not None
        assert (row.floor.codes, row.floor.allow_below, row.floor.block_from) == (("M",), allow_below, block_from)
    (without,) = policy_rows(PolicySet([held.policies.default]), held.bundle.ref, held.bundle.taxonomy)
    assert without.floor is None

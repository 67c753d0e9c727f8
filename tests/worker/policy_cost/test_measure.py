"""What policies cost is measured on verdicts that are what the worker publishes."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from model import load_bundle
from schemas import CHAT_13
from tests.tiny_bundle import tiny_bundle
from worker.__main__ import app
from worker.policy_cost.measure import Kind, measured, some_policies


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b", CHAT_13)


def test_as_many_policies_as_asked_for_and_no_two_alike(folder: Path) -> None:
    """Equal ones would share more than an operator's do."""
    policies = some_policies(load_bundle(folder), 40)
    assert len({policy.name for policy in policies}) == 40
    said = {policy.model_copy(update={"name": "", "requested_by": None}).model_dump_json() for policy in policies}
    assert len(said) == 40


def test_each_number_of_policies_is_measured_in_every_way(folder: Path) -> None:
    """One policy is the measure of the others."""
    one, three = measured(load_bundle(folder), [1, 3], n_rounds=2, n_rows=20)
    assert (one.n_policies, three.n_policies) == (1, 3)
    assert all(one.verdict_us[kind] > 0 and one.share_of_one[kind] == 1 and one.policy_us[kind] == 0 for kind in Kind)
    assert three.policy_us.keys() == set(Kind)


def test_the_command_prints_a_table_and_one_json_line(folder: Path) -> None:
    """The last line is for machines."""
    options = ["policy-cost", "--bundle", str(folder), "--policies", "2", "--rounds", "1", "--verdicts", "10"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    found = orjson.loads(done.stdout.splitlines()[-1])
    assert [cost["n_policies"] for cost in found["costs"]] == [1, 2]
    assert found["costs"][1]["verdict_us"].keys() == {kind.value for kind in Kind}

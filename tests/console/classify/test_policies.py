"""Further policies: each verdict holds a decision for every one, from the same evidence."""

from dataclasses import replace
from pathlib import Path

import pytest

from console.errors import SettingsError
from console.judging.loading import load_policies
from console.judging.verdicts import VerdictWriter
from console.service import Service
from console.settings.console import ModelSettings
from model import DecisionRule
from schemas import Decision, Policy
from tests.console.server import RunningConsole

_TEXT = (
    'name = "{name}"\nversion = "3"\nbanned = ["F"]\nmax_banned_to_safe_rate = 0.05\nmax_safe_to_banned_rate = 0.02\n'
)


def test_every_policy_decides_and_the_default_one_stands_at_the_top(service: Service) -> None:
    """What is code to one is fine, to another banned."""
    strict = Policy.model_validate(
        {"name": "no-code", "version": "3", "banned": ["F"], "max_banned_to_safe_rate": 0.05}
        | {"max_safe_to_banned_rate": 0.02}
    )
    rules = [service.judge._classifier.rule, DecisionRule(strict, service.bundle.risk_curves(strict))]  # type: ignore[attr-defined]
    console = RunningConsole(replace(service, writer=VerdictWriter(service.bundle, rules)))
    try:
        text = "write a python function that sorts a list of numbers"
        verdict = console.post("/v1/classify", {"text": text}).json
        assert verdict["category"]["code"] == "F"
        assert verdict["decisions"].keys() == {"default", "no-code"}
        assert verdict["decisions"]["no-code"]["version"] == "3"
        assert verdict["decision"] == verdict["decisions"]["default"]["decision"] == Decision.ALLOW
        assert verdict["decisions"]["no-code"]["decision"] != Decision.ALLOW
        moderated = console.post("/v1/moderations", {"input": text}).json["results"][0]
        assert moderated["verdictstream"]["decisions"] == verdict["decisions"]
    finally:
        console.close()


def test_the_id_covers_the_set_of_policies(service: Service, console: RunningConsole) -> None:
    """A reader that drops repeats by id must not drop another set's decisions."""
    strict = Policy.model_validate(service.judge._classifier.policy.model_dump() | {"name": "second"})  # type: ignore[attr-defined]
    rules = [service.judge._classifier.rule, DecisionRule(strict, service.bundle.risk_curves(strict))]  # type: ignore[attr-defined]
    other = RunningConsole(replace(service, writer=VerdictWriter(service.bundle, rules)))
    try:
        first, second = (one.post("/v1/classify", {"text": "hello"}).json["verdict_id"] for one in (console, other))
        assert first != second
    finally:
        other.close()


def test_policies_come_from_a_folder_and_their_names_differ(service: Service, tmp_path: Path) -> None:
    """Two of one name would overwrite each other's decisions."""
    (tmp_path / "b.toml").write_text(_TEXT.format(name="b"))
    (tmp_path / "notes.txt").write_text("not a policy")
    found = load_policies(ModelSettings(policies_path=tmp_path), service.bundle)
    assert [rule.policy.name for rule in found.rules] == ["default", "b"]
    (tmp_path / "c.toml").write_text(_TEXT.format(name="b"))
    found = load_policies(ModelSettings(policies_path=tmp_path), service.bundle)
    assert [rule.policy.name for rule in found.rules] == ["default", "b"]
    assert found.refused.keys() == {"c.toml"}
    assert "as does b.toml" in found.refused["c.toml"]
    with pytest.raises(SettingsError, match="not a folder"):
        load_policies(ModelSettings(policies_path=tmp_path / "missing"), service.bundle)

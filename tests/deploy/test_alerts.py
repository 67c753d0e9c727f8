"""Alerts that fire where they should, ask for what the workers export, and are explained."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import DEPLOY
from tests.deploy.exported import console_metrics, exported_metrics
from tests.deploy.promql import KUBERNETES, selectors, unknown

_ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
_CASES = tuple(Path(__file__).with_name(name) for name in ("alert_cases.yaml", "alert_cases_of_days.yaml"))


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    """Return all rules."""
    return [rule for group in yaml.safe_load(_ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def _promtool(promtool: Path, *arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [str(promtool), *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", _CASES, ids=lambda path: path.stem)
def test_each_alert_fires_where_it_should_and_not_where_it_looks_alike(
    promtool: Path, path: Path, tmp_path: Path
) -> None:
    """Prometheus evaluates made-up series: stuck against idle, drift against a burst, no cache against a lost one."""
    cases = yaml.safe_load(path.read_text("utf-8")) | {"rule_files": [str(_ALERTS)]}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    _promtool(promtool, "test", "rules", "cases.yaml", folder=tmp_path)


def test_prometheus_accepts_rules_and_configuration(promtool: Path, tmp_path: Path) -> None:
    """The files that the compose file mounts, but for the discovery by DNS, which this promtool is built without."""
    config = yaml.safe_load((_ALERTS.parent / "prometheus.yaml").read_text("utf-8"))
    for scrape in config["scrape_configs"]:
        del scrape["dns_sd_configs"]
        scrape["static_configs"] = [{"targets": ["worker:8080"]}]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / _ALERTS.name).write_bytes(_ALERTS.read_bytes())
    _promtool(promtool, "check", "config", "prometheus.yaml", folder=tmp_path)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(rules: list[dict[str, Any]]) -> None:
    """An alert that was never seen to fire is a hope. Silence counts only where there is what it looks at."""
    cases = [case for path in _CASES for case in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    fires, silent = set(), set()
    for case in cases:
        given = {series["series"].partition("{")[0] for series in case["input_series"]}
        for asked in case["alert_rule_test"]:
            (rule,) = [rule for rule in rules if rule["alert"] == asked["alertname"]]
            if asked["exp_alerts"]:
                fires.add(rule["alert"])
            elif given & {metric for metric, _ in selectors(rule["expr"])}:
                silent.add(rule["alert"])
    assert fires == silent == {rule["alert"] for rule in rules}


def test_every_selector_is_one_that_the_chart_can_narrow_to_a_release(rules: list[dict[str, Any]]) -> None:
    """Without the job, or the pods, an alert of one release would count another release in."""
    for rule in rules:
        for metric, labels in selectors(rule["expr"]):
            assert {"container", "pod"} <= labels if metric in KUBERNETES else "job" in labels, (rule["alert"], metric)


def test_alerts_tell_releases_apart(rules: list[dict[str, Any]]) -> None:
    """One release that is down must not hide behind another: each sum is by namespace and release, or by pod."""
    for rule in rules:
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"])
        assert grouped, rule["alert"]
        for labels in grouped:
            names = {name.strip() for name in labels.split(",")}
            assert {"namespace", "release"} <= names or {"namespace", "pod"} <= names, (rule["alert"], labels)


def test_alerts_ask_only_for_what_the_workers_export(rules: list[dict[str, Any]]) -> None:
    """A renamed metric would silence its alert for ever."""
    exported = exported_metrics() | console_metrics() | KUBERNETES
    assert {rule["alert"]: unknown(rule["expr"], exported) for rule in rules} == {rule["alert"]: [] for rule in rules}


def test_a_metric_or_label_that_nobody_exports_would_be_found() -> None:
    """The check itself."""
    exported = {"moderation_records_total": set(), "moderation_rejections_total": {"reason"}}
    expression = 'rate(moderation_rejections_total{cause="x"}[5m]) / on () sum(rate(moderation_records[5m])) > 0.1'
    assert unknown(expression, exported) == ["moderation_rejections_total{cause}", "moderation_records"]


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert(rules: list[dict[str, Any]]) -> None:
    """With what it means, what to look at and what to do; and the alert's link leads there."""
    text = (DEPLOY / "RUNBOOK.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in rules]
    for rule in rules:
        for part in ("**Means:**", "**Check:**", "**Do:**"):
            assert part in sections[rule["alert"]], (rule["alert"], part)
        assert rule["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_the_runbook_names_only_metrics_that_exist() -> None:
    """Whoever is woken up at night copies them."""
    named = set(re.findall(r"moderation_\w+", (DEPLOY / "RUNBOOK.md").read_text("utf-8")))
    assert named <= set(exported_metrics()) | set(console_metrics())


def test_the_worker_sends_people_to_alerts_that_exist(rules: list[dict[str, Any]]) -> None:
    """Error texts name sections of the runbook."""
    sources = "".join(path.read_text("utf-8") for path in (DEPLOY.parent / "worker").rglob("*.py"))
    named = set(re.findall(r"\b(?:Verdictstream|Moderation)[A-Z]\w+", sources))
    assert named <= {rule["alert"] for rule in rules}


def test_every_metric_that_is_exported_is_watched_or_explained() -> None:
    """In an alert, a panel or the runbook: what nobody is shown might as well not be counted."""
    pages = (_ALERTS, DEPLOY / "RUNBOOK.md", DEPLOY / "grafana" / "dashboards" / "verdictstream.json")
    words = {word for page in pages for word in re.findall(r"moderation_\w+", page.read_text("utf-8"))}
    named = words | {re.sub(r"_(?:bucket|sum|count)$", "", word) for word in words}
    exported = exported_metrics() | console_metrics()
    ours = {name for name in exported if name.startswith("moderation_") and not name.endswith("_created")}
    assert sorted(ours - named) == []

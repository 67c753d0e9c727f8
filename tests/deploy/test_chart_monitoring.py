"""What the chart gives Prometheus and Grafana: alerts of this release alone, and the labels that they ask for."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, DEPLOY, EXAMPLES, MINIMAL, Helm, environment, one
from tests.deploy.promql import KUBERNETES, selectors
from worker.process.metrics import Metrics

_RULES = ("prometheusRule.enabled=true", "serviceMonitor.enabled=true")


def _rules(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}


def _written() -> dict[str, dict[str, Any]]:
    """Return the workers' alerts."""
    content = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))
    return _rules({"groups": [group for group in content["groups"] if group["name"] == "verdictstream"]})


def test_the_chart_carries_the_very_same_alerts_for_its_release(helm: Helm) -> None:
    """One file, linked into the chart; but for whom each selector asks, and where the runbook is."""
    rendered = _rules(one(helm.render(EXAMPLES["production"]), "PrometheusRule")["spec"])
    assert list(rendered) == list(_written())
    for name, rule in _written().items():
        narrowed = rule["expr"].replace(
            'job="verdictstream"', 'job="verdictstream", namespace="default", release="live"'
        )
        pods = 'namespace="default", pod=~"live-verdictstream-([a-z0-9]+-[a-z0-9]{5}|[0-9]+)"'
        assert rendered[name]["expr"] == narrowed.replace('pod=~".*verdictstream.*"', pods)
        assert rendered[name]["labels"] == rule["labels"] | {"namespace": "default", "release": "live"}
        section = rule["annotations"]["runbook_url"].partition("#")[2]
        assert rendered[name]["annotations"] == {
            "summary": rule["annotations"]["summary"],
            "runbook_url": f"https://runbooks.example.com/verdictstream#{section}",
        }


def test_every_selector_of_a_release_asks_for_that_release(helm: Helm) -> None:
    """A second release in the namespace, or the same name in another one, raises nothing here."""
    for rule in _rules(one(helm.render(sets=(*MINIMAL, *_RULES)), "PrometheusRule")["spec"]).values():
        for metric, labels in selectors(rule["expr"]):
            assert {"namespace", "pod" if metric in KUBERNETES else "release"} <= labels, (rule["alert"], metric)


def test_what_is_scraped_has_the_labels_that_the_alerts_ask_for(helm: Helm) -> None:
    """The operator adds the namespace; job and release come from here."""
    manifests = helm.render(sets=(*MINIMAL, *_RULES, "serviceMonitor.jobName=moderation"))
    (endpoint,) = one(manifests, "ServiceMonitor")["spec"]["endpoints"]
    given = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
    assert given == {"job": "moderation", "release": "live"}
    rules = _rules(one(manifests, "PrometheusRule")["spec"])
    assert all('job="verdictstream"' not in rule["expr"] for rule in rules.values())
    assert 'job="moderation", namespace="default", release="live"' in rules["VerdictstreamAbsent"]["expr"]


def test_nobody_is_told_that_nobody_looks_where_nobody_shall(helm: Helm) -> None:
    """With a reload interval of 0 a look is old by design."""
    looked, unlooked = (
        _rules(one(helm.render(sets=(*MINIMAL, *_RULES, *sets)), "PrometheusRule")["spec"])
        for sets in ((), ("model.reloadSeconds=0",))
    )
    assert looked.keys() - unlooked.keys() == {"VerdictstreamReloadOverdue"}


def test_a_worker_that_ends_by_itself_waits_for_one_scrape_more(helm: Helm) -> None:
    """Its last metrics say why. A Job is not scraped."""
    sets = ("serviceMonitor.intervalSeconds=30", "replay.enabled=true", "replay.name=x")
    manifests = helm.render(sets=(*MINIMAL, *sets))
    worker = environment(one(manifests, "Deployment")["spec"]["template"]["spec"])
    assert worker["MODERATION_HTTP__EXIT_LINGER_S"] == "30"
    replay = environment(one(manifests, "Job")["spec"]["template"]["spec"])
    assert "MODERATION_HTTP__EXIT_LINGER_S" not in replay


@pytest.mark.parametrize(
    ("objective", "bucket", "allowed"),
    [
        ({"seconds": 10, "percent": 99}, "10.0", "0.01"),
        ({"seconds": 0.25, "percent": 99.5}, "0.25", "0.005"),
        ({"seconds": 1, "percent": 90}, "1.0", "0.1"),
        ({"seconds": 2.5, "percent": 99.9}, "2.5", "0.001"),
    ],
)
def test_the_latency_objective_is_a_value(
    helm: Helm, objective: dict[str, float], bucket: str, allowed: str, tmp_path: Path
) -> None:
    """The bucket as the workers export it."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"prometheusRule": {"latencyObjective": objective}}))
    rules = _rules(one(helm.render(values, sets=(*MINIMAL, *_RULES)), "PrometheusRule")["spec"])
    expression = rules["VerdictstreamLatencyObjective"]["expr"]
    assert expression.count(f'le="{bucket}"') == 4
    assert expression.count(f"14.4 * {allowed}\n") == expression.count(f"6 * {allowed}\n") == 2


def test_the_objectives_that_the_values_allow_are_buckets_that_the_workers_export() -> None:
    """A bound of no bucket would count nothing, in silence."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    allowed = schema["properties"]["prometheusRule"]["properties"]["latencyObjective"]["properties"]["seconds"]["enum"]
    metrics = Metrics()
    exported = {
        float(sample.labels["le"])
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "moderation_latency_seconds_bucket"
    }
    assert set(allowed) <= exported


def test_a_release_that_is_down_is_told_though_another_one_runs(helm: Helm, promtool: Path, tmp_path: Path) -> None:
    """The rendered rules, evaluated by Prometheus: from the first minute, without any history."""
    spec = one(helm.render(sets=(*MINIMAL, *_RULES)), "PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    labels = 'job="verdictstream", namespace="default", release="other", instance="b"'
    expected = {"severity": "critical", "job": "verdictstream", "namespace": "default", "release": "live"}
    case = {
        "interval": "1m",
        "input_series": [{"series": f"moderation_kafka_up{{{labels}}}", "values": "1x20"}],
        "alert_rule_test": [
            {
                "eval_time": "10m",
                "alertname": "VerdictstreamAbsent",
                "exp_alerts": [
                    {
                        "exp_labels": expected,
                        "exp_annotations": {
                            "summary": "No worker of live is being scraped.",
                            "runbook_url": "deploy/RUNBOOK.md#verdictstreamabsent",
                        },
                    }
                ],
            }
        ],
    }
    (tmp_path / "cases.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]})
    )
    done = subprocess.run(
        [str(promtool), "test", "rules", "cases.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_a_config_map_that_grafanas_sidecar_collects(helm: Helm) -> None:
    """The very file of the compose stack, opened on this release."""
    manifests = helm.render(EXAMPLES["production"], sets=("serviceMonitor.jobName=moderation",))
    (found,) = [m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith("-dashboard")]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Moderation"}
    (content,) = found["data"].values()
    shown = json.loads(content)
    written = json.loads((DEPLOY / "grafana" / "dashboards" / "verdictstream.json").read_text("utf-8"))
    assert shown["panels"] == written["panels"]
    variables = {variable["name"]: variable for variable in shown["templating"]["list"]}
    chosen = {name: variables[name]["current"]["value"] for name in ("job", "namespace", "release")}
    assert chosen == {"job": "moderation", "namespace": "default", "release": "live"}
    assert shown["uid"] == "live-verdictstream"

"""The compose file is valid, and its dashboard shows what the workers export."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from console.settings.source import read_settings as read_console_settings
from deploy.go_tools import COMPOSE_SCHEMA, ensure_file
from tests.deploy.chart import DEPLOY
from tests.deploy.exported import console_metrics, exported_metrics
from tests.deploy.promql import selectors, unknown
from worker.settings.source import read_settings
from worker.settings.worker import WorkerSettings

_GRAFANA = DEPLOY / "grafana"
_PROFILED = {"console", "review", "postgres"}
"""Started where they are asked for."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return the compose file."""
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    content: dict[str, Any] = json.loads((_GRAFANA / "dashboards" / "verdictstream.json").read_text("utf-8"))
    return content


@pytest.mark.services  # fetches the specification through the Go module proxy
def test_the_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    """The schema that Docker Compose itself checks against."""
    jsonschema.validate(compose, json.loads(ensure_file(COMPOSE_SCHEMA).read_text("utf-8")))


def test_every_mounted_file_is_there(compose: dict[str, Any]) -> None:
    """Docker makes an empty folder of what is missing, in silence."""
    mounts = [volume for service in compose["services"].values() for volume in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts]
    # The folder of keys is made before; the file says how.
    (keys,) = {source for source in sources if source.startswith("../work/")}
    assert f"mkdir -p {keys.removeprefix('../')}" in (DEPLOY / "compose.yaml").read_text("utf-8")
    sources = [source for source in sources if source != keys]
    assert all((DEPLOY / source).is_dir() for source in sources if source.startswith("."))
    assert {source for source in sources if not source.startswith(".")} == set(compose["volumes"])


def test_the_worker_accepts_its_environment_and_has_time_to_drain(compose: dict[str, Any]) -> None:
    """As in the chart: the stop period is longer than the worker's own grace."""
    worker = compose["services"]["worker"]
    read_settings(worker["environment"], None)
    grace_s = WorkerSettings.model_fields["shutdown_grace_s"].default
    assert float(worker["stop_grace_period"].removesuffix("s")) >= grace_s + 10


def test_the_console_is_a_profile_that_accepts_its_environment_and_shares_no_network(compose: dict[str, Any]) -> None:
    """Started where it is asked for. It has time for the requests in hand, and neither Kafka nor Redis in reach."""
    console = compose["services"]["console"]
    assert console["profiles"] == ["console"]
    others = {name: service for name, service in compose["services"].items() if name not in _PROFILED}
    assert not [name for name, service in others.items() if "profiles" in service]
    settings = read_console_settings(console["environment"], None)
    (mount,) = console["volumes"]
    assert str(settings.http.keys_file).startswith(f"{mount.split(':')[1]}/")
    (port,) = console["ports"]
    assert port == f"127.0.0.1:28088:{settings.http.port}"
    assert {"127.0.0.1", "localhost"} <= settings.http.host_names
    assert float(console["stop_grace_period"].removesuffix("s")) >= settings.http.stop_within_s + 5
    assert console["networks"] == ["console"]
    assert not [name for name, service in others.items() if "networks" in service]
    assert "depends_on" not in console


def test_the_review_console_accepts_its_environment_and_follows_the_workers_topics(compose: dict[str, Any]) -> None:
    """As a user of the pages needs it: a login, a database that stays, and the workers' names of every topic."""
    review, worker = compose["services"]["review"], compose["services"]["worker"]["environment"]
    settings = read_console_settings(review["environment"], None)
    followed = read_settings(review["environment"] | {"MODERATION_ERASURE__HASH_KEY": "x" * 40}, None)
    assert settings.pipeline.is_on
    (mount,) = review["volumes"]
    assert str(settings.http.users_file).startswith(f"{mount.split(':')[1]}/")
    assert review["ports"] == [f"127.0.0.1:28089:{settings.http.port}"]
    topics = {name for name in review["environment"] if name.endswith("_TOPIC")}
    assert {name: review["environment"][name] for name in topics & set(worker)} == {
        name: worker[name] for name in topics & set(worker)
    }
    made = " ".join(compose["services"]["topics"]["command"])
    assert all(f"--topic {review['environment'][name]} " in made for name in topics)
    assert followed.kafka.reviews_topic == "verdict-reviews"
    # The database is on a volume, and on a network that nobody else is in.
    assert review["profiles"] == compose["services"]["postgres"]["profiles"] == ["review"]
    assert compose["services"]["postgres"]["networks"] == ["database"]
    assert compose["networks"]["database"] == {"internal": True}
    assert {name for name, one in compose["services"].items() if "database" in one.get("networks", [])} == {
        "review",
        "postgres",
    }
    assert set(review["depends_on"]) == {"topics", "redis", "postgres"}


def test_prometheus_scrapes_every_container_of_the_worker(compose: dict[str, Any]) -> None:
    """By the service's name, on the port of the image, under the name that the alerts ask for."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"))
    (scrape,) = config["scrape_configs"]
    (discovery,) = scrape["dns_sd_configs"]
    assert scrape["job_name"] == "verdictstream"
    assert set(discovery["names"]) <= set(compose["services"])
    assert {rule["target_label"] for rule in scrape["relabel_configs"]} == {"namespace", "release"}
    assert str(discovery["port"]) == compose["services"]["worker"]["environment"]["MODERATION_HTTP__PORT"]
    (rules,) = config["rule_files"]
    assert (DEPLOY / "prometheus" / rules).is_file()


def test_the_dashboard_asks_only_for_what_the_workers_export(dashboard: dict[str, Any]) -> None:
    """An empty panel looks like a quiet system."""
    exported = exported_metrics() | console_metrics()
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    assert [(expression, found) for expression in asked if (found := unknown(expression, exported))] == []


def test_the_dashboard_is_provisioned_with_its_data_source(compose: dict[str, Any], dashboard: dict[str, Any]) -> None:
    """Nothing has to be clicked together after `up`."""
    sources = yaml.safe_load((_GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text("utf-8"))
    (source,) = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    folders = yaml.safe_load((_GRAFANA / "provisioning" / "dashboards" / "verdictstream.yaml").read_text("utf-8"))
    mounted = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert folders["providers"][0]["options"]["path"] in mounted
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    assert variables["job"]["current"]["value"] == "verdictstream"


def test_every_panel_asks_for_the_chosen_releases(dashboard: dict[str, Any]) -> None:
    """One release alone, or all of them: the choice above holds for each panel."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for metric, labels in selectors(target["expr"]):
                assert {"job", "namespace", "release"} <= labels, (panel["title"], metric)


def test_prometheus_keeps_what_the_alerts_look_back_on(compose: dict[str, Any]) -> None:
    """A week and an hour."""
    (kept,) = [word for word in compose["services"]["prometheus"]["command"] if "retention" in word]
    assert int(kept.rpartition("=")[2].removesuffix("d")) >= 8


def test_panels_have_numbers_titles_and_places_of_their_own(dashboard: dict[str, Any]) -> None:
    """Grafana drops the second of two panels with one number."""
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))

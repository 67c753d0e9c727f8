"""The console as an option of the chart: it judges with the workers' bundle, and has nothing of their rights."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from console.settings.source import read_settings
from tests.deploy.chart import EXAMPLES, MINIMAL, Helm, Manifest, environment

_ENABLED = ("console.enabled=true", "console.image.repository=console", "console.keysSecret=keys")


def _parts(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {m["kind"]: m for m in manifests if m["metadata"]["name"] == "live-verdictstream-console"}


@pytest.fixture
def parts(helm: Helm) -> dict[str, Manifest]:
    """Return what the example renders for the console, by kind."""
    return _parts(helm.render(EXAMPLES["console"]))


def _pod(parts: dict[str, Manifest]) -> dict[str, Any]:
    pod: dict[str, Any] = parts["Deployment"]["spec"]["template"]["spec"]
    return pod


def test_nothing_of_it_is_there_by_default(helm: Helm) -> None:
    """An open port is asked for."""
    assert "console" not in str([m["metadata"]["name"] for m in helm.render(sets=MINIMAL)])


def test_deployment_service_policy_and_account_belong_together(parts: dict[str, Manifest]) -> None:
    """A selector that matches nothing protects nothing, in silence."""
    others = {"Service", "NetworkPolicy", "ServiceAccount", "ServiceMonitor", "PodDisruptionBudget"}
    assert set(parts) == {"Deployment", *others}
    labels = parts["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selected in (
        parts["Deployment"]["spec"]["selector"]["matchLabels"],
        parts["Service"]["spec"]["selector"],
        parts["ServiceMonitor"]["spec"]["selector"]["matchLabels"],
        parts["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selected.items() <= labels.items()
    (port,) = parts["Service"]["spec"]["ports"]
    assert port["targetPort"] in {named["name"] for named in _pod(parts)["containers"][0]["ports"]}
    assert _pod(parts)["serviceAccountName"] == parts["ServiceAccount"]["metadata"]["name"]


def test_it_is_placed_and_drained_as_the_workers_are(helm: Helm) -> None:
    """A class that is given to the release counts for all of it, and a drain takes one pod at a time."""
    sets = ("priorityClassName=high", "podDisruptionBudget.maxUnavailable=2")
    parts = _parts(helm.render(EXAMPLES["console"], sets=sets))
    assert _pod(parts)["priorityClassName"] == "high"
    assert parts["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 2
    without = _parts(helm.render(EXAMPLES["console"], sets=("podDisruptionBudget.enabled=false",)))
    assert "PodDisruptionBudget" not in without


def test_it_holds_no_right_to_kafka_or_redis(helm: Helm, parts: dict[str, Manifest]) -> None:
    """No variable, no secret but its keys, no connection out; and none of the workers' rules selects its pods."""
    values = environment(_pod(parts))
    assert not [name for name in values if "KAFKA" in name or "REDIS" in name or name.startswith("MODERATION_")]
    secrets = [volume["secret"]["secretName"] for volume in _pod(parts)["volumes"] if "secret" in volume]
    assert secrets == ["console-keys"]
    assert parts["NetworkPolicy"]["spec"]["egress"] == []
    labels = parts["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for manifest in helm.render(EXAMPLES["console"]):
        if manifest["metadata"]["name"].endswith("-console"):
            continue
        selector = manifest["spec"].get("podSelector") if manifest["kind"] == "NetworkPolicy" else None
        if selector is not None:
            (excluded,) = selector["matchExpressions"]
            assert labels[excluded["key"]] in excluded["values"]
            assert excluded["operator"] == "NotIn"
        elif manifest["kind"] in {"Service", "PodDisruptionBudget", "Deployment"}:
            chosen = manifest["spec"]["selector"]
            assert not chosen.get("matchLabels", chosen).items() <= labels.items()


def test_only_the_named_peers_may_ask(helm: Helm, parts: dict[str, Manifest]) -> None:
    """And nobody where none is named."""
    (ingress,) = parts["NetworkPolicy"]["spec"]["ingress"]
    named = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in ingress["from"]]
    # The second is networkPolicy.metricsFrom: the example has its metrics scraped.
    assert named == ["ingress-nginx", "monitoring"]
    assert [port["port"] for port in ingress["ports"]] == [8088]
    closed = _parts(helm.render(sets=(*MINIMAL, *_ENABLED)))
    assert closed["NetworkPolicy"]["spec"]["ingress"] == []


def test_the_console_accepts_its_environment(helm: Helm) -> None:
    """An unknown or contradictory CONSOLE_ name would end the pod at its start."""
    parts = _parts(helm.render(EXAMPLES["console"], sets=("console.sessionSecret=false", "console.apiOnly=true")))
    settings = read_settings(environment(_pod(parts)), None)
    assert (settings.http.host, settings.http.port, settings.api_only) == ("0.0.0.0", 8088, True)  # noqa: S104
    assert settings.queue.deadline_s == 3
    assert settings.http.host_names == {
        "live-verdictstream-console",
        "live-verdictstream-console.default",
        "live-verdictstream-console.default.svc",
        "live-verdictstream-console.default.svc.cluster.local",
        "$(pod_ip)",
        "[$(pod_ip)]",
        "moderation.example.com",
    }
    assert settings.http.public_url == "https://moderation.example.com"


def test_prometheus_asks_each_pod_by_its_address_and_with_a_key(helm: Helm, parts: dict[str, Manifest]) -> None:
    """The port answers nobody without one, and under no name that is not its own; IPv6 stands in brackets."""
    (endpoint,) = parts["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "console-metrics", "key": "metrics-key"}}
    assert {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]} == {
        "job": "verdictstream-console",
        "release": "live",
    }
    values = environment(_pod(parts))
    assert values["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert list(values).index("POD_IP") < list(values).index("CONSOLE_HTTP__ALLOWED_HOSTS")
    unscraped = _parts(helm.render(EXAMPLES["console"], sets=("console.metrics.enabled=false",)))
    assert "POD_IP" not in str(unscraped)
    assert "ServiceMonitor" not in unscraped


@pytest.mark.parametrize("is_scraped", [True, False])
def test_its_alerts_are_there_where_it_is_scraped(helm: Helm, is_scraped: bool) -> None:
    """Under the job name that the relabelling gives."""
    sets = ("prometheusRule.enabled=true", f"console.metrics.enabled={str(is_scraped).lower()}")
    (rule,) = [m for m in helm.render(EXAMPLES["console"], sets=sets) if m["kind"] == "PrometheusRule"]
    groups = {group["name"]: group["rules"] for group in rule["spec"]["groups"]}
    assert ("verdictstream-console" in groups) is is_scraped
    for alert in groups.get("verdictstream-console", []):
        assert 'job="verdictstream-console", namespace="default", release="live"' in alert["expr"]


def test_keys_and_the_secret_of_logins_are_files_in_a_folder(parts: dict[str, Manifest]) -> None:
    """A Secret mounted whole is exchanged when it changes; one mounted as a single file never is."""
    values = environment(_pod(parts))
    (mount,) = [m for m in _pod(parts)["containers"][0]["volumeMounts"] if m["name"] == "console-keys"]
    assert "subPath" not in mount
    for name in ("CONSOLE_HTTP__KEYS_FILE", "CONSOLE_HTTP__SESSION_SECRET_FILE"):
        assert Path(values[name]).parent == Path(mount["mountPath"])


def test_the_page_offers_the_bundles_that_are_named(helm: Helm) -> None:
    """Nothing of it is said where there is no page, or none is named."""
    sets = ("console.pages.bundles={/bundle/toxicity,/bundle/community}", "console.pages.maxBundles=2")
    values = environment(_pod(_parts(helm.render(sets=(*MINIMAL, *_ENABLED, *sets)))))
    assert values["CONSOLE_PAGES__BUNDLES"] == "/bundle/toxicity,/bundle/community"
    assert values["CONSOLE_PAGES__MAX_BUNDLES"] == "2"
    for without in (("console.apiOnly=true", *sets), ()):
        values = environment(_pod(_parts(helm.render(sets=(*MINIMAL, *_ENABLED, *without)))))
        assert not [name for name in values if "PAGES" in name]


def test_it_judges_as_the_workers_do(helm: Helm) -> None:
    """Bundle, policy and public key are those of the workers, from the same places."""
    sets = (
        "model.bundle.source=volume",
        "model.bundle.volume.hostPath.path=/m",
        "model.bundle.subPath=two",
        "model.policy=name=1",
        "model.publicKey=-----BEGIN PUBLIC KEY-----\nx",
        "model.timeoutSeconds=7",
    )
    manifests = helm.render(sets=(*MINIMAL, *_ENABLED, *sets))
    (worker,) = [m for m in manifests if m["metadata"]["name"] == "live-verdictstream" and m["kind"] == "Deployment"]
    of_worker = environment(worker["spec"]["template"]["spec"])
    of_console = environment(_pod(_parts(manifests)))
    for name in ("PATH", "POLICY_PATH", "PUBLIC_KEY_FILE", "TIMEOUT_S"):
        assert of_console[f"CONSOLE_MODEL__{name}"] == of_worker[f"MODERATION_MODEL__{name}"]
    volumes = {volume["name"] for volume in _pod(_parts(manifests))["volumes"]}
    assert volumes == {"tmp", "console-keys", "bundle", "policy", "bundle-key"}


def test_it_is_asked_for_its_health_and_given_time_to_end(parts: dict[str, Manifest]) -> None:
    """Requests in hand are answered: what the console grants itself, and the moment before the Service knows."""
    (container,) = _pod(parts)["containers"]
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz"), ("startupProbe", "/livez")):
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    stop_within_s = read_settings({}, None).http.stop_within_s
    assert _pod(parts)["terminationGracePeriodSeconds"] >= 5 + stop_within_s + 10


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        pytest.param(("console.keysSecret=",), "without console.keysSecret", id="keys of nobody"),
        pytest.param(("console.image.repository=",), "without console.image.repository", id="no image"),
        pytest.param(("console.metrics.enabled=true",), "without console.metrics.keySecret", id="metrics of nobody"),
        pytest.param(("console.replicas=2",), "a login at one would be none", id="two that know no login of the other"),
        pytest.param(("console.settings.HTTP__PORT=1",), "is set by the chart itself", id="a port of its own"),
        pytest.param(("console.allowedHosts={https://a}",), "/console/allowedHosts/0", id="an address for a name"),
        pytest.param(("console.publicUrl=moderation.example.com",), "/console/publicUrl", id="a name for an address"),
    ],
)
def test_a_console_that_cannot_work_is_refused(helm: Helm, sets: tuple[str, ...], said: str) -> None:
    """Before anything reaches a cluster."""
    assert said in helm.refusal(*_ENABLED, *sets)


def test_the_image_of_the_example_is_the_consoles(parts: dict[str, Manifest]) -> None:
    """With the chart's version where no tag is given."""
    chart = Path(__file__).parents[2] / "pyproject.toml"
    version = tomllib.loads(chart.read_text("utf-8"))["project"]["version"]
    (container,) = _pod(parts)["containers"]
    assert container["image"] == f"registry.example.com/verdictstream-console:{version}"

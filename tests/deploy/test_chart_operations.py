"""What operators do: scale to zero, change the group protocol, bring their own volumes, users and name servers."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, MINIMAL, Helm, Manifest, environment, one, pod_specs

_STATEFUL = ("workload.kind=StatefulSet",)


def test_the_chart_names_every_setting_that_it_sets_itself() -> None:
    """`settings` may hold none of these: a new line in a template reaches the list, or it is refused nowhere."""
    folder = CHART / "templates"
    owned = (folder / "_owned.tpl").read_text("utf-8")
    worker, console = owned.split('define "verdictstream.ownedByConsole"')
    for template, prefix, listed in (("_env.tpl", "MODERATION_", worker), ("console.yaml", "CONSOLE_", console)):
        named = set(re.findall(rf"name: {prefix}([A-Z_]+\w)", (folder / template).read_text("utf-8")))
        assert named
        names = named if prefix == "CONSOLE_" else {name.removesuffix("_FILE") for name in named}
        listed_names = set(re.findall(r"^([A-Z_]+): ", listed, flags=re.MULTILINE))
        missing = names - listed_names - {name for name in names if f"{name}_FILE" in listed_names}
        assert not missing, template


def test_a_deployment_may_set_the_session_by_settings() -> None:
    """Only a StatefulSet's session is a value of the chart."""
    owned = (CHART / "templates" / "_owned.tpl").read_text("utf-8")
    assert owned.index('eq .Values.workload.kind "StatefulSet"') < owned.index("KAFKA__SESSION_TIMEOUT_S")


def test_an_event_waits_in_kafka_while_a_release_is_scaled_to_zero(helm: Helm) -> None:
    """KEDA by its annotation; an HPA leaves a workload of 0 alone, and takes it over again once the line is gone."""
    keda = helm.render(sets=(*MINIMAL, "autoscaling.kind=keda", "autoscaling.paused=true"))
    assert one(keda, "ScaledObject")["metadata"]["annotations"] == {"autoscaling.keda.sh/paused-replicas": "0"}
    hpa = helm.render(sets=(*MINIMAL, "autoscaling.kind=hpa", "autoscaling.paused=true"))
    assert one(hpa, "Deployment")["spec"]["replicas"] == 0
    for kind in ("keda", "hpa"):
        running = helm.render(sets=(*MINIMAL, f"autoscaling.kind={kind}"))
        assert "replicas" not in one(running, "Deployment")["spec"]
        assert "paused" not in str(running)


def _cluster(manifests: list[Manifest], workload: Manifest | None) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers what helm asks a Kubernetes API for: its version, its kinds, what runs there.

    Args:
        manifests: Their kinds are known.
        workload: What runs.
    """
    kinds: dict[str, list[dict[str, Any]]] = {"v1": []}
    for version, kind in sorted({(m["apiVersion"], m["kind"]) for m in manifests}):
        named = {"name": _plural(kind), "singularName": kind.lower(), "namespaced": True, "kind": kind}
        kinds.setdefault(version, []).append(named | {"verbs": ["get", "list", "create"]})
    groups = [
        {"name": version.partition("/")[0], "versions": [listed], "preferredVersion": listed}
        for version in kinds
        if "/" in version
        for listed in [{"groupVersion": version, "version": version.partition("/")[2]}]
    ]
    answers: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for version, resources in kinds.items():
        answers[_root(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    if workload is not None:
        place = f"{_root(workload['apiVersion'])}/namespaces/default/{_plural(workload['kind'])}"
        answers[f"{place}/{workload['metadata']['name']}"] = workload

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _plural(kind: str) -> str:
    return f"{kind.lower().removesuffix('y')}ies" if kind.endswith("y") else f"{kind.lower()}s"


@contextmanager
def _kubeconfig(folder: Path, manifests: list[Manifest], workload: Manifest | None = None) -> Iterator[Path]:
    """Serve the answers, and yield a kubeconfig that leads to them."""
    server = HTTPServer(("127.0.0.1", 0), _cluster(manifests, workload))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "users": [{"name": "u", "user": {}}],
                    "current-context": "c",
                }
            )
        )
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _upgraded(helm: Helm, before: tuple[str, ...], after: tuple[str, ...], folder: Path, **spec: int) -> Any:
    """Return what helm says, asked to render the second values where the workload of the first runs."""
    kind = "StatefulSet" if _STATEFUL[0] in before else "Deployment"
    live = one(helm.render(sets=(*MINIMAL, *before)), kind)
    live["metadata"]["namespace"] = "default"
    live["spec"] |= spec
    with _kubeconfig(folder, [live], live) as path:
        sets = [f"--set={one}" for one in (*MINIMAL, *after)]
        return helm.run("template", "live", str(CHART), *sets, "--dry-run=server", f"--kubeconfig={path}")


def test_a_change_of_the_group_protocol_replaces_all_pods_at_once(helm: Helm, tmp_path: Path) -> None:
    """Both protocols in one group: Kafka refuses the new pods, and a rolling update never ends."""
    to_consumer = ("kafka.groupProtocol=consumer",)
    changed = _upgraded(helm, (), to_consumer, tmp_path)
    assert changed.returncode == 0, changed.stderr
    assert one(list(yaml.safe_load_all(changed.stdout)), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    same = _upgraded(helm, to_consumer, to_consumer, tmp_path)
    assert one(list(yaml.safe_load_all(same.stdout)), "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_stateful_set_is_scaled_to_zero_before_its_protocol_changes(helm: Helm, tmp_path: Path) -> None:
    """It knows no strategy that replaces all pods at once."""
    to_consumer = (*_STATEFUL, "kafka.groupProtocol=consumer")
    refused = _upgraded(helm, _STATEFUL, to_consumer, tmp_path)
    assert "scale to 0, upgrade, scale up" in refused.stderr
    assert _upgraded(helm, _STATEFUL, to_consumer, tmp_path, replicas=0).returncode == 0


def test_what_renders_without_the_cluster_can_say_so(helm: Helm) -> None:
    """Argo CD and `helm template` see no workload that runs; by default pods are replaced one by one."""
    assert one(helm.render(sets=MINIMAL), "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    said = helm.render(sets=(*MINIMAL, "workload.strategy.type=Recreate"))
    assert one(said, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_tainted_node_is_no_place_to_spread_to(helm: Helm) -> None:
    """Else one cordoned zone leaves pods pending under DoNotSchedule."""
    (pod,) = pod_specs(helm.render(sets=MINIMAL))
    assert [rule["nodeTaintsPolicy"] for rule in pod["topologySpreadConstraints"]] == ["Honor", "Honor"]


def test_pods_run_as_the_user_that_is_named_or_as_the_clusters(helm: Helm) -> None:
    """Topics' hook and console too; never root."""
    console = ("console.enabled=true", "console.image.repository=c", "console.keysSecret=k")
    sets = (*MINIMAL, *console, "topics.create=true")
    named = [f"podSecurityContext.{name}=20000" for name in ("runAsUser", "runAsGroup", "fsGroup")]
    for pod in pod_specs(helm.render(sets=(*sets, *named))):
        context = pod["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (20000, 20000, 20000)
    left = [f"podSecurityContext.{name}=null" for name in ("runAsUser", "runAsGroup", "fsGroup")]
    for pod in pod_specs(helm.render(sets=(*sets, *left))):
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert "/podSecurityContext/runAsUser" in helm.refusal("podSecurityContext.runAsUser=0")


def test_volumes_and_variables_of_ones_own_reach_workers_and_replays(helm: Helm) -> None:
    """A certificate of a proxy, a file with a setting."""
    sets = (
        "replay.enabled=true",
        "replay.name=x",
        "extraVolumes[0].name=proxy-ca",
        "extraVolumes[0].configMap.name=proxy-ca",
        "extraVolumeMounts[0].name=proxy-ca",
        "extraVolumeMounts[0].mountPath=/etc/proxy",
        "extraVolumeMounts[0].readOnly=true",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy:3128",
    )
    pods = pod_specs(helm.render(sets=(*MINIMAL, *sets)))
    assert len(pods) == 2
    for pod in pods:
        assert {"name": "proxy-ca", "configMap": {"name": "proxy-ca"}} in pod["volumes"]
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "proxy-ca", "mountPath": "/etc/proxy", "readOnly": True} in mounts
        assert environment(pod)["HTTPS_PROXY"] == "http://proxy:3128"


def test_names_are_resolved_where_the_cluster_resolves_them(helm: Helm) -> None:
    """kube-system by default; NodeLocal DNSCache has an address, OpenShift other ports."""
    default, *_ = one(helm.render(sets=MINIMAL), "NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for port in default["ports"]} == {53}
    assert default["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    sets = ("networkPolicy.dns.ports={5353}", "networkPolicy.dns.to[0].ipBlock.cidr=169.254.20.10/32")
    own, *_ = one(helm.render(sets=(*MINIMAL, *sets)), "NetworkPolicy")["spec"]["egress"]
    assert own == {
        "ports": [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}],
        "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
    }


@pytest.mark.parametrize("of", ["model", "shadow"])
def test_image_volumes_are_used_where_kubernetes_has_them(helm: Helm, of: str) -> None:
    """Below 1.31 the field is dropped, and the pod starts without its bundle; up to 1.34 a gate must be on."""
    sets = (f"{of}.bundle.source=image", f"{of}.bundle.image=bundle:2")
    assert "expected 1.31 or newer" in helm.refusal(*sets, kubernetes="1.30.4")
    assert "imageVolumesEnabled" in helm.refusal(*sets, kubernetes="1.33.0")
    assert "expected 1.31 or newer" in helm.refusal(*sets, "imageVolumesEnabled=true", kubernetes="1.30.4")
    arguments = [f"--set={one}" for one in (*MINIMAL, *sets)]
    assert helm.run("template", "live", str(CHART), *arguments, kubernetes="1.35.0").returncode == 0
    gated = helm.run("template", "live", str(CHART), *arguments, "--set=imageVolumesEnabled=true", kubernetes="1.33.0")
    assert gated.returncode == 0, gated.stderr


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        pytest.param((), "rollout status deployment/live-verdictstream", id="by default"),
        pytest.param(("autoscaling.kind=hpa", "autoscaling.paused=true"), "paused", id="scaled to zero"),
        pytest.param(
            ("console.enabled=true", "console.image.repository=c", "console.keysSecret=k"),
            "Nobody reaches it yet",
            id="a console that nobody may ask",
        ),
    ],
)
def test_the_notes_say_what_to_do_next(helm: Helm, sets: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """As helm prints them after an installation."""
    arguments = [f"--set={one}" for one in (*MINIMAL, *sets)]
    with _kubeconfig(tmp_path, helm.render(sets=(*MINIMAL, *sets))) as path:
        arguments += ["--dry-run=client", "--disable-openapi-validation", f"--kubeconfig={path}"]
        done = helm.run("install", "live", str(CHART), *arguments, kubernetes=None)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout.partition("NOTES:")[2]

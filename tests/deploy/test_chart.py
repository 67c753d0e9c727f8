"""What the chart promises: pods that drain, that own nothing they need not, and that scale on lag."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from model import load_policy
from model.bundle.signature import read_public_key
from tests.bundles import key_pair
from tests.deploy.chart import CHART, EXAMPLES, MINIMAL, Helm, environment, one, pod_specs, without_console
from worker.settings.source import read_settings
from worker.settings.worker import WorkerSettings

_GRACE_S = WorkerSettings.model_fields["shutdown_grace_s"].default
_SECRET = "from-a-secret-of-32-characters-or-more"  # noqa: S105  stands for what the cluster puts in

example = pytest.mark.parametrize("name", EXAMPLES)


def test_there_are_six_examples() -> None:
    """The least, KEDA, static members with HPA and a replay, tokens from an issuer, the HTTP API, many policies."""
    assert set(EXAMPLES) == {"console", "minimal", "oauth", "production", "review", "static-members", "with-people"}


@example
def test_the_chart_lints_with_every_example(helm: Helm, name: str) -> None:
    """Strict: warnings fail too."""
    done = helm.run("lint", "--strict", str(CHART), f"--values={EXAMPLES[name]}")
    assert done.returncode == 0, done.stdout + done.stderr


@example
def test_the_worker_accepts_every_environment_the_chart_gives_it(helm: Helm, name: str, tmp_path: Path) -> None:
    """An unknown or contradictory MODERATION_ name would end the pod at its start."""
    for pod in pod_specs(without_console(helm.render(EXAMPLES[name]))):
        values = environment(pod)
        given = {key: value if isinstance(value, str) else _SECRET for key, value in values.items()}
        url = "rediss://redis:6380/0" if "MODERATION_REDIS__SSL_CA_LOCATION" in given else "redis://redis:6379/0"
        for key in [key for key in given if key.endswith("_FILE")]:
            path = tmp_path / key
            path.write_text(url if key == "MODERATION_REDIS__URL_FILE" else _SECRET)
            given[key] = str(path)
        settings = read_settings(given, None)
        assert settings.kafka.bootstrap_servers
        assert settings.http.port in {0, 8080}


@example
def test_pods_run_with_the_least_rights(helm: Helm, name: str) -> None:
    """Non-root, nothing writable but /tmp, no capability, no token, no neighbours' addresses in the environment."""
    for pod in pod_specs(helm.render(EXAMPLES[name])):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert [mount["mountPath"] for mount in writable] == ["/tmp"]  # noqa: S108


@example
def test_requests_equal_limits(helm: Helm, name: str) -> None:
    """QoS Guaranteed: threads follow the quota, and a throttled pod would lag."""
    for pod in pod_specs(helm.render(EXAMPLES[name])):
        resources = pod["containers"][0]["resources"]
        assert resources["requests"] == resources["limits"]
        assert set(resources["limits"]) == {"cpu", "memory"}


@example
def test_kubernetes_waits_longer_than_the_worker_drains(helm: Helm, name: str) -> None:
    """And the chart's grace is the worker's own default, so that a change of one is noticed in the other."""
    for pod in pod_specs(without_console(helm.render(EXAMPLES[name]))):
        grace_s = float(environment(pod)["MODERATION_SHUTDOWN_GRACE_S"])
        assert grace_s == _GRACE_S
        assert pod["terminationGracePeriodSeconds"] >= grace_s + 10


@example
def test_secrets_are_referred_to_and_never_written_into_a_pod(helm: Helm, name: str) -> None:
    """A pod can be read by many who may not read a Secret; and what is a file is in no dump of an environment."""
    for pod in pod_specs(helm.render(EXAMPLES[name])):
        secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
        mounts = pod["containers"][0]["volumeMounts"]
        folders = tuple(f"{mount['mountPath']}/" for mount in mounts if mount["name"] in secrets)
        for key, value in environment(pod).items():
            if any(word in key for word in ("PASSWORD", "SECRET", "SIGNING_KEY", "REDIS__URL", "KEYS_FILE")):
                assert key.endswith("_FILE")
                assert value.startswith(folders)
            elif isinstance(value, str) and ("SSL_" in key or "OAUTH_CA" in key):
                assert value.startswith(folders)


def test_an_autoscaler_owns_the_number_of_pods(helm: Helm) -> None:
    """A fixed number in the workload would fight with it at every upgrade."""
    assert one(helm.render(EXAMPLES["minimal"]), "Deployment")["spec"]["replicas"] == 2
    assert "replicas" not in one(helm.render(EXAMPLES["production"]), "Deployment")["spec"]
    assert "replicas" not in one(helm.render(EXAMPLES["static-members"]), "StatefulSet")["spec"]


def test_keda_scales_on_the_lag_of_the_workers_own_group(helm: Helm) -> None:
    """At least two pods, slow on the way down, and never fewer than now when Kafka does not answer the scaler."""
    manifests = helm.render(EXAMPLES["production"])
    spec = one(manifests, "ScaledObject")["spec"]
    values = environment(pod_specs(manifests)[0])
    trigger, cpu = spec["triggers"]
    assert (trigger["type"], cpu["type"], cpu["metadata"]["value"]) == ("kafka", "cpu", "80")
    assert trigger["metadata"]["consumerGroup"] == values["MODERATION_KAFKA__GROUP_ID"]
    assert trigger["metadata"]["topic"] == values["MODERATION_KAFKA__INPUT_TOPIC"]
    assert trigger["metadata"]["bootstrapServers"] == values["MODERATION_KAFKA__BOOTSTRAP_SERVERS"]
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    assert spec["scaleTargetRef"]["name"] == one(manifests, "Deployment")["metadata"]["name"]
    assert spec["minReplicaCount"] >= 2
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300


def test_keda_authenticates_with_a_user_of_its_own(helm: Helm) -> None:
    """It needs Describe only, and must not hold the worker's right to write verdicts."""
    manifests = helm.render(EXAMPLES["production"])
    authentication = one(manifests, "TriggerAuthentication")
    references = authentication["spec"]["secretTargetRef"]
    assert {reference["parameter"] for reference in references} == {"username", "password", "ca"}
    assert {reference["name"] for reference in references} == {"verdictstream-keda"}
    trigger = one(manifests, "ScaledObject")["spec"]["triggers"][0]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_static_members_keep_their_names_over_a_restart(helm: Helm) -> None:
    """Group instance and transactional id follow the pod's name; a session outlasts a restart."""
    manifests = helm.render(EXAMPLES["static-members"])
    workload = one(manifests, "StatefulSet")
    values = environment(workload["spec"]["template"]["spec"])
    assert values["MODERATION_KAFKA__GROUP_INSTANCE_ID"] == "$(POD_NAME)"
    assert values["MODERATION_KAFKA__TRANSACTIONAL_ID"] == "verdictstream.$(POD_NAME)"
    grace_s = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert float(values["MODERATION_KAFKA__SESSION_TIMEOUT_S"]) > grace_s
    names = list(values)
    assert names.index("POD_NAME") < names.index("MODERATION_KAFKA__GROUP_INSTANCE_ID")


def test_a_deployment_has_no_static_members(helm: Helm) -> None:
    """Its pods never come back under the same name: each restart would leave a ghost that holds partitions."""
    values = environment(pod_specs(helm.render(EXAMPLES["production"]))[0])
    assert not {"MODERATION_KAFKA__GROUP_INSTANCE_ID", "MODERATION_KAFKA__TRANSACTIONAL_ID"} & set(values)


def test_static_members_under_the_consumer_protocol_leave_the_session_to_the_broker(helm: Helm) -> None:
    """The worker would not use it, and who reads the pod would believe it."""
    manifests = helm.render(EXAMPLES["static-members"], sets=("kafka.groupProtocol=consumer",))
    values = environment(one(manifests, "StatefulSet")["spec"]["template"]["spec"])
    assert values["MODERATION_KAFKA__GROUP_PROTOCOL"] == "consumer"
    assert values["MODERATION_KAFKA__GROUP_INSTANCE_ID"] == "$(POD_NAME)"
    assert "MODERATION_KAFKA__SESSION_TIMEOUT_S" not in values


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        pytest.param((), None, id="none"),
        pytest.param(("kafka.clientRack=zone-a",), "zone-a", id="given"),
        pytest.param(
            ("kafka.clientRackFrom=metadata.labels['zone']",),
            {"fieldRef": {"fieldPath": "metadata.labels['zone']"}},
            id="from a label of the pod",
        ),
    ],
)
def test_the_rack_is_given_or_read_from_the_pod(helm: Helm, sets: tuple[str, ...], expected: object) -> None:
    """Zones are known when a pod is placed, not when the chart is rendered."""
    (pod,) = pod_specs(helm.render(sets=(*MINIMAL, *sets)))
    assert environment(pod).get("MODERATION_KAFKA__CLIENT_RACK") == expected


def test_codec_and_forwarded_headers_reach_the_workers(helm: Helm) -> None:
    """The list as the worker reads it; none by default."""
    (pod,) = pod_specs(
        helm.render(sets=(*MINIMAL, "kafka.forwardHeaders={x-tenant,baggage}", "kafka.compression=gzip"))
    )
    values = environment(pod)
    assert values["MODERATION_KAFKA__FORWARD_HEADERS"] == "x-tenant,baggage"
    assert values["MODERATION_KAFKA__COMPRESSION"] == "gzip"
    (pod,) = pod_specs(helm.render(sets=MINIMAL))
    assert "MODERATION_KAFKA__FORWARD_HEADERS" not in environment(pod)


def test_lost_offsets_and_envelopes_are_values(helm: Helm) -> None:
    """A partition that lost records waits for a person by default; a worker without envelopes is told of none."""
    (pod,) = pod_specs(helm.render(sets=MINIMAL))
    assert environment(pod)["MODERATION_KAFKA__LOST_OFFSETS"] == "pause"
    assert environment(pod)["MODERATION_KAFKA__UNREACHABLE_EXIT_S"] == "1800"
    assert "MODERATION_KAFKA__VALUE_FORMAT" not in environment(pod)
    (pod,) = pod_specs(helm.render(sets=(*MINIMAL, "kafka.lostOffsets=count", "kafka.valueFormat=debezium")))
    assert environment(pod)["MODERATION_KAFKA__LOST_OFFSETS"] == "count"
    assert environment(pod)["MODERATION_KAFKA__VALUE_FORMAT"] == "debezium"


def test_a_replay_is_a_job_beside_the_workers(helm: Helm) -> None:
    """Other pods, other component: no budget, metrics or worker selector counts it in."""
    manifests = helm.render(EXAMPLES["static-members"], sets=("replay.args={--dry-run,--rate=50}",))
    job = one(manifests, "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["replay", "--dry-run", "--rate=50"]
    filled = one(
        helm.render(EXAMPLES["static-members"], sets=("replay.command=project", "replay.parallelism=1")), "Job"
    )
    assert filled["spec"]["template"]["spec"]["containers"][0]["args"][0] == "project"
    assert "completions" not in job["spec"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "StatefulSet"):
        selected = one(manifests, kind)["spec"]["selector"]["matchLabels"]
        assert not selected.items() <= labels.items()
    names = environment(job["spec"]["template"]["spec"])
    assert not {"MODERATION_KAFKA__GROUP_INSTANCE_ID", "MODERATION_KAFKA__TRANSACTIONAL_ID"} & set(names)


@example
def test_budget_service_and_policy_select_the_workers(helm: Helm, name: str) -> None:
    """A selector that matches nothing protects nothing, in silence."""
    manifests = without_console(helm.render(EXAMPLES[name]))
    workload = next(m for m in manifests if m["kind"] in {"Deployment", "StatefulSet"})
    labels = workload["spec"]["template"]["metadata"]["labels"]
    for selected in (
        workload["spec"]["selector"]["matchLabels"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        one(manifests, "Service")["spec"]["selector"],
    ):
        assert selected.items() <= labels.items()


def _allowed(manifests: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    egress = one(manifests, "NetworkPolicy")["spec"]["egress"]
    return {port["port"]: rule.get("to", []) for rule in egress for port in rule["ports"]}


def test_pods_reach_dns_kafka_and_redis_and_nothing_else(helm: Helm) -> None:
    """What was taken over cannot call home, and only Prometheus reads the metrics."""
    manifests = helm.render(EXAMPLES["production"])
    allowed = _allowed(manifests)
    assert set(allowed) == {53, 9093, 6380}
    assert all(allowed.values())
    (ingress,) = one(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [8080]
    assert ingress["from"]
    without_cache = helm.render(EXAMPLES["production"], sets=("redis.enabled=false",))
    assert set(_allowed(without_cache)) == {53, 9093}


@pytest.mark.parametrize(
    ("sets", "path", "volume"),
    [
        pytest.param((), None, None, id="in the worker's image"),
        pytest.param(
            ("model.bundle.source=image", "model.bundle.image=registry.example.com/bundle:2"),
            "/bundle",
            {"name": "bundle", "image": {"reference": "registry.example.com/bundle:2", "pullPolicy": "IfNotPresent"}},
            id="an image of its own",
        ),
        pytest.param(
            (
                "model.bundle.source=volume",
                "model.bundle.volume.hostPath.path=/models",
                "model.bundle.subPath=two",
            ),
            "/bundle/two",
            {"name": "bundle", "hostPath": {"path": "/models"}},
            id="a volume",
        ),
    ],
)
def test_the_bundle_comes_from_where_it_is_said_to_be(
    helm: Helm, sets: tuple[str, ...], path: str | None, volume: dict[str, Any] | None
) -> None:
    """Model and worker are released apart from each other."""
    (pod,) = pod_specs(helm.render(sets=(*MINIMAL, *sets)))
    assert environment(pod).get("MODERATION_MODEL__PATH") == path
    assert next((one for one in pod["volumes"] if one["name"] == "bundle"), None) == volume


def test_the_policy_file_reaches_the_worker_as_it_was_written(helm: Helm, tmp_path: Any) -> None:
    """And a changed policy changes the pod, so that it is rolled out."""
    manifests = helm.render(EXAMPLES["production"])
    path = tmp_path / "policy.toml"
    (policy,) = [m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith("-policy")]
    path.write_text(policy["data"]["policy.toml"])
    assert load_policy(path).name == "family-brand"
    changed = helm.render(EXAMPLES["production"], sets=("model.policy=name=1",))
    pods = [one(rendered, "Deployment")["spec"]["template"] for rendered in (manifests, changed)]
    assert len({pod["metadata"]["annotations"]["checksum/config"] for pod in pods}) == 2


def test_the_public_key_reaches_workers_and_replays_as_it_was_written(helm: Helm, tmp_path: Any) -> None:
    """A line end lost on the way would make it no PEM, and every bundle would be refused."""
    _, public = key_pair(tmp_path / "keys")
    values = tmp_path / "values.yaml"
    model = {"publicKey": public.read_text(), "bundle": {"source": "volume", "volume": {"hostPath": {"path": "/m"}}}}
    values.write_text(yaml.dump({"model": model}))
    manifests = helm.render(values, sets=(*MINIMAL, "replay.enabled=true", "replay.name=x"))
    config = one(manifests, "ConfigMap")
    path = tmp_path / "public.pem"
    path.write_text(config["data"]["public.pem"])
    read_public_key(path)
    pods = pod_specs(manifests)
    assert len(pods) == 2
    for pod in pods:
        named = environment(pod)["MODERATION_MODEL__PUBLIC_KEY_FILE"]
        folders = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        volume = {"name": folders[named.removesuffix("/public.pem")], "configMap": {"name": config["metadata"]["name"]}}
        assert volume in pod["volumes"]

"""Values that cannot work are refused before anything reaches a cluster, with what was found and what to do."""

from pathlib import Path

import pytest

from tests.deploy.chart import MINIMAL, Helm, environment, one, pod_specs
from worker.settings.source import read_settings


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        pytest.param(("replicsa=3",), "replicsa", id="a typing error"),
        pytest.param(("kafka.bootstrapServers=kafka",), "/kafka/bootstrapServers", id="an address without a port"),
        pytest.param(("image.repository=",), "/image/repository", id="no image"),
        pytest.param(("redis.url=",), "redis.enabled is true without an address", id="a cache without an address"),
        pytest.param(
            ("shutdown.terminationGracePeriodSeconds=25",), "more than the worker's own grace", id="too short a grace"
        ),
        pytest.param(("autoscaling.minReplicas=0",), "/autoscaling/minReplicas", id="scaling to zero"),
        pytest.param(("autoscaling.minReplicas=13",), "expected at most as many", id="a minimum above the maximum"),
        pytest.param(("kafka.securityProtocol=SASL_SSL",), "without kafka.sasl.mechanism", id="SASL of no kind"),
        pytest.param(
            ("kafka.securityProtocol=SASL_SSL", "kafka.sasl.mechanism=SCRAM-SHA-512"),
            "without credentials",
            id="SASL without a user",
        ),
        pytest.param(
            ("kafka.securityProtocol=SSL", "kafka.tls.clientCertificate=true"),
            "without a certificate",
            id="mTLS of nobody",
        ),
        pytest.param(
            (
                "kafka.securityProtocol=SASL_SSL",
                "kafka.sasl.mechanism=OAUTHBEARER",
                "kafka.sasl.existingSecret=s",
            ),
            "without kafka.oauth.tokenUrl",
            id="tokens from nowhere",
        ),
        pytest.param(
            ("kafka.oauth.tokenUrl=http://issuer/token",), "/kafka/oauth/tokenUrl", id="a secret in the clear"
        ),
        pytest.param(("kafka.tls.encryptedKey=true",), "without kafka.tls.existingSecret", id="a locked key of nobody"),
        pytest.param(("redis.credentials=true",), "without redis.existingSecret", id="credentials from nowhere"),
        pytest.param(("redis.signingKey=true",), "without redis.existingSecret", id="a signing key from nowhere"),
        pytest.param(("redis.clientCertificate=true",), "without redis.tlsSecret", id="a Redis client of nobody"),
        pytest.param(
            ("kafka.securityProtocol=SSL", "topics.create=true"), "without topics.adminSecret", id="topics by nobody"
        ),
        pytest.param(("kafka.groupRemoteAssignor=range",), "set kafka.groupProtocol", id="an assignor of no use"),
        pytest.param(("kafka.groupProtocol=classical",), "/kafka/groupProtocol", id="a group protocol that is none"),
        pytest.param(("kafka.lostOffsets=latest",), "/kafka/lostOffsets", id="a loss that nobody would see"),
        pytest.param(("kafka.valueFormat=avro",), "/kafka/valueFormat", id="an envelope that nobody opens"),
        pytest.param(("kafka.compression=snappy",), "/kafka/compression", id="a codec that is not offered"),
        pytest.param(
            ("kafka.forwardHeaders={a b}",), "/kafka/forwardHeaders/0", id="a header's name with a space in it"
        ),
        pytest.param(
            ("kafka.clientRack=a", "kafka.clientRackFrom=metadata.labels['zone']"),
            "expected one of them",
            id="two racks",
        ),
        pytest.param(("settings.KAFKA__SASL_PASSWORD=x",), "KAFKA__SASL_PASSWORD", id="a secret among the settings"),
        pytest.param(
            ("settings.KAFKA__GROUP_ID=mine",), "expected the chart's own value: kafka.groupId", id="a setting twice"
        ),
        pytest.param(
            ("settings.MODEL__PUBLIC_KEY_FILE=/x",), "model.publicKey", id="a setting whose own name ends in _FILE"
        ),
        pytest.param(
            ("extraEnv[0].name=MODERATION_MODEL__PUBLIC_KEY_FILE", "extraEnv[0].value=x"),
            "model.publicKey",
            id="the same as a variable",
        ),
        pytest.param(
            ("settings.KAFKA__CLIENT_RACK=a",), "kafka.clientRack or", id="a setting that the chart would set"
        ),
        pytest.param(
            ("settings.KAFKA__SESSION_TIMEOUT_S=30", "workload.kind=StatefulSet"),
            "workload.staticMembership.sessionTimeoutSeconds",
            id="a static member's session twice",
        ),
        pytest.param(
            ("extraEnv[0].name=moderation_http__port", "extraEnv[0].value=1"),
            "extraEnv names MODERATION_HTTP__PORT",
            id="a variable twice",
        ),
        pytest.param(
            ("extraEnv[0].name=MODERATION_KAFKA__SASL_PASSWORD", "extraEnv[0].value=x"),
            "expected the chart's own value: kafka.sasl",
            id="a secret twice, once as a file",
        ),
        pytest.param(
            ("settings.LOG__LEVEL=info", "extraEnv[0].name=MODERATION_LOG__LEVEL", "extraEnv[0].value=info"),
            "is in settings and in extraEnv",
            id="a setting in both places",
        ),
        pytest.param(("extraVolumes[0].name=tmp",), "a volume of the chart", id="a volume twice"),
        pytest.param(("autoscaling.paused=true",), "set replicas to 0", id="nothing to pause"),
        pytest.param(
            ("workload.kind=StatefulSet", "workload.strategy.type=Recreate"), "scale to 0", id="a strategy it has not"
        ),
        pytest.param(("model.bundle.source=volume",), "without model.bundle.volume", id="a bundle from nowhere"),
        pytest.param(("model.bundle.source=image",), "without model.bundle.image", id="a bundle image without a name"),
        pytest.param(
            ("model.publicKey=-----BEGIN PUBLIC KEY-----\nx",), "holds no signature", id="a signature of nothing"
        ),
        pytest.param(
            ("model.publicKey=-----BEGIN PRIVATE KEY-----\nx", "model.bundle.source=volume"),
            "/model/publicKey",
            id="a private key in a ConfigMap",
        ),
        pytest.param(("shadow.bundle.source=volume",), "without shadow.bundle.volume", id="a shadow from nowhere"),
        pytest.param(("shadow.bundle.source=image",), "without shadow.bundle.image", id="a shadow without a name"),
        pytest.param(("shadow.sampleRatio=0",), "/shadow/sampleRatio", id="a shadow that judges nothing"),
        pytest.param(("replay.enabled=true",), "without replay.name", id="a replay without a name"),
        pytest.param(("replay.command=redrive",), "/replay/command", id="a Job of another command"),
        pytest.param(("replay.command=project", "replay.parallelism=2"), "expected 1", id="two projections"),
        pytest.param(
            ("replay.command=project", "redis.enabled=false"), "a Redis to fill", id="a projection into nothing"
        ),
        pytest.param(("kafka.erasuresTopic=e",), "without erasure.existingSecret", id="a list of hashes without a key"),
        pytest.param(("kafka.decisionsTopic=d",), "without erasure.existingSecret", id="a log of hashes without a key"),
        pytest.param(("kafka.stateTopic=a b",), "/kafka/stateTopic", id="a topic with a blank in its name"),
        pytest.param(("model.policies.a=x", "model.policiesConfigMap=b"), "expected one of them", id="policies twice"),
        pytest.param(("overrides.signingSecret=s",), "without kafka.overridesTopic", id="a key that signs nothing"),
        pytest.param(("lists.userField=user",), "without lists.file", id="a field for no list"),
        pytest.param(
            ("lists.file=x", "lists.userFieldChosenBy=platform"), "name the field", id="chosen names of no field"
        ),
        pytest.param(("model.floor={a b}",), "/model/floor/0", id="a code with a blank"),
        pytest.param(("model.policies.a=",), "/model/policies", id="a policy without a line"),
        pytest.param(
            ("settings.KAFKA__STATE_TOPIC=s",), "expected the chart's own value: kafka.stateTopic", id="a topic twice"
        ),
        pytest.param(("workload.kind=DaemonSet",), "/workload/kind", id="a kind that does not fit"),
    ],
)
def test_what_cannot_work_is_refused(helm: Helm, sets: tuple[str, ...], said: str) -> None:
    """The schema checks each value, the chart's own rules what two values say together."""
    assert said in helm.refusal(*sets)


def test_secrets_given_as_values_end_in_secrets_and_nowhere_else(helm: Helm) -> None:
    """For a first try; production names an existing Secret."""
    canary = "hunter2-canary"
    manifests = helm.render(
        sets=(
            *MINIMAL,
            f"redis.url=redis://:{canary}@redis:6379/0",
            "kafka.securityProtocol=SASL_SSL",
            "kafka.sasl.mechanism=SCRAM-SHA-256",
            "kafka.sasl.username=worker",
            f"kafka.sasl.password={canary}",
            "kafka.tls.ca=pem",
            "kafka.tls.certificate=pem",
            f"kafka.tls.key={canary}",
            "kafka.tls.clientCertificate=true",
        )
    )
    holders = {manifest["kind"] for manifest in manifests if canary in str(manifest)}
    assert holders == {"Secret"}
    secrets = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "Secret"}
    (pod,) = pod_specs(manifests)
    referred = {value["secretKeyRef"]["name"] for value in environment(pod).values() if isinstance(value, dict)}
    mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert referred | mounted == secrets


def test_a_long_release_name_still_gives_valid_names(helm: Helm) -> None:
    """Kubernetes takes 63 characters in a label and in a Job's name."""
    manifests = helm.render(
        sets=(*MINIMAL, f"fullnameOverride={'x' * 60}", "replay.enabled=true", "replay.name=retrained-1234")
    )
    assert len(one(manifests, "Job")["metadata"]["name"]) <= 63
    assert all(len(manifest["metadata"]["name"]) <= 63 for manifest in manifests)


def test_a_shadow_bundle_reaches_the_workers_and_no_replay(helm: Helm, tmp_path: Path) -> None:
    """The worker accepts what it is told; without a shadow nothing of it is said."""
    sets = (*MINIMAL, "replay.enabled=true", "replay.name=x")
    shadow = ("shadow.bundle.source=volume", "shadow.bundle.volume.hostPath.path=/m", "shadow.bundle.subPath=candidate")
    worker, replay = pod_specs(helm.render(sets=(*sets, *shadow)))
    if replay["containers"][0]["args"] == ["run"]:
        worker, replay = replay, worker
    secret = tmp_path / "url"
    secret.write_text("redis://redis:6379/0")
    settings = read_settings({**environment(worker), "MODERATION_REDIS__URL_FILE": str(secret)}, None)
    assert (str(settings.shadow.model_path), settings.shadow.sample_ratio) == ("/shadow/candidate", 1.0)
    assert {"name": "shadow", "hostPath": {"path": "/m"}} in worker["volumes"]
    assert not [name for name in environment(replay) if "SHADOW" in name]
    for pod in pod_specs(helm.render(sets=sets)):
        assert "shadow" not in str(pod).lower()


def test_policies_reach_workers_and_replays_as_files_and_a_change_restarts_nobody(helm: Helm) -> None:
    """Pods take them up by themselves: a restart for each advertiser's change would cost every chat its cache."""
    sets = (*MINIMAL, "replay.enabled=true", "replay.name=x")
    texts = ("model.policies.brand-17=name", "model.policies.family=other")
    manifests = helm.render(sets=(*sets, *texts))
    (found,) = [m for m in manifests if m["metadata"]["name"].endswith("-policies")]
    assert found["data"] == {"brand-17.toml": "name", "family.toml": "other"}
    for pod in pod_specs(manifests):
        assert environment(pod)["MODERATION_MODEL__POLICIES_DIR"] == "/etc/verdictstream/policies"
        assert {"name": "policies", "configMap": {"name": found["metadata"]["name"]}} in pod["volumes"]
    changed = one(helm.render(sets=(*sets, *texts, "model.policies.third=new")), "Deployment")
    assert changed["spec"]["template"] == one(manifests, "Deployment")["spec"]["template"]
    elsewhere = helm.render(sets=(*sets, "model.policiesConfigMap=advertisers"))
    assert not [m for m in elsewhere if m["metadata"]["name"].endswith("-policies")]
    for pod in pod_specs(elsewhere):
        assert {"name": "policies", "configMap": {"name": "advertisers"}} in pod["volumes"]


def test_the_key_of_chats_hashes_reaches_the_pods_as_a_file(helm: Helm, tmp_path: Path) -> None:
    """A secret in the environment would stand in every dump of it."""
    (pod,) = pod_specs(helm.render(sets=(*MINIMAL, "kafka.erasuresTopic=e", "erasure.existingSecret=hashes")))
    given = environment(pod)
    assert given["MODERATION_ERASURE__HASH_KEY_FILE"] == "/etc/verdictstream/erasure/hash-key"
    assert {"name": "erasure", "secret": {"secretName": "hashes", "defaultMode": 0o440}} in pod["volumes"]
    key, url = tmp_path / "key", tmp_path / "url"
    key.write_text("k" * 32)
    url.write_text("redis://redis:6379/0")
    files = {"MODERATION_ERASURE__HASH_KEY_FILE": str(key), "MODERATION_REDIS__URL_FILE": str(url)}
    settings = read_settings({**given, **files}, None)
    assert (settings.kafka.erasures_topic, settings.erasure.hash_keys) == ("e", (b"k" * 32,))


def test_signing_key_lists_and_floor_reach_the_pods(helm: Helm) -> None:
    """The key as a file; a change of the lists restarts nobody."""
    sets = (*MINIMAL, "kafka.overridesTopic=o", "overrides.signingSecret=signing", "model.floor={M,J}")
    lists = ("lists.file=deny", "lists.userField=context.user", "lists.userFieldChosenBy=platform")
    manifests = helm.render(sets=(*sets, *lists))
    (pod,) = pod_specs(manifests)
    given = environment(pod)
    assert given["MODERATION_OVERRIDES__SIGNING_KEY_FILE"] == "/etc/verdictstream/overrides/signing-key"
    assert {"name": "overrides", "secret": {"secretName": "signing", "defaultMode": 0o440}} in pod["volumes"]
    assert given["MODERATION_MODEL__FLOOR"] == "M,J"
    assert given["MODERATION_LISTS__PATH"] == "/etc/verdictstream/lists/lists.toml"
    assert given["MODERATION_LISTS__USER_FIELD"] == "context.user"
    assert given["MODERATION_LISTS__USER_FIELD_CHOSEN_BY"] == "platform"
    (found,) = [m for m in manifests if m["metadata"]["name"].endswith("-lists")]
    assert found["data"] == {"lists.toml": "deny"}
    changed = one(helm.render(sets=(*sets, "lists.file=other", *lists[1:])), "Deployment")
    assert changed["spec"]["template"] == one(manifests, "Deployment")["spec"]["template"]


def test_what_verdicts_carry_as_headers_is_a_value(helm: Helm) -> None:
    """Off by default: readers that know neither see what they always saw."""
    guid = "12345678-1234-1234-1234-123456789abc"
    given = environment(
        pod_specs(helm.render(sets=(*MINIMAL, "kafka.cloudEventsSource=/vs", f"kafka.verdictSchemaGuid={guid}")))[0]
    )
    assert given["MODERATION_KAFKA__CLOUDEVENTS_SOURCE"] == "/vs"
    assert given["MODERATION_KAFKA__VERDICT_SCHEMA_GUID"] == guid
    (off,) = pod_specs(helm.render(sets=MINIMAL))
    assert (
        not {"MODERATION_KAFKA__CLOUDEVENTS_SOURCE", "MODERATION_KAFKA__VERDICT_SCHEMA_GUID"} & environment(off).keys()
    )
    assert "/kafka/verdictSchemaGuid" in helm.refusal("kafka.verdictSchemaGuid=7")

"""The console that follows a pipeline: the workers' addresses, users of its own, a database that survives."""

from pathlib import Path
from typing import Any

import pytest

from console.settings.source import read_settings
from tests.deploy.chart import EXAMPLES, MINIMAL, Helm, Manifest, environment
from worker.settings.source import read_settings as read_worker_settings

_ON = (
    "console.enabled=true",
    "console.image.repository=console",
    "console.keysSecret=keys",
    "console.pipeline.enabled=true",
    "kafka.reviewsTopic=verdict-reviews",
)
_NAME = "live-verdictstream-console"


def _parts(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {m["kind"]: m for m in manifests if m["metadata"]["name"].startswith(_NAME)}


def _pod(parts: dict[str, Manifest]) -> dict[str, Any]:
    pod: dict[str, Any] = parts["Deployment"]["spec"]["template"]["spec"]
    return pod


def _mounted(pod: dict[str, Any]) -> dict[str, str]:
    """Return which volume is where."""
    return {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}


@pytest.fixture
def parts(helm: Helm) -> dict[str, Manifest]:
    """Return what the example renders for the console, by kind."""
    return _parts(helm.render(EXAMPLES["review"]))


@pytest.fixture
def alone(helm: Helm) -> dict[str, Manifest]:
    """Return a console with the least values: SQLite, no users."""
    return _parts(helm.render(sets=(*MINIMAL, *_ON)))


def _with_files(values: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return an environment whose files and secrets are there, as the cluster would give them."""
    content = {
        "CONSOLE_STORE__URL_FILE": "postgresql+psycopg://console:secret@db/console",
        "MODERATION_REDIS__URL_FILE": "redis://redis:6379/0",
    }
    given = {}
    for name, value in values.items():
        if not name.startswith(("CONSOLE_", "MODERATION_")):
            continue
        given[name] = value if isinstance(value, str) else "of-a-secret"
        if name.endswith("_FILE"):
            (folder / name).write_text(content.get(name, "x" * 40))
            given[name] = str(folder / name)
    return given


def test_the_console_and_the_worker_in_it_accept_the_environment(
    parts: dict[str, Manifest], alone: dict[str, Manifest], tmp_path: Path
) -> None:
    """An unknown or contradictory name of either would end the pod at its start."""
    least = _with_files(environment(_pod(alone)), tmp_path)
    settings = read_settings(least, None)
    assert settings.pipeline.is_on
    assert settings.store.url.get_secret_value() == "sqlite:////var/lib/verdictstream/console.sqlite3"
    assert read_worker_settings(least, None).kafka.reviews_topic == "verdict-reviews"
    given = _with_files(environment(_pod(parts)), tmp_path)
    settings, worker = read_settings(given, None), read_worker_settings(given, None)
    assert settings.store.url.get_secret_value() == "postgresql+psycopg://console:secret@db/console"
    assert settings.proxy.role_of_group == {"moderators": "reviewer", "leads": "admin", "analysts": "viewer"}
    assert settings.proxy.logout_url == "/oauth2/sign_out"
    assert settings.appeals.webhook_hosts == "appeals.example.com"
    assert (worker.kafka.decisions_topic, worker.kafka.sasl_username) == ("verdict-decisions", "of-a-secret")


def test_it_is_where_the_workers_are_with_users_of_its_own(helm: Helm, parts: dict[str, Manifest]) -> None:
    """The same topics and addresses; never the workers' right to publish verdicts."""
    manifests = helm.render(EXAMPLES["review"])
    (worker,) = [m for m in manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == "live-verdictstream"]
    of_worker = environment(worker["spec"]["template"]["spec"])
    of_console = environment(_pod(parts))
    for name, value in of_console.items():
        if name.startswith("MODERATION_") and name not in {
            "MODERATION_KAFKA__SASL_USERNAME",
            "MODERATION_HTTP__PORT",
        }:
            assert of_worker[name] == value, name
    assert of_console["MODERATION_KAFKA__SASL_USERNAME"]["secretKeyRef"]["name"] == "console-kafka"
    secrets = {v["name"]: v["secret"]["secretName"] for v in _pod(parts)["volumes"] if "secret" in v}
    assert secrets == {
        "console-keys": "console-keys",
        "console-database": "console-database",
        "console-webhooks": "appeal-signing",
        "kafka-sasl": "console-kafka",
        "redis": "verdictstream-redis",
        "overrides": "override-signing",
        "erasure": "chat-hashes",
    }
    reader = ("console.pipeline.redisSecret=redis-reader",)
    other = _pod(_parts(helm.render(EXAMPLES["review"], sets=reader)))
    assert {v["secret"]["secretName"] for v in other["volumes"] if v["name"] == "redis"} == {"redis-reader"}


def test_every_file_that_a_variable_names_is_mounted_and_every_mount_has_its_volume(
    parts: dict[str, Manifest], alone: dict[str, Manifest]
) -> None:
    """And a folder is writable only where the database is a file."""
    for one in (parts, alone):
        pod = _pod(one)
        mounted = _mounted(pod)
        assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}
        for name, value in environment(pod).items():
            if name.endswith("_FILE"):
                assert str(Path(value).parent) in mounted, name
    writable = [m["name"] for m in _pod(alone)["containers"][0]["volumeMounts"] if not m.get("readOnly")]
    assert sorted(writable) == ["console-data", "tmp"]
    writable = [m["name"] for m in _pod(parts)["containers"][0]["volumeMounts"] if not m.get("readOnly")]
    assert writable == ["tmp"]


def test_it_has_the_policies_that_the_workers_have(helm: Helm, alone: dict[str, Manifest]) -> None:
    """Else a reviewer sees no policy beside the chat, and the page Policy has none to start from."""
    assert "CONSOLE_MODEL__POLICIES_PATH" not in environment(_pod(alone))
    for sets in (("model.policies.brand=name = 'brand'",), ("model.policiesConfigMap=mine",)):
        pod = _pod(_parts(helm.render(sets=(*MINIMAL, *_ON, *sets))))
        given = environment(pod)
        assert given["CONSOLE_MODEL__POLICIES_PATH"] == given["MODERATION_MODEL__POLICIES_DIR"]
        assert given["CONSOLE_MODEL__POLICIES_PATH"] in _mounted(pod)
    one, other = (
        _parts(helm.render(sets=(*MINIMAL, *_ON, f"model.policies.brand=version = '{version}'")))["Deployment"]
        for version in "12"
    )
    annotations = [d["spec"]["template"]["metadata"]["annotations"] for d in (one, other)]
    assert annotations[0]["checksum/policies"] != annotations[1]["checksum/policies"], "a change starts it anew"


def test_sqlite_is_one_pods_volume_that_stays(helm: Helm, alone: dict[str, Manifest]) -> None:
    """A roll-out ends the old pod first; what people decided is not deleted with a release."""
    claim = alone["PersistentVolumeClaim"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (volume,) = [v for v in _pod(alone)["volumes"] if v["name"] == "console-data"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert alone["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    existing = ("console.pipeline.storage.existingClaim=mine",)
    other = _parts(helm.render(sets=(*MINIMAL, *_ON, *existing)))
    assert "PersistentVolumeClaim" not in other
    (volume,) = [v for v in _pod(other)["volumes"] if v["name"] == "console-data"]
    assert volume["persistentVolumeClaim"]["claimName"] == "mine"


def test_over_postgresql_several_run_and_roll(parts: dict[str, Manifest]) -> None:
    """With no volume to wait for."""
    assert "PersistentVolumeClaim" not in parts
    assert parts["Deployment"]["spec"]["replicas"] == 2
    assert parts["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"
    assert environment(_pod(parts))["CONSOLE_STORE__URL_FILE"] == "/etc/verdictstream/console-database/url"


def test_it_may_reach_what_it_follows_and_nothing_else(helm: Helm, parts: dict[str, Manifest]) -> None:
    """Names, Kafka, Redis, the database, the hosts of appeals."""
    rules = parts["NetworkPolicy"]["spec"]["egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == [[53, 53], [9093], [6379], [5432], [443]]
    assert rules[3]["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "postgres"}}}]
    least = _parts(helm.render(sets=(*MINIMAL, *_ON, "redis.enabled=false")))
    rules = least["NetworkPolicy"]["spec"]["egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == [[53, 53], [9092]]


def test_local_users_come_from_the_secret_of_keys(helm: Helm) -> None:
    """Both files are read again when the Secret changes."""
    values = environment(_pod(_parts(helm.render(sets=(*MINIMAL, *_ON, "console.users=true")))))
    assert values["CONSOLE_HTTP__USERS_FILE"] == "/etc/verdictstream/console-keys/users.toml"


def test_without_a_pipeline_the_console_is_as_it_was(helm: Helm) -> None:
    """Nothing of Kafka, Redis, database or volume."""
    without = [*_ON]
    without.remove("console.pipeline.enabled=true")
    parts = _parts(helm.render(sets=(*MINIMAL, *without)))
    assert not [name for name in environment(_pod(parts)) if "STORE" in name or name.startswith("MODERATION_")]
    assert {volume["name"] for volume in _pod(parts)["volumes"]} == {"tmp", "console-keys"}
    assert "PersistentVolumeClaim" not in parts
    assert parts["NetworkPolicy"]["spec"]["egress"] == []


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        pytest.param(
            ("console.replicas=2", "console.sessionSecret=true"), "SQLite is one pod's file", id="two pods, one file"
        ),
        pytest.param(
            ("kafka.securityProtocol=SASL_SSL", "kafka.sasl.mechanism=PLAIN", "kafka.sasl.existingSecret=s"),
            "without console.pipeline.kafkaSecret",
            id="with the workers' rights",
        ),
        pytest.param(
            ("kafka.securityProtocol=SSL", "kafka.tls.clientCertificate=true", "kafka.tls.existingSecret=t"),
            "without console.pipeline.kafkaTlsSecret",
            id="with the workers' certificate",
        ),
        pytest.param(("kafka.reviewsTopic=",), "without kafka.reviewsTopic", id="nothing to review"),
        pytest.param(
            ("console.pipeline.webhooks.hosts={a.example}",),
            "without signingSecret",
            id="answers that anybody may send",
        ),
        pytest.param(("console.proxy.enabled=true",), "without addresses or without roles", id="a proxy of nobody"),
        pytest.param(("console.proxy.roles.leads=boss",), "/console/proxy/roles/leads", id="a role that there is not"),
        pytest.param(
            ("console.settings.STORE__URL=x",), "console.pipeline.database", id="a password among the settings"
        ),
        pytest.param(("console.pipeline.databse.url=x",), "databse", id="a typing error"),
    ],
)
def test_a_console_that_would_lose_or_overreach_is_refused(helm: Helm, sets: tuple[str, ...], said: str) -> None:
    """Before anything reaches a cluster."""
    assert said in helm.refusal(*_ON, *sets)

"""Settings: from the environment and a file, checked once, with names that cannot be misspelt in silence."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.bundles import key_pair, registry_of_two, serve
from tests.command_line import run_main
from worker.errors import SettingsError
from worker.settings.kafka import Delivery
from worker.settings.source import read_settings, setting_names
from worker.settings.worker import WorkerSettings

REPOSITORY = Path(__file__).parents[3]
SECRET = "hunter2-canary"  # noqa: S105  must not show anywhere
MINIMAL = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "broker:9092"}
SASL = MINIMAL | {
    "MODERATION_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "MODERATION_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "MODERATION_KAFKA__SASL_USERNAME": "worker",
    "MODERATION_KAFKA__SASL_PASSWORD": SECRET,
    "MODERATION_REDIS__URL": f"redis://:{SECRET}@cache:6379/0",
}


def refusal(environment: Mapping[str, str], config: Path | None = None) -> str:
    """Return the text with which settings are refused."""
    with pytest.raises(SettingsError) as caught:
        read_settings(environment, config)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def check_config(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m worker check-config`, in this process."""
    ended = run_main("worker", "check-config", *arguments, environment={"COLUMNS": "80", **environment})
    return subprocess.CompletedProcess([], ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def check_config_process(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "worker", "check-config", *arguments],
        cwd=REPOSITORY,
        env={"COLUMNS": "80", "PATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_address_is_all_that_must_be_set() -> None:
    """Every other setting has a default that is safe: exactly once, lost offsets an error."""
    settings = read_settings(MINIMAL, None)
    assert settings.kafka.delivery is Delivery.EXACTLY_ONCE
    assert settings.kafka.lost_offsets == "pause"
    assert (settings.kafka.input_topic, settings.kafka.verdict_topic) == ("chat-events", "verdicts")
    assert settings.redis.url is None


def test_without_an_address_the_missing_name_is_told() -> None:
    """The first thing everybody forgets."""
    assert "MODERATION_KAFKA__BOOTSTRAP_SERVERS" in refusal({})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A file holds what all workers share, the environment what one deployment changes."""
    path = tmp_path / "worker.toml"
    path.write_text('[kafka]\nbootstrap_servers = "file:1"\ngroup_id = "from-file"\n[batch]\nmax_records = 7\n')
    settings = read_settings(MINIMAL, path)
    assert settings.kafka.bootstrap_servers == "broker:9092"
    assert (settings.kafka.group_id, settings.batch.max_records) == ("from-file", 7)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("MODERATION_KAFKA__GROUPID", "MODERATION_KAFKA__GROUP_ID"),
        ("MODERATION_KAFKA_GROUP_ID", "MODERATION_KAFKA__GROUP_ID"),
        ("MODERATION_REDIS__UR", "MODERATION_REDIS__URL"),
        ("moderation_redis__ttl", "MODERATION_REDIS__TTL_S"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(name: str, suggestion: str) -> None:
    """pydantic-settings would pass over it: a typo in LOST_OFFSETS must not cost records."""
    text = refusal(MINIMAL | {name: "x"})
    assert f"{name}: no such setting; did you mean {suggestion}?" in text
    assert "check-config" in text


def test_a_whole_section_as_json_is_refused() -> None:
    """One way to say a thing: MODERATION_KAFKA={…} would slip past the check of the names."""
    assert "MODERATION_KAFKA: no such setting" in refusal(MINIMAL | {"MODERATION_KAFKA": '{"group_id": "x"}'})


@pytest.mark.parametrize("content", ["[kafka]\ngroupid = 1\n", "surprise = 1\n", "[kafka\n", "\udcff"])
def test_a_file_with_an_unknown_name_or_broken_syntax_is_refused(tmp_path: Path, content: str) -> None:
    """A typo in the file counts as much as one in the environment."""
    path = tmp_path / "worker.toml"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert refusal(MINIMAL, path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Not the same as no file."""
    assert "nowhere.toml" in refusal(MINIMAL, tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"KAFKA__VERDICT_TOPIC": "chat-events"}, "three different topics"),
        ({"KAFKA__SHADOW_TOPIC": "verdicts"}, "expected a topic of its own"),
        ({"BATCH__THIN_S": "2"}, "lagging_s=1.0 is below thin_s=2.0"),
        ({"KAFKA__MAX_POLL_INTERVAL_S": "1"}, "at most half"),
        ({"MODEL__TIMEOUT_S": "17"}, "stall for 153 s (9 times as long); expected at most half of kafka"),
        ({"MODEL__TIMEOUT_S": "14"}, "expected at most http.stalled_after_s=120"),
        ({"KAFKA__DELIVERY": "at_most_once"}, "MODERATION_KAFKA__DELIVERY"),
        ({"KAFKA__LOST_OFFSETS": "latest"}, "MODERATION_KAFKA__LOST_OFFSETS"),
        ({"HTTP__PORT": "99999"}, "MODERATION_HTTP__PORT"),
        ({"REDIS__TTL_S": "0"}, "MODERATION_REDIS__TTL_S"),
        ({"REDIS__URL": f"http://:{SECRET}@cache"}, "expected redis://"),
        ({"REDIS__URL": f"redis://:{SECRET}@cache:port/0"}, "expected redis://"),
        ({"REDIS__URL": ""}, "expected redis://"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_its_name_and_the_rule(
    changes: dict[str, str], complaint: str
) -> None:
    """Found at start, in words, instead of at the first batch."""
    assert complaint in refusal(MINIMAL | {f"MODERATION_{name}": value for name, value in changes.items()})


def test_all_problems_are_told_at_once() -> None:
    """Nobody likes to fix a file line by line, restart by restart."""
    text = refusal(MINIMAL | {"MODERATION_HTTP__PORT": "x", "MODERATION_REDIS__TTL_S": "y"})
    assert "MODERATION_HTTP__PORT" in text
    assert "MODERATION_REDIS__TTL_S" in text


def test_settings_cannot_be_changed() -> None:
    """Read once, frozen, passed by hand."""
    settings = read_settings(MINIMAL, None)
    with pytest.raises(ValidationError):
        settings.kafka.group_id = "other"  # type: ignore[misc]


def test_secrets_do_not_show() -> None:
    """Settings end in logs and in tickets."""
    settings: WorkerSettings = read_settings(SASL, None)
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == SECRET


def test_check_config_lists_every_setting_and_masks_secrets(bundle_path: Path) -> None:
    """An operator sees what the worker would run with, each name whole in a narrow window too."""
    answer = check_config_process(SASL | {"MODERATION_MODEL__PATH": str(bundle_path)})
    assert answer.returncode == 0, answer.stderr
    assert SECRET not in answer.stdout
    assert answer.stdout.count("(secret)") == 2
    assert all(name in answer.stdout for name in setting_names())


def test_check_config_ends_with_2_for_bad_settings_and_with_3_for_a_bad_bundle(tmp_path: Path) -> None:
    """A pipeline tells a typo from a missing model by the exit code."""
    wrong = check_config(MINIMAL | {"MODERATION_KAFKA__GROUPID": "x"})
    assert (wrong.returncode, "did you mean" in wrong.stderr) == (2, True)
    no_bundle = check_config(MINIMAL | {"MODERATION_MODEL__PATH": str(tmp_path)})
    assert (no_bundle.returncode, "manifest.json" in no_bundle.stderr) == (3, True)
    no_file = check_config(MINIMAL, "--config", str(tmp_path / "nowhere.toml"))
    assert (no_file.returncode, "nowhere.toml" in no_file.stderr) == (2, True)


def test_check_config_asks_for_the_signatures_that_the_worker_would_ask_for(bundle_path: Path, tmp_path: Path) -> None:
    """Of the live bundle and of the shadow's; a key that is none is a wrong setting, not a bad bundle."""
    registry, (private, public) = tmp_path / "registry", key_pair(tmp_path / "keys")
    registry_of_two(bundle_path, registry)
    environment = MINIMAL | {
        "MODERATION_MODEL__PATH": str(registry),
        "MODERATION_MODEL__PUBLIC_KEY_FILE": str(public),
    }
    unsigned = check_config(environment)
    assert (unsigned.returncode, "not signed" in unsigned.stderr) == (3, True)
    serve(registry, "m/1", sign_key=private)
    assert check_config(environment).returncode == 0
    shadow = check_config(environment | {"MODERATION_SHADOW__MODEL_PATH": str(bundle_path)})
    assert (shadow.returncode, "expected a registry" in shadow.stderr) == (3, True)
    wrong = check_config(environment | {"MODERATION_MODEL__PUBLIC_KEY_FILE": str(private)})
    assert (wrong.returncode, "MODERATION_MODEL__PUBLIC_KEY_FILE" in wrong.stderr) == (2, True)


def test_check_config_says_which_settings_the_consumer_protocol_leaves_unused(bundle_path: Path) -> None:
    """With KIP-848 sessions are the broker's; the setting stays, because the classic protocol needs it."""
    environment = MINIMAL | {
        "MODERATION_KAFKA__GROUP_PROTOCOL": "consumer",
        "MODERATION_KAFKA__GROUP_REMOTE_ASSIGNOR": "range",
        "MODERATION_MODEL__PATH": str(bundle_path),
    }
    answer = check_config(environment)
    assert answer.returncode == 0, answer.stderr
    assert "unused: MODERATION_KAFKA__SESSION_TIMEOUT_S" in answer.stdout
    assert "group.consumer.session.timeout.ms" in answer.stdout


def test_an_assignor_of_the_broker_without_the_consumer_protocol_is_refused() -> None:
    """It would do nothing."""
    assert "expected group_protocol=consumer" in refusal(MINIMAL | {"MODERATION_KAFKA__GROUP_REMOTE_ASSIGNOR": "range"})

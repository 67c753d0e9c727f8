"""`check-config`: what the worker would run with, or why it would not start."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from schemas import DEFAULT_POLICY
from tests.bundles import key_pair, registry_of_two, serve
from tests.command_line import run_main
from worker.settings.listing import example_file
from worker.settings.source import read_settings, setting_keys, setting_names

REPOSITORY = Path(__file__).parents[3]
SECRET = "hunter2-canary"  # noqa: S105  must not show anywhere
MINIMAL = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "broker:9092"}
SECURED = MINIMAL | {
    "MODERATION_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "MODERATION_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "MODERATION_KAFKA__SASL_USERNAME": "worker",
    "MODERATION_KAFKA__SASL_PASSWORD": SECRET,
    "MODERATION_REDIS__URL": f"redis://:{SECRET}@cache:6379/0",
}


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


def test_check_config_lists_every_setting_and_masks_secrets(bundle_path: Path) -> None:
    """Each name with its value whole on one line, in a pipe and in a window of 20 columns."""
    environment = SECURED | {"MODERATION_MODEL__PATH": str(bundle_path), "COLUMNS": "20"}
    answer = check_config_process(environment)
    assert answer.returncode == 0, answer.stderr
    assert SECRET not in answer.stdout
    assert answer.stdout.count(" = (secret)") == 2
    lines = answer.stdout.splitlines()
    assert [line.split(" = ")[0] for line in lines if line.startswith("MODERATION_")] == list(setting_names())
    assert f"MODERATION_MODEL__PATH = {bundle_path}" in lines
    assert lines[-1].startswith("ok: ")


def test_check_config_lists_every_setting_on_an_empty_environment() -> None:
    """Whoever does not know the names yet has set nothing yet."""
    answer = check_config_process({})
    assert answer.returncode == 2
    assert all(f"\n{name} = " in answer.stdout for name in setting_names())
    assert "ok:" not in answer.stdout
    assert answer.stderr.startswith("error: settings: MODERATION_KAFKA__BOOTSTRAP_SERVERS: not set")


def test_check_config_masks_credentials_that_stand_where_none_belong() -> None:
    """A bundle is no address, and whoever takes it for one has a password in it."""
    answer = check_config(MINIMAL | {"MODERATION_MODEL__PATH": f"https://user:{SECRET}@host/bundle"}, "--json")
    assert answer.returncode == 3
    assert SECRET not in answer.stdout


def test_check_config_has_a_form_for_programs(bundle_path: Path) -> None:
    """One line, complete, with the faults where there are some."""
    environment = SECURED | {"MODERATION_MODEL__PATH": str(bundle_path), "MODERATION_BATCH__MAX_RECORDS": "7"}
    answer = check_config(environment, "--json")
    assert answer.returncode == 0, answer.stderr
    assert SECRET not in answer.stdout
    found = json.loads(answer.stdout)
    assert (found["ok"], found["taxonomy"], found["calibrated"]) == (True, "chat-13 1", True)
    settings = {setting["name"]: setting for setting in found["settings"]}
    assert list(settings) == list(setting_names())
    records = settings["MODERATION_BATCH__MAX_RECORDS"]
    assert (records["key"], records["value"], records["default"]) == ("batch.max_records", 7, 1_000)
    assert settings["MODERATION_REDIS__URL"]["value"] == "(secret)"
    assert settings["MODERATION_REDIS__URL"]["is_secret"]
    refused = check_config({"MODERATION_HTTP__PORT": "x"}, "--json")
    assert refused.returncode == 2
    found = json.loads(refused.stdout)
    assert not found["ok"]
    assert [problem.split(":")[0] for problem in found["problems"]] == [
        "MODERATION_KAFKA__BOOTSTRAP_SERVERS",
        "MODERATION_HTTP__PORT",
    ]


def test_the_example_is_a_file_that_loads(tmp_path: Path) -> None:
    """As it is, and with every comment sign before a setting taken away: the defaults stand in it."""
    printed = check_config({}, "--example")
    assert (printed.returncode, printed.stdout) == (0, example_file())
    path = tmp_path / "worker.toml"
    path.write_text(printed.stdout)
    address = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "localhost:9092"}
    assert read_settings({}, path).model_dump() == read_settings(address, None).model_dump()
    lines = printed.stdout.splitlines()
    names = {key[-1] for key in setting_keys()}
    bare = [line.removeprefix("# ") if line.removeprefix("# ").split(" = ")[0] in names else line for line in lines]
    assert sum(line != other for line, other in zip(bare, lines, strict=True)) == len(list(setting_keys())) - 1
    path.write_text("\n".join(bare))
    assert read_settings({}, path).model_dump() == read_settings(address, None).model_dump()


def test_check_config_ends_with_2_for_bad_settings_and_with_3_for_a_bad_bundle(tmp_path: Path) -> None:
    """A pipeline tells a typo from a missing model by the exit code."""
    wrong = check_config(MINIMAL | {"MODERATION_KAFKA__GROUPID": "x"})
    assert (wrong.returncode, "did you mean" in wrong.stderr) == (2, True)
    no_bundle = check_config(MINIMAL | {"MODERATION_MODEL__PATH": str(tmp_path)})
    assert (no_bundle.returncode, "manifest.json" in no_bundle.stderr) == (3, True)
    no_file = check_config(MINIMAL, "--config", str(tmp_path / "nowhere.toml"))
    assert (no_file.returncode, "nowhere.toml" in no_file.stderr) == (2, True)


def test_check_config_refuses_a_policy_whose_holds_have_no_topic(tmp_path: Path) -> None:
    """It must not say ok of what the worker refuses at its start."""
    policy = tmp_path / "policy.json"
    policy.write_text(DEFAULT_POLICY.model_copy(update={"hold_block_s": 60.0}).model_dump_json(exclude_defaults=True))
    environment = MINIMAL | {"MODERATION_MODEL__POLICY_PATH": str(policy)}
    refused = check_config(environment)
    assert (refused.returncode, "MODERATION_KAFKA__STATE_TOPIC" in refused.stderr) == (3, True)
    assert check_config(environment | {"MODERATION_KAFKA__STATE_TOPIC": "verdict-state"}).returncode == 0


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

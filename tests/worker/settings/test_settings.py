"""Settings: from the environment and a file, checked once, with names that cannot be misspelt in silence."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

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


def test_an_address_is_all_that_must_be_set() -> None:
    """Every other setting has a default that is safe: exactly once, lost offsets an error."""
    settings = read_settings(MINIMAL, None)
    assert settings.kafka.delivery is Delivery.EXACTLY_ONCE
    assert settings.kafka.lost_offsets == "pause"
    assert (settings.kafka.input_topic, settings.kafka.verdict_topic) == ("chat-events", "verdicts")
    assert settings.redis.url is None


def test_without_an_address_the_missing_name_is_told() -> None:
    """The first thing everybody forgets."""
    text = refusal({})
    assert text.startswith("MODERATION_KAFKA__BOOTSTRAP_SERVERS: not set; expected host:port")
    assert "bootstrap_servers under [kafka] in the file of --config" in text


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


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[kafka]\ngroupid = 1\n", "worker.toml:2: kafka.groupid: no such setting; did you mean kafka.group_id?"),
        ("\n[kafak]\ngroup_id = 1\n", "worker.toml:2: kafak: no such setting; did you mean [kafka]?"),
        ("[kafka]\n\nurl = 1\n", "worker.toml:3: kafka.url: no such setting; did you mean redis.url?"),
        ("ttl_s = 1\n", "worker.toml:1: ttl_s: no such setting; did you mean redis.ttl_s?"),
        ("MODERATION_KAFKA__GROUP_ID = 1\n", "did you mean kafka.group_id?"),
        ("[Redis]\nurl = 1\n", "worker.toml:1: Redis: no such setting; did you mean [redis]?"),
        ("surprise = 1\n", "worker.toml:1: surprise: no such setting"),
        ("kafka = 1\n", "worker.toml:1: kafka: expected a section, [kafka]"),
        ("[kafka.inner]\nx = 1\n", "worker.toml:1: kafka.inner: no such setting"),
        ("[kafka\n", "worker.toml:1: not a readable TOML file"),
        ("[batch]\nmax_records = 0\n", "MODERATION_BATCH__MAX_RECORDS: Input should be greater than 0; found 0 ("),
        ("[batch]\nmax_records = 0\n", "worker.toml:2)"),
        ("[http]\nport = true\n", "MODERATION_HTTP__PORT: found true or false; expected a number or a text"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line(tmp_path: Path, content: str, complaint: str) -> None:
    """A typo in the file counts as much as one in the environment."""
    path = tmp_path / "worker.toml"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert complaint in refusal(MINIMAL, path)


def test_typos_of_file_and_environment_are_told_together(tmp_path: Path) -> None:
    """With the command that lists the names."""
    path = tmp_path / "worker.toml"
    path.write_text("[kafka]\ngroupid = 1\ntopic = 2\n")
    text = refusal(MINIMAL | {"MODERATION_REDIS__UR": "x"}, path)
    assert text.count("no such setting") == 3
    assert text.endswith("; `python -m worker check-config` lists every setting")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "worker.toml"
    path.write_text('[kafka]\ngroup_id = "mine"\n', encoding="utf-8-sig")
    assert read_settings(MINIMAL, path).kafka.group_id == "mine"


def test_empty_means_not_set(tmp_path: Path) -> None:
    """A template that knows no value renders an empty text: an empty path is no folder, and no shadow."""
    names = [name for name in setting_names() if name not in MINIMAL]
    unset = read_settings(MINIMAL, None).model_dump()
    assert read_settings(MINIMAL | dict.fromkeys(names, ""), None).model_dump() == unset
    path = tmp_path / "worker.toml"
    path.write_text('[model]\npath = ""\n[shadow]\nmodel_path = ""\n[redis]\nurl = ""\npassword = ""\n')
    assert read_settings(MINIMAL, path).model_dump() == unset
    path.write_text('[kafka]\ngroup_id = "mine"\n')
    assert read_settings(MINIMAL | {"MODERATION_KAFKA__GROUP_ID": ""}, path).kafka.group_id == "mine"
    assert "MODERATION_KAFKA__BOOTSTRAP_SERVERS: not set" in refusal({"MODERATION_KAFKA__BOOTSTRAP_SERVERS": ""})
    assert "MODERATION_KAFKA__GROUPID: no such setting" in refusal(MINIMAL | {"MODERATION_KAFKA__GROUPID": ""})


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Not the same as no file."""
    assert "nowhere.toml" in refusal(MINIMAL, tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"KAFKA__VERDICT_TOPIC": "chat-events"}, "three different topics"),
        ({"KAFKA__SHADOW_TOPIC": "verdicts"}, "expected a topic of its own"),
        ({"BATCH__THIN_S": "2"}, "lagging_s=1.0 is below thin_s=2.0"),
        ({"KAFKA__MAX_POLL_INTERVAL_S": "1", "KAFKA__SESSION_TIMEOUT_S": "1"}, "at most half"),
        ({"MODEL__TIMEOUT_S": "17"}, "stall for 153 s (9 times as long); expected at most half of kafka"),
        ({"MODEL__TIMEOUT_S": "14"}, "expected at most http.stalled_after_s=120"),
        ({"KAFKA__DELIVERY": "at_most_once"}, "MODERATION_KAFKA__DELIVERY"),
        ({"KAFKA__LOST_OFFSETS": "latest"}, "MODERATION_KAFKA__LOST_OFFSETS"),
        ({"HTTP__PORT": "99999"}, "MODERATION_HTTP__PORT"),
        ({"REDIS__TTL_S": "0"}, "MODERATION_REDIS__TTL_S"),
        ({"REDIS__URL": f"http://:{SECRET}@cache"}, "expected redis://"),
        ({"REDIS__URL": f"redis://:{SECRET}@cache:port/0"}, "expected redis://"),
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


def test_an_assignor_of_the_broker_without_the_consumer_protocol_is_refused() -> None:
    """It would do nothing."""
    assert "expected group_protocol=consumer" in refusal(MINIMAL | {"MODERATION_KAFKA__GROUP_REMOTE_ASSIGNOR": "range"})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KAFKA__CLOUDEVENTS_SOURCE", "a b", "expected a URI reference of printable ASCII"),
        ("LISTS__USER_FIELD", "context..user", "expected names of ASCII letters"),
        ("REDIS__KEY_PREFIX", "a/b", "expected 1 to 64 ASCII letters"),
    ],
)
def test_a_text_of_another_form_is_refused_in_words(name: str, value: str, told: str) -> None:
    """A regular expression is no advice; and every pattern has its words."""
    text = refusal(MINIMAL | {f"MODERATION_{name}": value})
    assert f"MODERATION_{name}: is of another form; {told}" in text


@pytest.mark.parametrize("endpoint", ["http://collector:4318", "https://collector:4318/"])
def test_a_collector_without_the_path_of_its_traces_is_refused(endpoint: str) -> None:
    """It would answer 404 to every span, and nobody would see one."""
    text = refusal(MINIMAL | {"MODERATION_TRACING__ENDPOINT": endpoint})
    assert "endpoint has no path" in text
    assert "http://HOST:4318/v1/traces" in text

"""Every setting with odd values: refused by its name, or the clients take it too.

Driven by the list of fields, so that a new setting is tried by itself.
"""

import math
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from annotated_types import Ge, Gt, Le, Lt
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from pydantic import BaseModel

from model.inference.onnx_runtime import ort
from schemas.file_faults import Key
from worker.cache.connection import connect
from worker.errors import SettingsError
from worker.kafka.config import best_effort_config, client_config, consumer_config, producer_config
from worker.settings.kafka import KafkaSettings
from worker.settings.source import field_of, read_settings, setting_keys, variable
from worker.settings.worker import WorkerSettings

ADDRESS = "127.0.0.1:1"
NEEDED = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": ADDRESS}
KEYS = list(setting_keys())
CANARY = "c4n4ry"

ODD_TEXTS = (
    " ",
    "\t",
    "x\r",
    "x\n",
    " x",
    "x ",
    "'x'",
    '"x"',
    "a b",
    "a,b",
    "ü",
    "\u2028",
    "\ud7ff\U0001f600",
    "x" * 300,
    "x" * 70_000,
    "..",
    "/",
    "true",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "0.5",
    "1e-9",
    "400",
    "3e9",
    "1e300",
    "9" * 30,
    "10s",
    "5MB",
    "1,000",
    "0x10",
    f"user:{CANARY}@host:1",
    f"redis://:{CANARY}/1@cache",
)
"""As an environment holds them."""

ODD_VALUES: tuple[Any, ...] = (
    True,
    False,
    -1,
    0,
    0.5,
    400,
    2**31,
    2**63,
    10**30,
    math.inf,
    -math.inf,
    math.nan,
    "a\0b",
    [],
    {},
    [1],
)
"""As a TOML file holds them."""


def ends_of(key: Key) -> Iterator[float]:
    """Yield the first and the last number that a setting takes, and the next ones outside."""
    for rule in field_of(key).metadata:
        match rule:
            case Ge(ge=end) | Le(le=end):
                yield from (end, end - 1, end + 1)  # type: ignore[operator, misc]
            case Gt(gt=end) | Lt(lt=end):
                yield from (end, end + 1e-9, end - 1)  # type: ignore[operator, misc]


def refuses_by_name(key: Key, error: SettingsError) -> bool:
    """Say whether the text names the setting, as a variable or, where rules of several meet, as a field."""
    text = str(error)
    return variable(key) in text or key[-1] in text


@cache
def taken_by_librdkafka(properties: bytes) -> None:
    """Make the clients of a worker and close them again; they connect to nothing."""
    for name, config in orjson.loads(properties).items():
        quiet = config | {"log_level": 0}
        if name == "consumer":
            Consumer(quiet).close()
        else:
            Producer(quiet)


def check_kafka(kafka: KafkaSettings) -> None:
    """Hand settings to librdkafka as a worker does."""
    configs = {
        "consumer": consumer_config(kafka),
        "transactional": producer_config(kafka, transactional_id="x", max_message_bytes=1_000_000),
        "idempotent": producer_config(kafka, transactional_id=None, max_message_bytes=1_000_000),
        "best_effort": best_effort_config(kafka),
    }
    taken_by_librdkafka(orjson.dumps(configs, option=orjson.OPT_SORT_KEYS))
    # Whole milliseconds in 32 bits, of a call that waits; for requests of the admin client an hour at most.
    for seconds in (kafka.request_timeout_s, kafka.unreachable_exit_s):
        assert 0 <= round(seconds * 1_000) < 2**31
    taken_by_the_admin_client(kafka.request_timeout_s)


@cache
def taken_by_the_admin_client(seconds: float) -> None:
    """Ask with this time-out."""
    admin_client().describe_configs([ConfigResource(ResourceType.TOPIC, "x")], request_timeout=seconds)


@cache
def admin_client() -> AdminClient:
    """Return a client that connects to nothing."""
    return AdminClient(client_config(KafkaSettings(bootstrap_servers=ADDRESS)) | {"log_level": 0})


def check_clients(settings: WorkerSettings) -> None:
    """Hand settings to every library as a worker does."""
    check_kafka(settings.kafka)
    if settings.redis.url is not None:
        connect(settings.redis).connection_pool.make_connection()
    assert 0 < settings.redis.ttl_s * 1_000 < 2**53
    ort.SessionOptions().intra_op_num_threads = settings.model.n_threads
    for seconds in times_of(settings):
        assert 0 <= seconds <= threading.TIMEOUT_MAX


def times_of(section: Any) -> Iterator[float]:
    """Yield every time of the settings, seconds."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from times_of(value)
        elif name.endswith("_s"):
            yield value


def tried(key: Key, environment: dict[str, str], file: Path | None) -> bool:
    """Return whether a value was accepted; whatever was, the clients take."""
    try:
        settings = read_settings(environment, file)
    except SettingsError as error:
        assert refuses_by_name(key, error), str(error)  # noqa: PT017  most values are refused
        assert CANARY not in f"{error}{error.__cause__}"  # noqa: PT017
        return False
    check_clients(settings)
    return True


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_an_odd_value_of_a_variable_is_refused_by_name_or_taken_by_the_clients(key: Key) -> None:
    """`check-config` must not say ok of what a worker ends with, or waits for ever with."""
    for text in (*ODD_TEXTS, *map(str, ends_of(key))):
        tried(key, NEEDED | {variable(key): text}, None)


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_an_odd_value_of_a_file_is_refused_by_name_or_taken_by_the_clients(key: Key, tmp_path: Path) -> None:
    """A file holds what a variable cannot: other types, and NUL, at which librdkafka would cut."""
    path = tmp_path / "worker.toml"
    environment = {name: value for name, value in NEEDED.items() if name != variable(key)}
    for value in (*ODD_VALUES, *ends_of(key)):
        written = orjson.dumps(value).decode() if not isinstance(value, float | int) else str(value)
        line = f"{key[-1]} = {written.lower() if isinstance(value, bool) else written}\n"
        path.write_text(f"[{key[0]}]\n{line}" if len(key) > 1 else line)
        was_accepted = tried(key, environment, path)
        assert not (was_accepted and isinstance(value, bool | list | dict)), value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA__TRANSACTION_TIMEOUT_S", ".5"),
        ("KAFKA__TRANSACTION_TIMEOUT_S", "inf"),
        ("KAFKA__SESSION_TIMEOUT_S", "400"),
        ("KAFKA__PREFETCH_MAX_BYTES", "3000000000"),
        ("KAFKA__REQUEST_TIMEOUT_S", "1e9"),
        ("KAFKA__BOOTSTRAP_SERVERS", "broker:99999"),
        ("KAFKA__BOOTSTRAP_SERVERS", "broker:-1"),
        ("KAFKA__BOOTSTRAP_SERVERS", "http://broker:9092"),
        ("KAFKA__BOOTSTRAP_SERVERS", "SSL://broker:9092"),
        ("KAFKA__BOOTSTRAP_SERVERS", ","),
        ("KAFKA__BOOTSTRAP_SERVERS", f"user:{CANARY}@broker:9092"),
        ("REDIS__TTL_S", "99999999999999999"),
        ("REDIS__BREAKER_OPEN_S", "inf"),
        ("MODEL__N_THREADS", "3000000000"),
        ("MODEL__RELOAD_INTERVAL_S", "inf"),
        ("SHUTDOWN_GRACE_S", "1e300"),
        ("SHADOW__MODEL_PATH", " "),
    ],
)
def test_what_a_client_refuses_or_misreads_is_refused_before(name: str, value: str) -> None:
    """Each went through, and ended the worker with exit code 1, or let it wait, or was read as something else."""
    with pytest.raises(SettingsError) as caught:
        read_settings(NEEDED | {f"MODERATION_{name}": value}, None)
    assert name.rpartition("__")[2].lower() in str(caught.value).lower()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", ["chat events", "'chat-events'", '"chat-events"', "chat-events\r", "a/b", "ü", ".."])
def test_a_name_that_no_topic_can_have_is_shown_as_it_is(name: str) -> None:
    """A line end that a file left shows in no other form; the brokers' answer is that the topic is not there."""
    for topic in ("INPUT", "VERDICT", "DEAD_LETTER", "REPLAY", "CHANGES", "SHADOW"):
        with pytest.raises(SettingsError) as caught:
            read_settings(NEEDED | {f"MODERATION_KAFKA__{topic}_TOPIC": name}, None)
        assert f"MODERATION_KAFKA__{topic}_TOPIC: {name!r} is no topic's name" in str(caught.value)


def test_the_client_does_refuse_what_is_past_the_ends() -> None:
    """The ends are librdkafka's and not ours alone."""
    settings = KafkaSettings(bootstrap_servers=ADDRESS)
    for update in (
        {"transaction_timeout_s": 0.5},
        {"session_timeout_s": 3_601.0, "max_poll_interval_s": 86_400.0},
        {"session_timeout_s": 301.0},
        {"max_poll_interval_s": 86_401.0},
        {"prefetch_max_bytes": 2_147_483_136},
        {"partition_fetch_max_bytes": 1_000_000_001},
    ):
        with pytest.raises((KafkaException, ValueError)):
            check_kafka(settings.model_copy(update=update))


def test_addresses_are_cleaned_of_blanks_and_empty_parts() -> None:
    """A list that is broken over lines of a template has both."""
    environment = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "a:1, b:2,,\n[::1]:3,PLAINTEXT://c,\n"}
    assert read_settings(environment, None).kafka.bootstrap_servers == "a:1,b:2,[::1]:3,PLAINTEXT://c"

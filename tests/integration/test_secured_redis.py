"""Redis behind TLS with an ACL user: the least rights suffice, and a refusal is told while the verdicts go on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
import structlog
from pydantic import SecretStr

from deploy.local import LocalStack
from deploy.local.ports import LOOPBACK
from testkit.waiting import wait_until
from tests.integration.certificates import Certificates
from tests.integration.conftest import StartWorker, every_redis
from tests.integration.ledger import LiveLedger
from tests.integration.tls_proxy import TlsProxy
from tests.integration.workers import run_command
from worker.cache.connection import connect
from worker.cache.errors import ACL_RULES, remedy
from worker.cache.values import cache_key
from worker.cache.verdict_cache import DELETE_SCRIPT, READ_SCRIPT, SCRIPT, RedisVerdictCache
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings

pytestmark = [pytest.mark.services, *every_redis]

SECRET = "hunter2-canary-51c0"  # noqa: S105  must not show anywhere
EXIT_CACHE_AWAY = 6


class Secured(NamedTuple):
    """A Redis with TLS and a user, and how a worker reaches it."""

    settings: dict[str, str]
    certificates: Certificates
    admin: "redis.Redis"


@pytest.fixture
def secured_redis(stack: LocalStack, cache: "redis.Redis", tmp_path: Path) -> Iterator[Secured]:
    """Return a Redis that asks for a client certificate and a password; the password comes from a file."""
    certificates = Certificates(tmp_path)
    proxy = TlsProxy(certificates.server_context(ask_for_client=True), stack.redis.port)
    cache.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{SECRET}", *ACL_RULES)
    password = tmp_path / "password"
    password.write_text(f"{SECRET}\n")
    pair = certificates.client("worker", password=SECRET)
    yield Secured(
        {
            "REDIS__URL": f"rediss://{LOOPBACK}:{proxy.port}/0",
            "REDIS__USERNAME": "worker",
            "REDIS__PASSWORD_FILE": str(password),
            "REDIS__SSL_CA_LOCATION": str(certificates.ca),
            "REDIS__SSL_CERTIFICATE_LOCATION": str(pair.certificate),
            "REDIS__SSL_KEY_LOCATION": str(pair.key),
            "REDIS__SSL_KEY_PASSWORD_FILE": str(password),
            # The proxy is Python and shares two cores with everything else.
            "REDIS__TIMEOUT_S": "2",
        },
        certificates,
        cache,
    )
    cache.execute_command("ACL", "DELUSER", "worker")
    proxy.close()


def test_the_cache_works_over_tls_with_the_least_rights(
    secured_redis: Secured, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Look-ups, compare-and-set writes and evictions, by a user that may touch verdicts and nothing else."""
    worker = start_worker(**secured_redis.settings, LOG__LEVEL="debug")
    ledger.send(sample_chats[:10])
    ledger.wait_complete()
    ledger.send(sample_chats[:10])
    ledger.wait_complete()
    assert sum(verdict.cache_hit for verdict in ledger.verdicts().values()) == 10
    assert secured_redis.admin.exists(*(f"verdict:{chat['chat_id']}" for chat in sample_chats[:10])) == 10
    assert not worker.events("cache_refused")
    assert worker.stop() == 0
    assert SECRET not in worker.log_path.read_text()


def another_password(secured: Secured) -> dict[str, str]:
    """Change the password behind the worker's back."""
    secured.admin.execute_command("ACL", "SETUSER", "worker", "resetpass", f">{SECRET}-changed")
    return {}


def another_ca(secured: Secured) -> dict[str, str]:
    """Trust somebody else."""
    return {"REDIS__SSL_CA_LOCATION": str(secured.certificates.other_ca)}


def stranger(secured: Secured) -> dict[str, str]:
    """Show a certificate of another CA."""
    pair = secured.certificates.client("stranger", known=False, password=SECRET)
    return {
        "REDIS__SSL_CERTIFICATE_LOCATION": str(pair.certificate),
        "REDIS__SSL_KEY_LOCATION": str(pair.key),
    }


def fewer_rights(secured: Secured) -> dict[str, str]:
    """Take a command away."""
    secured.admin.execute_command("ACL", "SETUSER", "worker", "-get")
    return {}


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        (another_password, "check MODERATION_REDIS__USERNAME"),
        (another_ca, "check the certificates"),
        (stranger, "check the certificates"),
        (fewer_rights, "expected an ACL user with"),
    ],
)
def test_a_redis_that_refuses_is_told_at_start_and_costs_no_verdict(  # noqa: PLR0917  fixtures
    changed: Callable[[Secured], dict[str, str]],
    remedy: str,
    secured_redis: Secured,
    ledger: LiveLedger,
    start_worker: StartWorker,
    settings: dict[str, str],
    sample_chats: list[dict[str, Any]],
) -> None:
    """A cache is optional (law 4): the worker says what to check and goes on; `show`, which needs it, ends with 6."""
    found = secured_redis.settings | changed(secured_redis)
    worker = start_worker(**found, LOG__LEVEL="debug")
    assert remedy in worker.wait_for("cache_refused")["remedy"]
    ledger.send(sample_chats[:3])
    ledger.wait_complete()
    assert worker.stop() == 0
    shown = run_command("show", "chat", settings=settings | {f"MODERATION_{name}": found[name] for name in found})
    assert (shown.returncode, remedy in shown.stderr) == (EXIT_CACHE_AWAY, True)
    assert SECRET not in worker.log_path.read_text() + shown.stdout + shown.stderr


def test_a_password_that_changes_in_its_file_too_costs_no_restart(
    secured_redis: Secured, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F19: open connections stay; the next one shows what the file holds by then, and verdicts are cached again."""
    # The key's password stands in the same file; this worker shows no key.
    plain = {name: value for name, value in secured_redis.settings.items() if "SSL" not in name}
    host, port = (secured_redis.admin.connection_pool.connection_kwargs[name] for name in ("host", "port"))
    worker = start_worker(**plain | {"REDIS__URL": f"redis://{host}:{port}/0"})
    ledger.send(sample_chats[:3])
    ledger.wait_complete()
    secured_redis.admin.execute_command("ACL", "SETUSER", "worker", "resetpass", f">{SECRET}-changed")
    Path(secured_redis.settings["REDIS__PASSWORD_FILE"]).write_text(f"{SECRET}-changed\n")
    secured_redis.admin.client_kill_filter(_type="normal", skipme=True)
    ledger.send(sample_chats[:6])
    ledger.wait_complete()
    keys = [f"verdict:{chat['chat_id']}" for chat in sample_chats[:6]]
    wait_until(lambda: secured_redis.admin.exists(*keys) == len(keys), timeout_s=30, what=worker.tail)
    assert not worker.events("cache_refused")
    assert worker.stop() == 0
    assert SECRET not in worker.log_path.read_text()


def test_the_worker_asks_for_no_right_that_is_not_on_the_list(stack: LocalStack, cache: "redis.Redis") -> None:
    """Redis 7.0 does not take a right for a command that it does not know, so a list with one cannot be set there."""
    cache.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{SECRET}", *ACL_RULES)
    cache.script_flush()
    cache.acl_log_reset()
    settings = RedisSettings(url=SecretStr(stack.redis_url), username="worker", password=SecretStr(SECRET), timeout_s=2)
    try:
        use(settings)
        assert cache.acl_log() == []
    finally:
        cache.execute_command("ACL", "DELUSER", "worker")


def test_a_look_up_without_the_right_to_read_is_told_and_not_taken_for_empty(
    stack: LocalStack, cache: "redis.Redis"
) -> None:
    """The read script passes errors of single keys on; a missing right would read as a cache of strange values."""
    cache.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{SECRET}", *ACL_RULES, "-get")
    settings = RedisSettings(url=SecretStr(stack.redis_url), username="worker", password=SecretStr(SECRET), timeout_s=2)
    verdicts = RedisVerdictCache(connect(settings), settings, Metrics())
    try:
        with structlog.testing.capture_logs() as lines:
            assert verdicts.get_many(["chat"]) == {}
    finally:
        cache.execute_command("ACL", "DELUSER", "worker")
    assert [(line["event"], "expected an ACL user with" in line["remedy"]) for line in lines] == [
        ("cache_refused", True)
    ]


def use(settings: RedisSettings) -> None:
    """Look up, write and evict as the worker and `show` do, but let errors through."""
    client = connect(settings)
    client.get(cache_key("chat"))
    client.register_script(READ_SCRIPT.read_text())([cache_key("chat")], [100])
    client.register_script(DELETE_SCRIPT.read_text())([cache_key("chat")], [b"{}"])
    script = client.register_script(SCRIPT.read_text())
    for ttl_s in (60, 0):
        script([cache_key("chat")], [100, ttl_s, b"{}"])
    client.close()


@pytest.mark.parametrize("missing", [rule for rule in ACL_RULES if rule != "~verdict:*"])
def test_every_right_of_the_list_is_needed(missing: str, stack: LocalStack, cache: "redis.Redis") -> None:
    """By a look-up, a write and an eviction, or by `show`."""
    rules = [rule for rule in ACL_RULES if rule != missing]
    cache.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{SECRET}", *rules)
    cache.script_flush()
    settings = RedisSettings(url=SecretStr(stack.redis_url), username="worker", password=SecretStr(SECRET), timeout_s=2)
    try:
        with pytest.raises(redis.ResponseError) as caught:
            use(settings)
        assert "expected an ACL user with" in str(remedy(caught.value))
        cache.execute_command("ACL", "SETUSER", "worker", missing)
        use(settings)
    finally:
        cache.execute_command("ACL", "DELUSER", "worker")

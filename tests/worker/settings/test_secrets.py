"""No secret in any output, whatever it looks like."""

import contextlib
import io
from typing import Final

import pytest
import structlog
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.__main__ import app
from worker.errors import Fatal, SettingsError
from worker.kafka.probe import open_admin
from worker.process import logs
from worker.settings.source import read_settings

CANARY: Final = "c4n4ry"
SECRETS: Final = (
    "KAFKA__SASL_PASSWORD",
    "KAFKA__OAUTH_CLIENT_SECRET",
    "KAFKA__SSL_KEY_PASSWORD",
    "REDIS__PASSWORD",
    "REDIS__URL",
    "REDIS__SSL_KEY_PASSWORD",
)
OTHERS: Final = {
    "KAFKA__SECURITY_PROTOCOL": ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT", "nonsense"),
    "KAFKA__SASL_MECHANISM": ("PLAIN", "SCRAM-SHA-512", "OAUTHBEARER", "nonsense"),
    "KAFKA__SASL_USERNAME": ("worker", ""),
    "KAFKA__OAUTH_TOKEN_URL": ("https://127.0.0.1:9/token", "nonsense", f"https://u:{CANARY}@h/"),
    "KAFKA__OAUTH_CLIENT_ID": ("worker",),
    "HTTP__PORT": ("x",),
}

odd_text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)
secrets = st.builds("{}".format, odd_text.map(lambda text: f"{text}{CANARY}{text}"))
environments = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(SECRETS, secrets) | {name: st.sampled_from(values) for name, values in OTHERS.items()},
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(environment=environments)
def test_a_secret_occurs_in_no_refusal_and_in_no_form_of_the_settings(environment: dict[str, str]) -> None:
    """Wrong settings end in tickets, right ones in logs: str, repr, JSON, a traceback's chain."""
    variables = {f"MODERATION_{name}": value for name, value in environment.items()}
    try:
        found = read_settings(variables | {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}, None)
    except SettingsError as error:
        shown = f"{error}{error!r}{error.__cause__!r}{'' if error.__suppress_context__ else error.__context__!r}"
    else:
        shown = f"{found}{found!r}{found.model_dump_json()}{found.kafka!r}{found.redis!r}"
    assert CANARY not in shown


@pytest.mark.usefixtures("default_logging_after")
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_a_secret_occurs_in_no_log_of_a_connection_that_fails(
    level: str, mechanism: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """At every verbosity, with the client library's own lines."""
    kafka = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": mechanism, "REQUEST_TIMEOUT_S": "0.2"}
    if mechanism == "OAUTHBEARER":
        kafka |= {"OAUTH_TOKEN_URL": "https://127.0.0.1:9/token", "OAUTH_CLIENT_ID": "worker"}
        kafka |= {"OAUTH_CLIENT_SECRET": CANARY}
    else:
        kafka |= {"SASL_USERNAME": "worker", "SASL_PASSWORD": CANARY}
    environment = {f"MODERATION_KAFKA__{name}": value for name, value in kafka.items()}
    found = read_settings(environment | {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}, None)
    logs.configure(level)
    try:
        with pytest.raises(Fatal) as caught:
            open_admin(found.kafka)
        structlog.get_logger().error("worker_fatal", error=str(caught.value), settings=repr(found))
        structlog.get_logger().error("worker_crashed", exc_info=caught.value)
    finally:
        logs.drain()
    captured = capfd.readouterr()
    assert "worker_fatal" in captured.err
    assert CANARY not in captured.err + captured.out


def test_check_config_masks_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them in one table, each as (secret)."""
    scram = {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_MECHANISM": "PLAIN", "KAFKA__SASL_USERNAME": "worker"}
    redis = {"REDIS__URL": f"rediss://worker:{CANARY}@cache/0", "REDIS__SIGNING_KEY": CANARY * 6}
    variables = scram | redis | {"KAFKA__SASL_PASSWORD": CANARY, "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    for name, value in variables.items():
        monkeypatch.setenv(f"MODERATION_{name}", value)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        typer.main.get_command(app)(["check-config"])
    assert out.getvalue().count("(secret)") == 3
    assert CANARY not in out.getvalue()

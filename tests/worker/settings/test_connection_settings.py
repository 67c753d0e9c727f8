"""Connection settings: what is set is used, or refused in words at the start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model.bundle import signature
from tests.bundles import key_pair
from tests.integration.certificates import Certificates
from worker.cache.connection import connect
from worker.errors import SettingsError
from worker.settings.source import read_settings, usable_settings

SECRET = "hunter2-canary"  # noqa: S105  must not show anywhere
ADDRESS = {"KAFKA__BOOTSTRAP_SERVERS": "broker:9092"}
SCRAM = {
    "KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA__SASL_USERNAME": "worker",
    "KAFKA__SASL_PASSWORD": SECRET,
}
OAUTH = {
    "KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA__SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA__OAUTH_TOKEN_URL": "https://issuer.example/token",
    "KAFKA__OAUTH_CLIENT_ID": "worker",
    "KAFKA__OAUTH_CLIENT_SECRET": SECRET,
}


def environment(*parts: Mapping[str, str]) -> dict[str, str]:
    """Return MODERATION_ variables."""
    merged = {name: value for part in (ADDRESS, *parts) for name, value in part.items()}
    return {f"MODERATION_{name}": value for name, value in merged.items()}


def refusal(*parts: Mapping[str, str]) -> str:
    """Return the text with which settings, or the files they name, are refused."""
    with pytest.raises(SettingsError) as caught:
        usable_settings(environment(*parts), None)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def less(settings: Mapping[str, str], name: str) -> dict[str, str]:
    """Return settings without one."""
    return {key: value for key, value in settings.items() if key != name}


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([{"KAFKA__SECURITY_PROTOCOL": "SASL_SSL"}], "needs sasl_mechanism"),
        ([less(SCRAM, "KAFKA__SASL_PASSWORD")], "found no sasl_password"),
        ([less(SCRAM, "KAFKA__SASL_USERNAME")], "found no sasl_username"),
        ([less(OAUTH, "KAFKA__OAUTH_TOKEN_URL")], "found no oauth_token_url"),
        ([less(OAUTH, "KAFKA__OAUTH_CLIENT_SECRET")], "found no oauth_client_secret"),
        ([OAUTH, {"KAFKA__SASL_PASSWORD": SECRET}], "sasl_password: set, but sasl_mechanism=OAUTHBEARER"),
        ([SCRAM, {"KAFKA__OAUTH_CA_LOCATION": "/ca"}], "oauth_ca_location: set, but sasl_mechanism=SCRAM-SHA-512"),
        ([{"KAFKA__SASL_PASSWORD": SECRET}], "security_protocol=PLAINTEXT would not use it"),
        ([SCRAM, {"KAFKA__SECURITY_PROTOCOL": "SSL"}], "expected SASL_SSL or SASL_PLAINTEXT"),
        ([{"KAFKA__SSL_CA_LOCATION": "/ca"}], "expected SSL or SASL_SSL"),
        ([SCRAM, {"KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA__SSL_CA_LOCATION": "/ca"}], "ssl_ca_location"),
        ([{"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_KEY_LOCATION": "/k"}], "belong together"),
        ([{"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_KEY_PASSWORD": SECRET}], "without ssl_key_location"),
        ([OAUTH, {"KAFKA__OAUTH_TOKEN_URL": "http://issuer.example/token"}], "in the clear"),
        ([OAUTH, {"KAFKA__OAUTH_TOKEN_URL": f"https://worker:{SECRET}@issuer.example/token"}], "holds credentials"),
        ([OAUTH, {"KAFKA__OAUTH_TOKEN_URL": "issuer.example"}], "not a token endpoint"),
        ([SCRAM, {"KAFKA__SASL_MECHANISM": "GSSAPI"}], "MODERATION_KAFKA__SASL_MECHANISM"),
        ([SCRAM, {"KAFKA__SASL_PASSWORD": " "}], "sasl_password is empty"),
        ([SCRAM, {"KAFKA__SASL_PASSWORD": ""}], "found no sasl_password"),
        ([SCRAM, {"KAFKA__SASL_PASSWORD_FILE": "/x"}], "both set"),
        ([{"REDIS__PASSWORD": SECRET}], "set without url"),
        ([{"REDIS__URL": f"redis://:{SECRET}@c", "REDIS__PASSWORD": SECRET}], "drop one"),
        ([{"REDIS__URL": "redis://c", "REDIS__USERNAME": "u"}], "without password"),
        ([{"REDIS__URL": "redis://c", "REDIS__SSL_CA_LOCATION": "/ca"}], "expected rediss://"),
        ([{"REDIS__URL": "rediss://c", "REDIS__SSL_KEY_LOCATION": "/k"}], "belong together"),
        ([{"REDIS__URL": "rediss://c", "REDIS__SSL_KEY_PASSWORD": SECRET}], "without ssl_key_location"),
        ([{"REDIS__SIGNING_KEY": SECRET}], "openssl rand -hex 32"),
        ([{"REDIS__SIGNING_KEY": f"{SECRET * 3}\n{SECRET}"}], "at least 32 characters"),
        ([{"REDIS__SIGNING_KEY": f"{SECRET * 3}\n" * 3}], "two during a rotation"),
        ([{"REDIS__KEY_PREFIX": "verdict*"}], "MODERATION_REDIS__KEY_PREFIX"),
    ],
)
def test_what_the_chosen_protocol_would_pass_over_or_lacks_is_refused(
    parts: list[dict[str, str]], complaint: str
) -> None:
    """Whoever sets a password believes that it is asked for."""
    assert complaint in refusal(*parts)


def test_secrets_come_from_files_without_the_line_end_that_editors_add(tmp_path: Path) -> None:
    """As Kubernetes and Docker mount them."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    scram = less(SCRAM, "KAFKA__SASL_PASSWORD") | {"KAFKA__SASL_PASSWORD_FILE": str(path)}
    kafka = read_settings(environment(scram), None).kafka
    assert kafka.sasl_password is not None
    assert kafka.sasl_password.get_secret_value() == SECRET


def test_a_secret_is_read_without_what_editors_and_echo_leave(tmp_path: Path) -> None:
    """A byte order mark in a file, and a line end in a variable that a Kubernetes Secret made by `echo` gives."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\r\n", encoding="utf-8-sig")
    from_file = less(SCRAM, "KAFKA__SASL_PASSWORD") | {"KAFKA__SASL_PASSWORD_FILE": str(path)}
    for scram in (from_file, SCRAM | {"KAFKA__SASL_PASSWORD": f"{SECRET}\n"}):
        password = read_settings(environment(scram), None).kafka.sasl_password
        assert password is not None
        assert password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"KAFKA__SASL_PASSWORD": f"{SECRET}\n{SECRET}"}, "MODERATION_KAFKA__SASL_PASSWORD: holds several lines"),
        ({"KAFKA__SASL_PASSWORD": f"\n{SECRET}"}, "MODERATION_KAFKA__SASL_PASSWORD: holds several lines"),
        ({"KAFKA__SASL_USERNAME": "worker\n"}, "MODERATION_KAFKA__SASL_USERNAME: character 7 of 7 is '\\n'"),
        ({"KAFKA__GROUP_ID": " x"}, "MODERATION_KAFKA__GROUP_ID: begins or ends with a blank"),
        ({"REDIS__URL_FILE": f"redis://:{SECRET}@cache"}, "url_file: the file cannot be read"),
        ({"REDIS__SIGNING_KEY_FILE": SECRET}, "signing_key_file: the file cannot be read"),
        ({"KAFKA__BOOTSTRAP_SERVERS": f"worker:{SECRET}@broker:9092"}, "expected host:port alone"),
    ],
)
def test_what_was_copied_with_too_much_is_refused_and_not_quoted(settings: dict[str, str], complaint: str) -> None:
    """A secret in the place of its file's path, too."""
    assert complaint in refusal(SCRAM, settings)


def test_a_file_of_settings_may_name_files_of_secrets(tmp_path: Path) -> None:
    """The file can be read by all, the secret by few."""
    (tmp_path / "url").write_text(f"redis://:{SECRET}@cache:6379/0")
    config = tmp_path / "worker.toml"
    config.write_text(f'[redis]\nurl_file = "{tmp_path / "url"}"\n')
    settings = read_settings(environment(), config)
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value().endswith("@cache:6379/0")


def test_a_signing_key_file_may_hold_two_keys(tmp_path: Path) -> None:
    """During a rotation; the first signs."""
    path = tmp_path / "signing-key"
    path.write_text(f"{'n' * 32}\r\n{'o' * 32}\n\n")
    redis = read_settings(environment({"REDIS__SIGNING_KEY_FILE": str(path)}), None).redis
    assert redis.signing_keys == (b"n" * 32, b"o" * 32)
    assert read_settings(environment(), None).redis.signing_keys == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe" + SECRET.encode(), "not UTF-8"),
        (SECRET.encode() * 10_000, "longer than"),
        (SECRET.encode() + b"\0", "NUL"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_by_name_and_not_quoted(
    content: bytes | None, complaint: str, tmp_path: Path
) -> None:
    """A wrong mount is found at the start."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    text = refusal(less(SCRAM, "KAFKA__SASL_PASSWORD"), {"KAFKA__SASL_PASSWORD_FILE": str(path)})
    assert complaint in text
    assert "sasl_password" in text


def tls(certificate: object, key: object, **more: str) -> dict[str, str]:
    """Return settings of mTLS."""
    return {
        "KAFKA__SECURITY_PROTOCOL": "SSL",
        "KAFKA__SSL_CERTIFICATE_LOCATION": str(certificate),
        "KAFKA__SSL_KEY_LOCATION": str(key),
        **more,
    }


def test_certificates_and_keys_that_fit_are_taken(tmp_path: Path) -> None:
    """With and without a password."""
    certificates = Certificates(tmp_path)
    for password in ("", SECRET):
        pair = certificates.client("worker", password=password)
        more = {"KAFKA__SSL_KEY_PASSWORD": password} if password else {}
        ca = {"KAFKA__SSL_CA_LOCATION": str(certificates.ca)}
        assert usable_settings(environment(tls(*pair, **more), ca), None).kafka.security_protocol == "SSL"


def test_certificates_and_keys_that_do_not_fit_are_refused_by_the_names_of_their_settings(tmp_path: Path) -> None:
    """The clients would name no setting, and redis-py would say so at its first connection only."""
    certificates = Certificates(tmp_path)
    one, other = certificates.client("one"), certificates.client("other")
    locked = certificates.client("locked", password=SECRET)
    mixed = refusal(tls(one.certificate, other.key))
    assert "MODERATION_KAFKA__SSL_KEY_LOCATION" in mixed
    assert "do not work together" in mixed
    assert "do not work together" in refusal(tls(*locked))
    assert "do not work together" in refusal(tls(*locked, KAFKA__SSL_KEY_PASSWORD=f"{SECRET}-wrong"))
    assert "cannot be read" in refusal(tls(tmp_path / "nowhere", one.key))
    assert "holds no certificate" in refusal(
        {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CA_LOCATION": str(one.key)}
    )
    redis = {"REDIS__URL": "rediss://c", "REDIS__SSL_CA_LOCATION": str(tmp_path / "nowhere")}
    assert "MODERATION_REDIS__SSL_CA_LOCATION" in refusal(redis)


def test_a_public_key_that_cannot_check_anything_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package for it is not installed, too: the bundle is not to blame."""
    private, public = key_pair(tmp_path)
    assert usable_settings(environment({"MODEL__PUBLIC_KEY_FILE": str(public)}), None).model.public_key_file == public
    for path in (private, tmp_path / "nowhere"):
        text = refusal({"MODEL__PUBLIC_KEY_FILE": str(path)})
        assert "MODERATION_MODEL__PUBLIC_KEY_FILE" in text
        assert "expected an Ed25519 public key in PEM" in text
    monkeypatch.setattr(signature, "find_spec", lambda _: None)
    assert "requirements-serving.lock" in refusal({"MODEL__PUBLIC_KEY_FILE": str(public)})


def test_the_redis_client_checks_who_it_talks_to() -> None:
    """Certificate and host name, unless the url says otherwise in so many words."""
    settings = read_settings(environment({"REDIS__URL": "rediss://cache:6380/0"}), None).redis
    connection: Any = connect(settings).connection_pool.make_connection()
    assert (connection.cert_reqs.name, connection.check_hostname) == ("CERT_REQUIRED", True)

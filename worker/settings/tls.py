"""Check certificates and keys at start, before a client library would say less about them, or a bundle be blamed.

librdkafka names no setting when a file is wrong, and redis-py says so at its first connection only, which the cache's
circuit breaker would pass off as a Redis that is away.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from model import BundleError
from model.bundle.signature import read_public_key
from worker.errors import SettingsError
from worker.settings.worker import WorkerSettings


def check_key_files(settings: WorkerSettings) -> None:
    """Read every certificate and key that the settings name.

    Raises:
        SettingsError: one cannot be read, is no PEM, or a key does not open or belong to its certificate, or the extra
            that checks signatures is not installed; names all.
    """
    problems = [
        *_problems(
            "MODERATION_KAFKA__",
            ca=settings.kafka.ssl_ca_location,
            certificate=settings.kafka.ssl_certificate_location,
            key=settings.kafka.ssl_key_location,
            password=settings.kafka.ssl_key_password,
        ),
        *_ca_problems("MODERATION_KAFKA__OAUTH_CA_LOCATION", settings.kafka.oauth_ca_location),
        *_problems(
            "MODERATION_REDIS__",
            ca=settings.redis.ssl_ca_location,
            certificate=settings.redis.ssl_certificate_location,
            key=settings.redis.ssl_key_location,
            password=settings.redis.ssl_key_password,
        ),
        *_bundle_key_problems("MODERATION_MODEL__PUBLIC_KEY_FILE", settings.model.public_key_file),
    ]
    if problems:
        raise SettingsError("\n".join(problems))


def _problems(
    prefix: str, *, ca: Path | None, certificate: Path | None, key: Path | None, password: SecretStr | None
) -> Iterator[str]:
    yield from _ca_problems(f"{prefix}SSL_CA_LOCATION", ca)
    if certificate is None or key is None:
        return
    unreadable = [
        *_unreadable(f"{prefix}SSL_CERTIFICATE_LOCATION", certificate),
        *_unreadable(f"{prefix}SSL_KEY_LOCATION", key),
    ]
    yield from unreadable
    if unreadable:
        return
    try:
        # A key with a password and none given: without an answer OpenSSL would ask on the terminal.
        _context().load_cert_chain(certificate, key, password.get_secret_value() if password else "")
    except (ssl.SSLError, ValueError) as error:
        yield (
            f"{prefix}SSL_CERTIFICATE_LOCATION, {prefix}SSL_KEY_LOCATION: {certificate} and {key} do not work together "
            f"({_reason(error)}); expected a PEM certificate and its PEM key; check both and {prefix}SSL_KEY_PASSWORD"
        )


def _ca_problems(name: str, ca: Path | None) -> Iterator[str]:
    if ca is None:
        return
    if ca.is_dir():
        return
    unreadable = list(_unreadable(name, ca))
    yield from unreadable
    if unreadable:
        return
    try:
        _context().load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        yield f"{name}: {ca} holds no certificate ({_reason(error)}); expected CA certificates as PEM"


def _bundle_key_problems(name: str, path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        read_public_key(path)
    except BundleError as error:
        yield f"{name}: {error}"


def _unreadable(name: str, path: Path) -> Iterator[str]:
    try:
        path.open("rb").close()
    except OSError as error:
        yield f"{name}: {path} cannot be read ({error.strerror}); expected a PEM file; check the mount and its rights"


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or type(error).__name__)

"""Client properties for given brokers: TLS and SASL, as librdkafka names them, for this tool and for its workers.

Their values may be secrets. No text of an error and no result ever holds one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from loadtest.errors import LoadTestError

_ALLOWED: Final = ("security.", "sasl.", "ssl.", "enable.ssl.", "socket.", "broker.", "client.", "metadata.")
"""How to reach brokers; what is sent and read belongs to the measurement."""

_WORKER_SETTINGS: Final = {
    "security.protocol": "SECURITY_PROTOCOL",
    "sasl.mechanism": "SASL_MECHANISM",
    "sasl.mechanisms": "SASL_MECHANISM",
    "sasl.username": "SASL_USERNAME",
    "sasl.password": "SASL_PASSWORD",
    "ssl.ca.location": "SSL_CA_LOCATION",
    "ssl.certificate.location": "SSL_CERTIFICATE_LOCATION",
    "ssl.key.location": "SSL_KEY_LOCATION",
    "ssl.key.password": "SSL_KEY_PASSWORD",
}
_UPPER: Final = ("security.protocol", "sasl.mechanism", "sasl.mechanisms")


def read_properties(given: Iterable[str], file: Path | None) -> dict[str, str]:
    """Return the properties of a file and of the command line, which comes last.

    Args:
        given: `name=value` each.
        file: The same, one per line; # begins a comment line.

    Raises:
        LoadTestError: one is not of this form, or belongs to the measurement.
    """
    lines = list(given)
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LoadTestError(f"{file}: {error}; expected lines of name=value") from error
        in_file = (line.strip() for line in text.splitlines())
        lines = [*(line for line in in_file if line and not line.startswith("#")), *lines]
    return dict(_one(line) for line in lines)


def _one(line: str) -> tuple[str, str]:
    name, separator, value = line.partition("=")
    name = name.strip()
    if not separator:
        # Not quoted: a line without a name may be a secret alone.
        raise LoadTestError("a Kafka property has no '='; expected name=value, such as security.protocol=SASL_SSL")
    if not name.startswith(_ALLOWED):
        raise LoadTestError(
            f"Kafka property {name}: belongs to the measurement or is unknown; expected one that begins with "
            f"{', '.join(_ALLOWED)}"
        )
    return name, value.strip()


def worker_settings(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's variables for the properties that it has a setting for; the others are this tool's alone."""
    return {
        # The client takes sasl_ssl for SASL_SSL, the worker does not.
        f"MODERATION_KAFKA__{_WORKER_SETTINGS[name]}": value.upper() if name in _UPPER else value
        for name, value in properties.items()
        if name in _WORKER_SETTINGS
    }

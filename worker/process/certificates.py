"""When the certificates end that the settings name: an alert weeks before is cheaper than a refused connection.

Needs the `signing` extra (cryptography), which the images have; without it the metric has no series.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import structlog
from prometheus_client import Gauge

from model.bundle.files import read_regular

log = structlog.get_logger()

Stamp = tuple[int, int, int]
"""Inode, size and modification time, ns."""


class CertificateEnds:
    """Shows the end of each certificate file.

    Args:
        files: By role, which is the metric's label: `kafka_certificate`, `kafka_ca` and so on.
        shown: Unix time by role.
    """

    def __init__(self, files: Mapping[str, Path], shown: Gauge) -> None:
        self._files = files
        self._shown = shown
        self._seen: dict[str, Stamp] = {}
        self._faults: dict[str, str] = {}

    def look(self) -> None:
        """Look once; reads what has changed."""
        for role, path in self._files.items():
            try:
                found = path.stat()
                stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
                if stamp == self._seen.get(role):
                    continue
                self._shown.labels(role).set(end_of(path, is_ca=role.endswith("ca")))
                self._seen[role] = stamp
                self._faults.pop(role, None)
            except (OSError, ValueError) as error:
                if self._faults.get(role) != str(error):
                    log.warning("certificate_unreadable", file=role, error=str(error))
                self._faults[role] = str(error)


def end_of(path: Path, *, is_ca: bool) -> float:
    """Return when a certificate file ends, unix time.

    Args:
        path: PEM, one certificate or several.
        is_ca: Of several authorities the last one to end counts, since old ones stay in such files; of a chain the
            first, since it is whole or of no use.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no certificate.
    """
    from cryptography import x509  # noqa: PLC0415  (an optional package)

    ends = [found.not_valid_after_utc.timestamp() for found in x509.load_pem_x509_certificates(read_regular(path))]
    return max(ends) if is_ca else min(ends)


def can_be_read() -> bool:
    """Say whether the package that reads certificates is installed."""
    return find_spec("cryptography") is not None

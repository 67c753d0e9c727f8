"""The ends of certificates are a metric, by what they are for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
import trustme

from worker.process.certificates import CertificateEnds, can_be_read, end_of
from worker.process.metrics import Metrics

SOON = datetime(2031, 5, 1, tzinfo=UTC)
LATER = datetime(2033, 5, 1, tzinfo=UTC)


def certificate(path: Path, *ends: datetime) -> Path:
    """Write a file of certificates that end then."""
    authority = trustme.CA()
    leaves = [authority.issue_cert("worker.example", not_after=end) for end in ends]
    path.write_bytes(b"".join(leaf.cert_chain_pems[0].bytes() for leaf in leaves))
    return path


@pytest.fixture
def metrics() -> Metrics:
    """Return the metrics of a worker."""
    assert can_be_read()
    return Metrics()


def shown(metrics: Metrics, file: str) -> float | None:
    """Return what the metric says of a role."""
    return metrics.registry.get_sample_value("moderation_certificate_expiry_timestamp_seconds", {"file": file})


def test_the_end_of_each_file_is_shown_and_follows_the_file(tmp_path: Path, metrics: Metrics) -> None:
    """An alert weeks before is the difference between a ticket and an outage."""
    files = {role: certificate(tmp_path / role, SOON) for role in ("kafka_certificate", "redis_ca")}
    ends = CertificateEnds(files, metrics.certificate_expiry_s)
    ends.look()
    assert shown(metrics, "kafka_certificate") == shown(metrics, "redis_ca") == SOON.timestamp()
    certificate(files["kafka_certificate"], LATER)
    ends.look()
    assert shown(metrics, "kafka_certificate") == LATER.timestamp()
    assert shown(metrics, "redis_ca") == SOON.timestamp()


def test_of_a_chain_the_first_to_end_counts_and_of_authorities_the_last(tmp_path: Path) -> None:
    """A chain is whole or of no use; a file of authorities keeps old ones during a rotation."""
    path = certificate(tmp_path / "several", LATER, SOON)
    assert end_of(path, is_ca=False) == SOON.timestamp()
    assert end_of(path, is_ca=True) == LATER.timestamp()


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_a_file_that_cannot_be_read_keeps_the_last_end_and_is_told_once(
    tmp_path: Path, metrics: Metrics, content: bytes | None
) -> None:
    """Half-written, or gone."""
    path = certificate(tmp_path / "c", SOON)
    ends = CertificateEnds({"kafka_certificate": path}, metrics.certificate_expiry_s)
    ends.look()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with structlog.testing.capture_logs() as lines:
        ends.look()
        ends.look()
    assert [line["event"] for line in lines] == ["certificate_unreadable"]
    assert shown(metrics, "kafka_certificate") == SOON.timestamp()
    certificate(path, LATER)
    ends.look()
    assert shown(metrics, "kafka_certificate") == LATER.timestamp()

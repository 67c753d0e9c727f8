"""Ask a worker's health port, as an orchestrator and a metrics collector do."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import LOOPBACK


def status_of(port: int, path: str) -> int:
    """Return the HTTP status of a path; 0 where nothing listens."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return 0


def samples(port: int, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the samples of one metric: label pairs, sorted, to value."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }

"""The shipped classifier behind BentoML with its adaptive batching: a peer of the HTTP API.

    PEER_BUNDLE=BUNDLE PEER_THREADS=2 python -m bentoml serve loadtest.peers.bentoml_service:Moderation --port 3005

One process with one classifier, as the console has; BentoML learns how long to wait for a batch.
"""

import os
from pathlib import Path
from typing import Any

import bentoml
import orjson

from loadtest.peers.predictor import Predictor


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1_024})
class Moderation:
    """Chat events in, verdicts out."""

    def __init__(self) -> None:
        self._predictor = Predictor(
            Path(os.environ["PEER_BUNDLE"]), n_threads=int(os.environ["PEER_THREADS"]), max_padded_tokens=256
        )

    @bentoml.api(batchable=True, batch_dim=(0, 0), max_batch_size=64, max_latency_ms=30_000)
    def classify(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Judge chat events that BentoML gathered from requests."""
        verdicts = self._predictor.verdicts([orjson.dumps(event) for event in events])
        return [orjson.loads(verdict) for verdict in verdicts]

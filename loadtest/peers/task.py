"""What a peer application is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from loadtest.peers.predictor import Predictor

BATCH_RECORDS: Final = 1_000
"""Most records of one batch, as in the worker."""
COMMIT_EVERY_S: Final = 0.25
"""A transaction costs about 10 ms; rarer ones would let a timed run's last verdicts wait for longer than they save."""


@dataclass(frozen=True)
class Task:
    """Where records come from and go, and how they are judged."""

    bootstrap_servers: str
    events_topic: str
    verdict_topic: str
    group_id: str
    n_partitions: int
    state_folder: Path
    bundle: Path
    n_threads: int
    max_padded_tokens: int
    is_batched: bool

    @classmethod
    def of_command_line(cls) -> Self:
        """Read the arguments that `loadtest.compare.peer_run` gives."""
        parser = argparse.ArgumentParser()
        for name in ("bootstrap-servers", "events-topic", "verdict-topic", "group-id"):
            parser.add_argument(f"--{name}", required=True)
        for name in ("state-folder", "bundle"):
            parser.add_argument(f"--{name}", required=True, type=Path)
        for name in ("n-partitions", "n-threads", "max-padded-tokens"):
            parser.add_argument(f"--{name}", required=True, type=int)
        parser.add_argument("--batched", dest="is_batched", action="store_true")
        return cls(**vars(parser.parse_args()))

    def predictor(self) -> Predictor:
        """Load the classifier."""
        return Predictor(self.bundle, n_threads=self.n_threads, max_padded_tokens=self.max_padded_tokens)

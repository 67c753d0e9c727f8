"""What worker and console are told: every topic on, one database, two policies. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testkit.console_process import PREFIX as CONSOLE
from testkit.worker_process import PREFIX as WORKER
from testkit.worker_process import child_environment

POLICIES: Final = Path(__file__).with_name("policies")

_NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime (1.29 and later) would write a device id and an event queue into the home and temporary folders."""
_TOPICS: Final = {
    f"{WORKER}KAFKA__{name}_TOPIC": f"verdict-{name.lower()}"
    for name in ("REVIEWS", "OVERRIDES", "DECISIONS", "FEEDBACK", "ERASURES", "STATE", "POLICIES")
}


@dataclass(frozen=True)
class Pipeline:
    """Where the pipeline is, and what names its chats.

    Attributes:
        bootstrap_servers: Kafka.
        redis_url: Redis.
        folder: Takes the database and the logs.
        hash_key: Names chats in the log of decisions and the list of erased ones; new for each run.
    """

    bootstrap_servers: str
    redis_url: str
    folder: Path
    hash_key: str

    @classmethod
    def new(cls, bootstrap_servers: str, redis_url: str, folder: Path) -> "Pipeline":
        """Return a pipeline with a key of its own."""
        return cls(bootstrap_servers, redis_url, folder, secrets.token_hex(32))

    def worker_settings(self) -> dict[str, str]:
        """Return the MODERATION_ variables, which the console reads too."""
        return {
            f"{WORKER}KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            f"{WORKER}REDIS__URL": self.redis_url,
            f"{WORKER}ERASURE__HASH_KEY": self.hash_key,
            f"{WORKER}MODEL__POLICIES_DIR": str(POLICIES),
            **_TOPICS,
        }

    def worker_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the worker's environment.

        Args:
            base: Ours. Of its worker settings only the model's are kept: the rest is about another Kafka.
        """
        return child_environment(base, {**_NO_TELEMETRY, **self.worker_settings()}, keep=(f"{WORKER}MODEL__",))

    def console_environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the console's environment; of `base` its own variables stay, but for those that the demo sets."""
        return {
            **self.worker_environment(base),
            f"{CONSOLE}PIPELINE__IS_ON": "true",
            f"{CONSOLE}STORE__URL": f"sqlite:///{self.folder / 'console.sqlite3'}",
            f"{CONSOLE}MODEL__POLICIES_PATH": str(POLICIES),
        }

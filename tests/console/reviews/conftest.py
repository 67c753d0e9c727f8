"""A console with a queue on SQLite, and a key for each role."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from console.operations import Operations
from console.port.keys import Keys, new_key
from console.port.roles import Role
from console.review.queue import Queue
from console.service import Service
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.server import Answer, RunningConsole

__all__ = ["operating_service", "operations_on_sqlite"]


@dataclass
class Callers:
    """A console, and the keys of those who ask it."""

    console: RunningConsole
    keys: dict[str, str]

    def get(self, path: str, who: str = "ann") -> Answer:
        """Ask as somebody."""
        return self.console.ask("GET", path, headers={"authorization": f"Bearer {self.keys[who]}"})

    def post(self, path: str, document: Any, who: str = "ann") -> Answer:
        """Post as somebody."""
        return self.console.post(path, document, authorization=f"Bearer {self.keys[who]}")

    def claimed(self, item_id: int, who: str = "ann") -> str:
        """Claim an item and return the token."""
        token: str = self.post(f"/v1/reviews/{item_id}/claim", {}, who).json["token"]
        return token


@pytest.fixture
def operations(operations_on_sqlite: Operations) -> Operations:
    """Return the console's operations, with a queue."""
    of = operations_on_sqlite
    return replace(of, queue=Queue(of.store, of.settings.review, of.worker.erasure.hash_keys[0]))


@pytest.fixture
def queue(operations: Operations) -> Queue:
    """Return its queue."""
    assert operations.queue is not None
    return operations.queue


@pytest.fixture
def queue_service(operating_service: Service, operations: Operations) -> Service:
    """Return what answers for it."""
    return replace(operating_service, operations=operations)


@pytest.fixture
def callers(queue_service: Service, tmp_path: Path) -> Iterator[Callers]:
    """Return a console that reviewers ann and bob, viewer vic, admin eve and client cli ask."""
    roles = {"ann": Role.REVIEWER, "bob": Role.REVIEWER, "vic": Role.VIEWER, "eve": Role.ADMIN, "cli": Role.CLIENT}
    path = tmp_path / "keys.toml"
    keys, lines = {}, []
    for name, role in roles.items():
        keys[name], digest = new_key()
        lines.append(f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\nrole = "{role.value}"\n')
    path.write_text("".join(lines))
    running = RunningConsole(queue_service, Keys(path))
    yield Callers(running, keys)
    running.close()

"""The console's process while the pipeline that it follows is away."""

import signal
from pathlib import Path

import orjson

from console.operations import with_views
from testkit.waiting import wait_until
from tests.console.conftest import Start
from tests.console.operations import NOBODY, operations_at
from tests.console.test_process import ask


def test_it_starts_without_kafka_and_says_so(start: Start, tmp_path: Path) -> None:
    """Pages answer, the state is told, and a signal ends all threads."""
    process = start(
        CONSOLE_PIPELINE__IS_ON="true",
        CONSOLE_STORE__URL=f"sqlite:///{tmp_path / 'console.sqlite3'}",
        MODERATION_KAFKA__BOOTSTRAP_SERVERS=NOBODY,
        MODERATION_REDIS__URL="redis://127.0.0.1:1/0",
    )
    port = process.port()
    assert ask(port, "GET", "/live")[0] == 200
    assert ask(port, "GET", "/chat")[0] == 200

    def states() -> dict[str, bool | None]:
        return {name: one["is_there"] for name, one in orjson.loads(ask(port, "GET", "/live/state")[1]).items()}

    known = {"kafka": False, "redis": False, "database": True}
    wait_until(lambda: known.items() <= states().items(), timeout_s=60, what=lambda: str(states()))
    assert ask(port, "GET", "/chat/history?id=x")[0] == 503
    process.running.send_signal(signal.SIGTERM)
    assert process.exit_code() == 0
    assert "Traceback" not in process.errors()


def test_without_pages_nothing_is_followed(tmp_path: Path) -> None:
    """Such a console needs no right to read chats."""
    operations = operations_at(f"sqlite:///{tmp_path / 'console.sqlite3'}", api_only=True)
    assert with_views(operations).live is None
    assert operations.at_start == []
    operations.close()

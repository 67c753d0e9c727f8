"""A port that somebody has is told at once, with what to do."""

import socket
from pathlib import Path

import pytest

from deploy.console_demo.session import Options, run
from deploy.demo.errors import DemoError


def test_a_busy_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    """Kafka takes half a minute, and the console's own error would be a log's end."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        said: list[str] = []
        options = Options(events_per_s=1, port=port, work=tmp_path / "work", environment={})
        with pytest.raises(DemoError, match=rf"port {port} .* expected a free one; .* --port 0"):
            run(iter(()), options, said.append)
    assert said == []
    assert not (tmp_path / "work").exists()

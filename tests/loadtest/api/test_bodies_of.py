"""Requests of a server's own: named for a server that is measured, and read before anything starts."""

from pathlib import Path

import pytest
import typer

from loadtest.api.command import read_bodies_of


def test_each_line_is_a_request(tmp_path: Path) -> None:
    """As they stand in the file."""
    (tmp_path / "bodies").write_bytes(b'{"input":["a"]}\n{"input":["b"]}\n')
    named = read_bodies_of(f"peer={tmp_path / 'bodies'}", {"peer": "http://127.0.0.1:1/"})
    assert named == ("peer", [b'{"input":["a"]}', b'{"input":["b"]}'])


@pytest.mark.parametrize("text", ["other={0}/bodies", "peer={0}/empty", "peer={0}/none", "peer"])
def test_an_unknown_server_or_a_file_without_requests_is_refused(tmp_path: Path, text: str) -> None:
    """With what was expected."""
    (tmp_path / "bodies").write_bytes(b"{}\n")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(typer.BadParameter, match=r"cannot be read|expected NAME=FILE"):
        read_bodies_of(text.format(tmp_path), {"peer": "http://127.0.0.1:1/"})

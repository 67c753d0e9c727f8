"""`make console` as people run it: a real broker, Redis, worker and console, and nothing left behind."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
import uuid
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from deploy.console_demo.session import PAGES
from testkit.waiting import wait_until

pytestmark = [pytest.mark.services, pytest.mark.console]

REPOSITORY = Path(__file__).parents[3]
MARK = "VERDICTSTREAM_CONSOLE_DEMO_TEST"
"""Inherited by everything that the demo starts, so that what it leaves behind can be found."""
START_S = 120


def left_behind(mark: str) -> list[psutil.Process]:
    """Return the processes that it has started and that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def n_reviews(database: Path) -> int:
    """Return how many items the queue has."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM items WHERE kind = 'review'").fetchone()[0])


def test_it_prints_each_page_shows_reviews_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """One command shows it all, and the machine is as before."""
    mark, out = uuid.uuid4().hex, tmp_path / "out"
    work = tmp_path / "work"
    command = [sys.executable, "-m", "deploy.console_demo", "--port", "0", "--events-per-s", "20", "--work", str(work)]
    environment = {**os.environ, MARK: mark, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with out.open("wb") as output:
        demo = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Ctrl-C" in out.read_text(), timeout_s=START_S, what=out.read_text)
        addresses = dict(re.findall(r"^(\w+) +(http://\S+)$", out.read_text(), re.MULTILINE))
        assert set(addresses) == set(PAGES)
        for address in addresses.values():
            with urllib.request.urlopen(address, timeout=30) as page:  # noqa: S310  our own
                assert page.status == 200
        (database,) = work.glob("console-*/console.sqlite3")
        wait_until(lambda: n_reviews(database) > 0, timeout_s=START_S, what=out.read_text)
    finally:
        demo.send_signal(signal.SIGINT)
        exit_code = demo.wait(60)
        stayed = left_behind(mark)
        for process in stayed:
            process.kill()
    assert exit_code == 0, out.read_text()
    assert stayed == []
    assert list(work.iterdir()) == []

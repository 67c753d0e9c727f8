"""`loadtest soak --faults` as a person starts it (F38); the hour that counts is run by hand and written down."""

import os
import subprocess
import sys
from typing import Any, Final

import orjson
import pytest

from tests.integration.workers import REPOSITORY

DURATION_S: Final = 90


@pytest.mark.timeout(900)
def test_a_soak_with_faults_prints_each_of_them_and_its_account_balances() -> None:
    """Whatever the seed has drawn: I1 to I6 hold, each fault is told with its time, and the table says so."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATION_")}
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "soak", "--faults", "--seed", "2", "--duration", str(DURATION_S)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    result: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    assert result["n_faults"] == len(result["faults"]) > 0
    assert result["n_sent"] > 0
    for at_s, ended_s, what in result["faults"]:
        assert f"{at_s:8.1f} s to {ended_s:7.1f} s  {what}" in done.stderr
    print(f"F38: {result['n_faults']} faults in {DURATION_S} s, {result['n_sent']} events once")

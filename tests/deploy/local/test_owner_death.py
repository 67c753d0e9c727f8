"""The services of a stack end with the process that owns them, however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.local.service_process import ProcessIdentity
from testkit.waiting import wait_until
from tests.deploy.local.conftest import REPOSITORY

_OWNER = """
import json, signal, sys
from pathlib import Path
from deploy.local import LocalStack

with LocalStack(data_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2])) as stack:
    # A stopped process takes no signal but SIGKILL; it must not be left behind either.
    stack.redis.pause()
    print(json.dumps([service.pid for service in stack.services]), flush=True)
    signal.pause()
"""


def test_a_killed_owner_leaves_no_service_and_no_data(warm_cache: Path, tmp_path: Path) -> None:
    """A test run that is killed must not fill the machine with brokers."""
    data_dir = tmp_path / "data"
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(data_dir), str(warm_cache)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    services = [ProcessIdentity.of(pid) for pid in json.loads(owner.stdout.readline())]
    assert all(service.is_alive() for service in services)
    assert (data_dir / "broker-0" / "data").is_dir()

    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()

    wait_until(lambda: not any(service.is_alive() for service in services))
    wait_until(lambda: not data_dir.exists())

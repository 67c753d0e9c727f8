"""Kill the services of a stack when the process that started them is gone, however it died.

Run as a script with the bare interpreter: `watchdog.py PARENT_PID [PATH_TO_REMOVE ...]`. It leads
the process group that every service joins, so one signal reaches them all, stopped ones included.
It waits for the end of its standard input, a pipe that only the parent holds, and looks once a
second whether its parent is still the same, because a forked child of the parent may hold the pipe
open too. (PR_SET_PDEATHSIG is not used: it fires when the starting *thread* ends.)

Invariant: after the parent's death no service lives on and the data folders are removed; the byte
`q` means that the parent has stopped everything itself, and nothing is touched.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

_HELP = {"-h", "--help"}
_USAGE = "usage: watchdog.py PARENT_PID [PATH_TO_REMOVE ...]\n\nStarted by the local stack; see its first lines.\n"
_PARENT_POLL_S = 1.0
_REMOVE_TRIES = 20
_REMOVE_PAUSE_S = 0.1


def _parent_is_done(parent_pid: int) -> bool:
    """Wait for the parent's end; True when it asked for nothing to be done."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], _PARENT_POLL_S)
        if readable:
            return os.read(sys.stdin.fileno(), 1) == b"q"
        if os.getppid() != parent_pid:
            return False


def _remove(paths: list[Path]) -> None:
    """Remove the data folders; processes that are just dying may still hold files in them."""
    for _ in range(_REMOVE_TRIES):
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)
        if not any(path.exists() for path in paths):
            break
        time.sleep(_REMOVE_PAUSE_S)
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only where nothing of anybody else is in it


def main() -> None:
    """Wait for the parent's end, then kill the process group and remove the data."""
    if _HELP & set(sys.argv[1:]):
        sys.stdout.write(_USAGE)
        return
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_IGN)
    parent_pid = int(sys.argv[1])
    paths = [Path(argument) for argument in sys.argv[2:]]
    if _parent_is_done(parent_pid):
        return
    group = os.getpgrp()
    if os.fork() == 0:
        # The child leaves the group first, so that it outlives the signal and can clean up.
        os.setpgid(0, 0)
        os.killpg(group, signal.SIGKILL)
        _remove(paths)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    main()

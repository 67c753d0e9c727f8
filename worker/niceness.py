"""The scheduler's view of a thread: work that nobody waits for steps back."""

import os
import sys
import threading


def be_nice(niceness: int) -> None:
    """Set the nice value of the calling thread, which the threads that it starts inherit; Linux only.

    Args:
        niceness: 0..19; 0 leaves the thread as it is.
    """
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

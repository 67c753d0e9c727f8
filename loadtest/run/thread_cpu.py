"""CPU seconds of a process by what its threads are for, from /proc. The clock of a stage says less.

The Kafka client names its threads; all others of a Python process bear the process' name, and the main one has its id.
"""

from pathlib import Path
from typing import Final

import psutil

MAIN: Final = "main"
"""The thread that runs the loop: decoding, cache, verdicts."""
CLIENT: Final = "kafka client"
"""librdkafka's own: connections, checksums, compression."""
OTHER: Final = "others"
"""Inference, tokenising and the commit thread."""

_CLIENT_PREFIX: Final = "rdk:"


def cpu_by_thread(pid: int) -> dict[str, float]:
    """Return the CPU seconds, user and system, of a process' living threads by kind.

    Raises:
        psutil.NoSuchProcess: it has ended.
    """
    found = dict.fromkeys((MAIN, CLIENT, OTHER), 0.0)
    for thread in psutil.Process(pid).threads():
        found[_kind(pid, thread.id)] += thread.user_time + thread.system_time
    return found


def _kind(pid: int, thread_id: int) -> str:
    if thread_id == pid:
        return MAIN
    try:
        name = Path(f"/proc/{pid}/task/{thread_id}/comm").read_text("utf-8", "replace")
    except OSError:
        # It ended between two looks, or there is no /proc: what it took is not lost, only its name.
        return OTHER
    return CLIENT if name.startswith(_CLIENT_PREFIX) else OTHER

"""What the process asks of its machine: memory given back, few looks for cycles, threads that step back.

glibc keeps what a dropped model leaves behind, in pieces: after eight reloads a worker had 384 MB in place of 211. And
it raises the size from which on a block is given back at once with each larger block that is freed, so that records of
megabytes stay as holes.
"""

import ctypes
import gc
import os
import sys
import threading
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""From malloc.h."""
_GIVEN_BACK_BYTES: Final = 512 * 1024
_GC_THRESHOLDS: Final = (20_000, 20, 20)
"""A batch keeps thousands of events and verdicts alive at once, none of which is part of a cycle; looking through them
after every 700 new objects took a third of the time of decoding.
"""


def give_back_large_blocks() -> None:
    """Let each block of half a megabyte or more be given back when it is freed; nothing where the C library cannot."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _GIVEN_BACK_BYTES)


def give_back_freed_memory() -> None:
    """Trim the allocator's free memory; nothing where the C library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def look_for_cycles_rarely() -> None:
    """Raise the thresholds of the cyclic garbage collector for this process."""
    gc.set_threshold(*_GC_THRESHOLDS)


def go_behind_live_workers() -> None:
    """Raise the nice value of the calling thread, which the threads that it starts inherit, for good."""
    os.nice(10)


def be_nice(niceness: int) -> None:
    """Set the nice value of the calling thread, which the threads that it starts inherit; Linux only.

    Args:
        niceness: 0..19; 0 leaves the thread as it is.
    """
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

"""Keep freed memory in the process while training.

A training step allocates and frees gigabytes of activations. glibc gives large blocks back to the kernel at once, and
in the next step every page is faulted in and zeroed again, which was most of a step's time (EXPERIMENTS.md, "Time per
step").
"""

import ctypes
import ctypes.util
from typing import Final

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_MAX: Final = -4

_INT_MAX: Final = 2**31 - 1
_TOP_PAD_BYTES: Final = 256 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc to keep and reuse freed memory; say whether it took it. Other C libraries are left as they are."""
    name = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(name), "mallopt", None) if name else None
    if mallopt is None:
        return False
    wanted = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _INT_MAX), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)

"""Give memory that was freed back to the system.

glibc keeps what a dropped model leaves behind, in pieces: after eight reloads a worker had 384 MB in place of 211. And
it raises the size from which on a block is given back at once with each larger block that is freed, so that records of
megabytes stay as holes.
"""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""From malloc.h."""
_GIVEN_BACK_BYTES: Final = 512 * 1024


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

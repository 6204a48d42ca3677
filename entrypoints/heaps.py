"""How the C library keeps the memory of a server's threads."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_heaps() -> None:
    """Let all threads of this process share two heaps of the C library.

    Otherwise glibc gives each thread its own, up to 8 for each processor. The heaps of the threads that hash
    passwords kept 7 MB after their work.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)

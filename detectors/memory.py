"""Keeps memory small where large arrays come and go."""

import ctypes
import sys

M_MMAP_THRESHOLD = -3  # from glibc's malloc.h
LARGE_BYTES = 4 << 20


def return_large_arrays() -> None:
    """Let the C library give large arrays back to the system as soon as they are freed.

    glibc raises its own limit with every large array that is freed, and from then on keeps such arrays in
    pieces that are hard to use again. Has no effect elsewhere.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)

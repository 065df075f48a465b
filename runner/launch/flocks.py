"""File locks that are tried, never waited for."""

from __future__ import annotations

import fcntl


def try_flock(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take a lock on an open file unless another holds one that excludes it; tell whether that went."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

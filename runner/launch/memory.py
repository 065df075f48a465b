"""How much of this machine's memory jobs may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def host_memory(root: Path = Path("/")) -> int:
    """Return the bytes that this process and what it starts may use.

    They are the machine's, or the least that the control groups set which this process is in, as Slurm and
    containers have them; their files lie below *root*.
    """
    import psutil  # not for every plan

    return min([psutil.virtual_memory().total, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        elif number == "0":
            mount, file = root / "sys/fs/cgroup", "memory.max"
        else:
            continue
        inner = PurePosixPath(group.lstrip("/"))
        for folder in (inner, *inner.parents):
            with suppress(OSError, ValueError):  # out of sight from within a container, or "max"
                yield int((mount / folder / file).read_text())

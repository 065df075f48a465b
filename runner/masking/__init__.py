"""Output that passes through a child process, which masks secret values on its way to the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from runner.masking import child

FINISH_SECONDS = 2.0
"""Time to write what is left, once nobody writes to the pipes."""


class Masking:
    """The child that masks; *inlets* are the descriptors to write to, one for each of *files*.

    These are closed here: the child has its own.
    """

    def __init__(self, files: Sequence[int], secrets: Sequence[str]) -> None:
        pipes = [os.pipe() for _ in files]
        outlets = [outlet for outlet, _ in pipes]
        self.inlets = [inlet for _, inlet in pipes]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", child.__file__, *map(str, [*outlets, *files])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[*outlets, *files],
        )
        assert self.process.stdin is not None
        with self.process.stdin as stdin:
            stdin.write(json.dumps(list(secrets)).encode())
        for fd in [*outlets, *files]:
            os.close(fd)

    @property
    def finished(self) -> bool:
        """Whether everything is written."""
        return self.process.poll() is not None

    def finish(self, within: float = FINISH_SECONDS) -> None:
        """Wait until everything is written, unless some process still holds the pipes."""
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.returncode = 0  # it goes on by itself; nobody is left to wait for it

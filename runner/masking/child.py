"""Copies a worker's output, or that of a server it started, into log files and masks secret values.

Run by path in a bare interpreter, as a child of the worker: it outlives a crash of the worker and
ends once every process that inherited the pipes has closed them. Standard library only, so that it
starts in a few hundredths of a second. The secrets arrive on stdin, one JSON list.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import sys
from collections.abc import Sequence

MASK = b"***"


class Masker:
    """Masks values in a stream; what may be the beginning of one is held back until it is clear."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self.secrets = sorted(secrets, key=len, reverse=True)
        self.pattern = re.compile(b"|".join(re.escape(value) for value in self.secrets))
        self.held = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Take in *data* and return what can be written now; all that is left if it is the *last*."""
        data = self.held + data
        written, position = [], 0
        hold = len(data) if last else self._doubtful(data, 0)
        for match in self.pattern.finditer(data):
            if match.start() >= hold:
                break
            written += [data[position : match.start()], MASK]
            position = match.end()
            if hold < position:
                hold = self._doubtful(data, position)
        self.held = data[hold:]
        return b"".join([*written, data[position:hold]])

    def _doubtful(self, data: bytes, position: int) -> int:
        """Return from where on the end of *data* could be the beginning of a secret, or a longer one."""
        longest = len(self.secrets[0]) - 1
        first = max(position, len(data) - longest)
        return next((at for at in range(first, len(data)) if self._may_grow(data[at:])), len(data))

    def _may_grow(self, tail: bytes) -> bool:
        return any(len(value) > len(tail) and value.startswith(tail) for value in self.secrets)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def main() -> None:
    """Copy until all pipes are closed; arguments are the pipes' and, as many, the files' descriptors."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # it ends when the worker's output does
    secrets = [value.encode(errors="surrogateescape") for value in json.load(sys.stdin)]
    pipes = selectors.DefaultSelector()
    descriptors = [int(text) for text in sys.argv[1:]]
    half = len(descriptors) // 2
    for pipe, file in zip(descriptors[:half], descriptors[half:], strict=True):
        pipes.register(pipe, selectors.EVENT_READ, (file, Masker(secrets)))
    while pipes.get_map():
        for key, _ in pipes.select():
            file, masker = key.data
            data = os.read(key.fd, 1 << 16)
            _write(file, masker.feed(data, last=not data))
            if not data:
                pipes.unregister(key.fd)


if __name__ == "__main__":
    main()

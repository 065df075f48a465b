"""Copies a worker's output, or that of a server it started, into log files and masks secret values.

Run by path in a bare interpreter, as a child of the worker: it outlives a crash of the worker and
ends once every process that inherited the pipes has closed them. Standard library only, so that it
starts in a few hundredths of a second. The values arrive on stdin, one JSON list.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from importlib import import_module


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def main() -> None:
    """Copy until all pipes are closed; arguments are the pipes' and, as many, the files' descriptors."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # it ends when the worker's output does
    sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120 - pathlib would take as long as all else
    forms = import_module("forms")  # its neighbour: in a bare interpreter there is no package
    masker = forms.Masker(json.load(sys.stdin))
    pipes = selectors.DefaultSelector()
    descriptors = [int(text) for text in sys.argv[1:]]
    half = len(descriptors) // 2
    for pipe, file in zip(descriptors[:half], descriptors[half:], strict=True):
        pipes.register(pipe, selectors.EVENT_READ, (file, forms.MaskedStream(masker)))
    while pipes.get_map():
        for key, _ in pipes.select():
            file, stream = key.data
            data = os.read(key.fd, 1 << 16)
            _write(file, stream.feed(data, last=not data))
            if not data:
                pipes.unregister(key.fd)


if __name__ == "__main__":
    main()

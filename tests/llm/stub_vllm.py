"""Stands in for a Python that has vLLM: serves the OpenAI API on the port that the command line names.

Run by the tests as ``engine.python``. It answers every prompt with its own process id and what it was told
of sleep, which it hears where VLLM_SERVER_DEV_MODE is set; while it sleeps it answers nothing. Told to pool,
it embeds and classifies, and nothing else. Told to end, it takes as many seconds as STUB_ENDS_IN says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

_DEV = os.environ.get("VLLM_SERVER_DEV_MODE") == "1"
_POOLS = "pooling" in sys.argv


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    slept: ClassVar[list[str]] = []
    asleep = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path in {"/sleep?level=1", "/sleep?level=2", "/wake_up"} and _DEV:
            _Handler.slept.append(self.path)
            _Handler.asleep = self.path != "/wake_up"
            self._answer(b"")
        elif self.path == "/v1/embeddings" and _POOLS:
            self._answer(json.dumps({"data": [{"embedding": [1.0, 2.0]}]}).encode())
        elif self.path == "/classify" and _POOLS:
            self._answer(json.dumps({"data": [{"probs": [1.0]}]}).encode())
        elif self.path.startswith("/v1/") and not self.asleep and not _POOLS:
            said = " ".join([str(os.getpid()), *self.slept])
            self._answer(_completion(said))
        else:
            self._answer(b'{"error": {"message": "not found"}}', 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _completion(said: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "text": said}
    return json.dumps({"choices": [{**choice, "finish_reason": "stop"}]}).encode()


def interpreter(folder: Path) -> str:
    """Make a program that can be named as ``engine.python``."""
    file = folder / "python-with-vllm"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    file.chmod(0o755)
    return str(file)


def _end(*_: object) -> None:
    time.sleep(float(os.environ.get("STUB_ENDS_IN", "0")))
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    port = int(sys.argv[sys.argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()

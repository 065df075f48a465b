"""Stands in for candle-vllm and OpenLLM: serves the OpenAI API on the port that the command line names.

Run by the tests as ``engine.binary``. It prints its arguments and the GPUs it was given, refuses the first
request as a server does that still loads, then answers each with its own process id, the name that was asked
for and a copy of the message. Told ``--die``, it says why and ends; asked to ``die``, it ends unanswered.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    refused: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.refused:
            self.refused.append(self.path)
            self._answer({"error": {"message": "still loading"}}, 503)
            return
        text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        if text == "die":
            print("out of memory: this is the end", flush=True)
            os._exit(3)
        said = f"{os.getpid()} {body['model']} {text}"
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "text": said}
        self._answer({"choices": [{**choice, "finish_reason": "stop"}]})

    def _answer(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def program(folder: Path) -> str:
    """Make a program that can be named as ``engine.binary``."""
    file = folder / "server-of-weights"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    file.chmod(0o755)
    return str(file)


if __name__ == "__main__":
    print("started with", *sys.argv[1:], "on GPU", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    if "--die" in sys.argv:
        sys.exit("no such device")
    flag = "--p" if "--p" in sys.argv else "--port"
    port = int(sys.argv[sys.argv.index(flag) + 1])
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()

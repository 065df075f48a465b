"""An OpenAI-compatible server without latency: what is measured against it is the client alone.

    python benchmarks/server.py [--port 0]

Prints its port as the first line of its output and serves until it is terminated. Every POST gets the
same answer: Anthropic's to /v1/messages, Gemini's to :generateContent, else an OpenAI chat completion.
Connections are kept open and may be pipelined.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import suppress
from typing import cast

_TEXT = "An answer of one sentence, as a bench needs."
_CHAT = {
    "id": "chatcmpl-0",
    "object": "chat.completion",
    "created": 0,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _TEXT},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 60, "completion_tokens": 10, "total_tokens": 70},
}
_MESSAGES = {
    "id": "msg_0",
    "type": "message",
    "role": "assistant",
    "model": "bench",
    "content": [{"type": "text", "text": _TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 60, "output_tokens": 10},
}
_GENERATED = {
    "candidates": [
        {"index": 0, "content": {"role": "model", "parts": [{"text": _TEXT}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 60, "candidatesTokenCount": 10, "totalTokenCount": 70},
    "modelVersion": "bench",
}


def _whole(fields: dict[str, object]) -> bytes:
    body = json.dumps(fields).encode()
    return (
        b"HTTP/1.1 200 OK\r\n"
        b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        b"server: bench\r\n"
        b"content-type: application/json\r\n"
        b"x-request-id: 0123456789abcdef\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )


_ANSWER = _whole(_CHAT)
_OTHERS = {b"/messages ": _whole(_MESSAGES), b":generateContent ": _whole(_GENERATED)}
"""Answers by how the path ends."""


class Answering(asyncio.Protocol):
    """Answers each complete request in what has arrived, and keeps the rest for later."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        answers = []
        while (length := request_length(received)) and len(received) >= length:
            answers.append(answer_to(received))
            received = received[length:]
        self._received = received
        if answers:
            self.transport.write(b"".join(answers))


def answer_to(received: bytes) -> bytes:
    """Return the whole answer to the first request in *received*."""
    line = received[: received.find(b" HTTP/") + 1]
    return next((answer for end, answer in _OTHERS.items() if line.endswith(end)), _ANSWER)


def request_length(received: bytes) -> int:
    """Bytes of the first request in *received*, its body included; 0 while its head is incomplete."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return 0
    name = received.lower().find(b"\r\ncontent-length:", 0, head)
    if name < 0:
        return head + 4
    start = name + len(b"\r\ncontent-length:")
    end = received.find(b"\r\n", start)
    return head + 4 + int(received[start:end])


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    port = parser.parse_args().port
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    with suppress(KeyboardInterrupt):
        run(serve(port))


if __name__ == "__main__":
    main()

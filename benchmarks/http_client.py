"""What one request costs our HTTP client, beside a plain aiohttp loop in the same run.

    python benchmarks/http_client.py [--requests 20000] [--concurrency 64] [--repeats 5] [--loop asyncio]

Both send the same chat requests (a prompt of about 220 characters) to `server.py`, which runs in a
process of its own on another core, and parse the JSON answers. They take turns, so that a noisy
machine slows both; CPU time, unlike wall time, says what is left for the rest of a pipeline.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import uvloop

from runner.engines.http import Headers, HttpClient

Payload: TypeAlias = dict[str, Any]
Loop: TypeAlias = Callable[[str, Iterator[Payload], int], Coroutine[Any, Any, None]]

TEXT = "A train leaves at noon and travels at eighty kilometres an hour; another leaves an hour later. " * 2
RUNNERS: dict[str, Callable[[Coroutine[Any, Any, Any]], Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def payloads(count: int) -> Iterator[Payload]:
    for number in range(count):
        content = f"Question {number:06}: {TEXT} When do they meet?"
        yield {"model": "bench", "messages": [{"role": "user", "content": content}], "temperature": 0.0}


async def ours(url: str, asked: Iterator[Payload], concurrency: int) -> None:
    headers = Headers(["Content-Type: application/json", "Authorization: Bearer bench"])

    async def work(client: HttpClient) -> None:
        for payload in asked:
            response = await client.request(
                "POST", url, headers=headers, body=json.dumps(payload).encode(), timeout=60.0
            )
            assert json.loads(response.body)["choices"]

    async with HttpClient(connections=concurrency) as client:
        await asyncio.gather(*(work(client) for _ in range(concurrency)))


async def plain_aiohttp(url: str, asked: Iterator[Payload], concurrency: int) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        for payload in asked:
            async with session.post(url, json=payload) as response:
                assert (await response.json())["choices"]

    connector = aiohttp.TCPConnector(limit=concurrency)
    headers = {"Authorization": "Bearer bench"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrency)))


def measure(run: str, loop: Loop, url: str, requests: int, concurrency: int) -> tuple[float, float]:
    """Seconds of CPU and of wall clock for 1,000 requests."""
    cpu, wall = time.process_time(), time.perf_counter()
    RUNNERS[run](loop(url, payloads(requests), concurrency))
    thousands = requests / 1000
    return (time.process_time() - cpu) / thousands, (time.perf_counter() - wall) / thousands


@contextmanager
def serving() -> Iterator[str]:
    """The server in a process of its own; with two cores, one for it and one for this process."""
    program = [sys.executable, str(Path(__file__).with_name("server.py"))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[:1])
            os.sched_setaffinity(server.pid, cores[1:2])
        try:
            yield f"http://127.0.0.1:{port}/v1/chat/completions"
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="of each client in each repeat")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--loop", choices=RUNNERS, default="asyncio", help="of our client; aiohttp has asyncio's"
    )
    given = parser.parse_args()
    rows = []
    with serving() as url:
        for loop in (ours, plain_aiohttp):  # imports and first connections are no part of a request
            measure(given.loop, loop, url, given.concurrency, given.concurrency)
        for repeat in range(given.repeats):
            cpu, wall = measure(given.loop, ours, url, given.requests, given.concurrency)
            peer, peer_wall = measure("asyncio", plain_aiohttp, url, given.requests, given.concurrency)
            rows.append((cpu, peer, cpu / peer))
            print(
                f"{repeat + 1}: CPU-s per 1,000 requests: ours {cpu:.4f}, aiohttp {peer:.4f}, "
                f"ratio {cpu / peer:.3f}; requests/s {1000 / wall:,.0f}, {1000 / peer_wall:,.0f}",
                flush=True,
            )
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    print(
        f"median at {given.concurrency} at once on {given.loop}: "
        f"ours {middle[0]:.4f}, aiohttp {middle[1]:.4f}, ratio {middle[2]:.3f}"
    )


if __name__ == "__main__":
    main()

"""What one request through an SDK engine costs, beside the bare SDK in the same run.

    python benchmarks/sdk.py [--requests 3000] [--concurrency 8] [--repeats 5] [--kind openai]

Both send the same chat requests through the same SDK to `server.py`, which runs in a process of its
own, and read the answer's text. They take turns, so that a noisy machine slows both. The pools of httpx
look through all their connections for each request, so few at once show the path itself, and many show
the pool. Exits 1 if the engine takes more than 1.10 times the CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent))

from http_client import TEXT, serving

from runner.engines.registry import engine_kinds
from runner.spec import Model
from runner.values import Request, Scope

BOUND = 1.10
SAMPLING = {"temperature": 0.0, "max_tokens": 16}
NAMES = {"openai": "max_completion_tokens", "together": "max_tokens"}
Ask: TypeAlias = Callable[[list[dict[str, Any]]], Awaitable[str]]


def conversations(count: int) -> Iterator[list[dict[str, Any]]]:
    for number in range(count):
        yield [{"role": "user", "content": f"Question {number:06}: {TEXT} When do they meet?"}]


@asynccontextmanager
async def engine(kind: str, root: str) -> AsyncIterator[Ask]:
    described = engine_kinds()[kind]
    given = {"kind": kind, "base_url": f"{root}/v1" if kind == "openai" else root}
    scope = Scope(model={"name": "bench"}, engine={"kind": kind})
    async with described.create(described.settings.model_validate(given), Model(name="bench")) as started:

        async def ask(messages: list[dict[str, Any]]) -> str:
            return (await started.generate(Request("chat", tuple(messages), SAMPLING, scope))).text

        yield ask


@asynccontextmanager
async def bare(kind: str, root: str) -> AsyncIterator[Ask]:
    client: Any
    if kind == "openai":
        from openai import AsyncOpenAI

        client = AsyncOpenAI(base_url=f"{root}/v1", max_retries=0)
    else:
        from together import AsyncTogether

        client = AsyncTogether(base_url=root, max_retries=0)
    sampling = {"temperature": 0.0, NAMES[kind]: 16}
    async with client:

        async def ask(messages: list[dict[str, Any]]) -> str:
            answer = await client.chat.completions.create(model="bench", messages=messages, **sampling)
            return str(answer.choices[0].message.content)

        yield ask


async def worked(way: Any, kind: str, root: str, requests: int, concurrency: int) -> float:
    """Return the CPU seconds of 1,000 requests; the client and its connections are there already."""
    async with way(kind, root) as ask:

        async def work(asked: Iterator[list[dict[str, Any]]]) -> None:
            for messages in asked:
                assert await ask(messages)

        async def all_of(count: int) -> None:
            asked = conversations(count)
            await asyncio.gather(*(work(asked) for _ in range(concurrency)))

        # One alone, which does what an SDK does once, so that both ways then open their connections alike.
        await all_of(1)
        await all_of(2 * concurrency)
        start = time.process_time()
        await all_of(requests)
        return (time.process_time() - start) / (requests / 1000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000, help="of each in each repeat")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kind", choices=NAMES, default="openai")
    given = parser.parse_args()
    os.environ[f"{given.kind.upper()}_API_KEY"] = "bench-key"
    rows = []
    with serving() as url:
        root = url.removesuffix("/v1/chat/completions")
        for repeat in range(given.repeats):
            ours, theirs = (
                asyncio.run(worked(way, given.kind, root, given.requests, given.concurrency))
                for way in (engine, bare)
            )
            rows.append((ours, theirs, ours / theirs))
            print(
                f"{repeat + 1}: CPU-s per 1,000 requests: engine {ours:.3f}, bare {theirs:.3f}, "
                f"ratio {ours / theirs:.3f}",
                flush=True,
            )
    ours, theirs, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"median, {given.kind}: engine {ours:.3f}, bare SDK {theirs:.3f}, ratio {ratio:.3f} (<= {BOUND})")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())

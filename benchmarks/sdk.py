"""What one request through an SDK engine costs, beside the bare SDK in the same run.

    python benchmarks/sdk.py [--requests 3000] [--concurrency 8] [--repeats 5] [--kind openai ...]

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
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent))

from http_client import TEXT, serving

from runner.engines.registry import engine_kinds
from runner.spec import Model
from runner.values import Request, Scope

BOUND = 1.10
KEY = "bench-key"
MOST = 16
SAMPLING = {"temperature": 0.0, "max_tokens": MOST}
Ask: TypeAlias = Callable[[list[dict[str, Any]]], Awaitable[str]]


def conversations(count: int) -> Iterator[list[dict[str, Any]]]:
    for number in range(count):
        yield [{"role": "user", "content": f"Question {number:06}: {TEXT} When do they meet?"}]


@asynccontextmanager
async def engine(kind: str, root: str) -> AsyncIterator[Ask]:
    described = engine_kinds()[kind]
    given = {"kind": kind, "base_url": f"{root}/v1" if kind == "openai" else root}
    scope = Scope(model={"name": "bench"}, engine={"kind": kind})
    taken = {name: value for name, value in SAMPLING.items() if name in described.capabilities.sampling}
    async with described.create(described.settings.model_validate(given), Model(name="bench")) as started:

        async def ask(messages: list[dict[str, Any]]) -> str:
            return (await started.generate(Request("chat", tuple(messages), taken, scope))).text

        yield ask


@asynccontextmanager
async def openai(root: str) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{root}/v1", max_retries=0) as client:

        async def ask(messages: list[dict[str, Any]]) -> str:
            create: Any = client.chat.completions.create
            answer = await create(
                model="bench", messages=messages, temperature=0.0, max_completion_tokens=MOST
            )
            return str(answer.choices[0].message.content)

        yield ask


@asynccontextmanager
async def together(root: str) -> AsyncIterator[Ask]:
    from together import AsyncTogether

    async with AsyncTogether(base_url=root, max_retries=0) as client:

        async def ask(messages: list[dict[str, Any]]) -> str:
            create: Any = client.chat.completions.create
            answer = await create(model="bench", messages=messages, temperature=0.0, max_tokens=MOST)
            return str(answer.choices[0].message.content)

        yield ask


@asynccontextmanager
async def anthropic(root: str) -> AsyncIterator[Ask]:
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(base_url=root, max_retries=0) as client:

        async def ask(messages: list[dict[str, Any]]) -> str:
            create: Any = client.messages.create
            answer = await create(model="bench", messages=messages, max_tokens=MOST)
            return str(answer.content[0].text)

        yield ask


@asynccontextmanager
async def mistral(root: str) -> AsyncIterator[Ask]:
    from mistralai.client import Mistral

    async with Mistral(api_key=KEY, server_url=root) as client:

        async def ask(messages: list[dict[str, Any]]) -> str:
            complete: Any = client.chat.complete_async
            answer = await complete(model="bench", messages=messages, temperature=0.0, max_tokens=MOST)
            return str(answer.choices[0].message.content)

        yield ask


@asynccontextmanager
async def google(root: str) -> AsyncIterator[Ask]:
    from google.genai import Client
    from google.genai.types import Content, GenerateContentConfig, HttpOptions, Part

    client = Client(api_key=KEY, http_options=HttpOptions(base_url=root, api_version="v1beta"))
    async with client.aio as asynchronous:

        async def ask(messages: list[dict[str, Any]]) -> str:
            contents: Any = [
                Content(role=one["role"], parts=[Part.from_text(text=one["content"])]) for one in messages
            ]
            config = GenerateContentConfig(temperature=0.0, max_output_tokens=MOST)
            answer = await asynchronous.models.generate_content(
                model="bench", contents=contents, config=config
            )
            return str(answer.text)

        yield ask


BARE = {
    "anthropic": anthropic,
    "google": google,
    "mistral": mistral,
    "openai": openai,
    "together": together,
}


async def worked(way: AbstractAsyncContextManager[Ask], requests: int, concurrency: int) -> float:
    """Return the CPU seconds of 1,000 requests; the client and its connections are there already."""
    async with way as ask:

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
    parser.add_argument("--kind", nargs="*", choices=BARE, default=list(BARE))
    given = parser.parse_args()
    os.environ.update({f"{kind.upper()}_API_KEY": KEY for kind in [*BARE, "gemini"] if kind != "google"})
    return int(max(measured(kind, given) for kind in given.kind) > BOUND)


def measured(kind: str, given: argparse.Namespace) -> float:
    """Print what the repeats of one SDK took; return the median ratio."""
    rows = []
    with serving() as url:
        root = url.removesuffix("/v1/chat/completions")
        for repeat in range(given.repeats):
            ours, theirs = (
                asyncio.run(worked(way, given.requests, given.concurrency))
                for way in (engine(kind, root), BARE[kind](root))
            )
            rows.append((ours, theirs, ours / theirs))
            print(
                f"{kind} {repeat + 1}: CPU-s per 1,000 requests: engine {ours:.3f}, bare {theirs:.3f}, "
                f"ratio {ours / theirs:.3f}",
                flush=True,
            )
    ours, theirs, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"median, {kind}: engine {ours:.3f}, bare SDK {theirs:.3f}, ratio {ratio:.3f} (<= {BOUND})")
    return float(ratio)


if __name__ == "__main__":
    sys.exit(main())

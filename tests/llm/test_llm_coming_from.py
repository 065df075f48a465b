"""What the page for those who come from LLM-Engines or OpenLLM promises, row by row, from an empty folder."""

from __future__ import annotations

import asyncio
import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.errors import BadRequestError, RequestTimeoutError
from tests.docs.docs_kit import ROOT
from tests.http_server import Exchange, HttpServer, chats
from tests.llm.values_server import endpoints
from tests.work.work_kit import CHAT, Echo

pytestmark = pytest.mark.usefixtures("lab")

PAGE = ROOT / "docs" / "coming-from.md"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server that repeats the last message, and has vLLM's other tasks."""
    echo = Echo(lambda text: (400, "bad") if text == "bad" else None)
    with HttpServer({**endpoints(), CHAT: echo}) as running:
        yield running


def vllm(server: HttpServer, **keys: Any) -> LLM:
    """Return a model at an address; *keys* of the engine's and the LLM's own."""
    own = {name: keys.pop(name) for name in ("cache", "task", "topology", "sampling") if name in keys}
    return LLM({"name": "m"}, engine={"kind": "vllm", "base_url": server.url("/v1"), **keys}, **own)


def sent(server: HttpServer, given: Any = "hi", **sampling: Any) -> dict[str, Any]:
    """Return the body that a call sends."""
    with vllm(server, cache=False) as llm:
        llm.generate_sync(given, **sampling)
    body: dict[str, Any] = server.received[-1].json()
    return body


def png() -> bytes:
    """Return an image of one pixel."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", size) + part(b"IDAT", pixel) + part(b"IEND", b"")


def loads_lazily(server: HttpServer) -> None:
    vllm(server).close()
    assert not server.received


def takes_an_address(server: HttpServer) -> None:
    assert vllm(server).generate_sync("a").text == "a"


def names_a_provider(_: HttpServer) -> None:
    for model in ("openai:NAME", "anthropic:NAME", "google:NAME", "xai:NAME"):
        assert "engine" not in repr(LLM(model))


def takes_model_and_engine_settings(server: HttpServer) -> None:
    LLM({"name": "m", "revision": "r"}, engine={"kind": "vllm", "base_url": server.url("/v1")})


def uses_the_cache(server: HttpServer) -> None:
    for cache, requests in ((True, 1), (True, 1), ("refresh", 2), (False, 3), ("own.sqlite", 4), (True, 4)):
        with vllm(server, cache=cache) as llm:
            llm.generate_sync("a")
        assert len(server.received) == requests
    assert Path("own.sqlite").is_file()


def moves_the_cache(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_RUNS", "elsewhere")
    with vllm(server) as llm:
        llm.generate_sync("a")
    assert Path("elsewhere", ".cache.sqlite").is_file()


def completes(server: HttpServer) -> None:
    with vllm(server, task="complete") as llm:
        assert llm.generate_sync("a", max_tokens=1).text == "x"


def returns_a_response(server: HttpServer) -> None:
    with vllm(server) as llm:
        response = llm.generate_sync([{"role": "system", "content": "Be brief."}, "a"])
        awaited = asyncio.run(llm.generate("a"))
    assert (response.text, response.choices[0].text, awaited.text) == ("a", "a", "a")
    assert response.usage.completion_tokens == 2
    assert response.timing.seconds > 0
    assert server.received[0].json()["messages"][0] == {"role": "system", "content": "Be brief."}


def takes_messages(server: HttpServer) -> None:
    alternating = sent(server, ["a", "b", "c"])["messages"]
    assert [one["role"] for one in alternating] == ["user", "assistant", "user"]
    assert sent(server, [{"role": "user", "content": "a"}])["messages"] == sent(server, "a")["messages"]


def takes_images(_: HttpServer) -> None:
    Path("a.png").write_bytes(png())
    data = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    for image in (png(), Path("a.png"), data):
        parts = [{"type": "image", "image": image}, {"type": "text", "text": "what?"}]
        with HttpServer({CHAT: chats("red")}) as server:
            body = sent(server, [{"role": "user", "content": parts}])
        assert body["messages"][0]["content"][0] == {"type": "image_url", "image_url": {"url": data}}


def takes_the_same_keywords(server: HttpServer) -> None:
    given = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 5,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    }
    assert sent(server, **given).items() >= given.items()
    assert sent(server)["temperature"] == 1
    assert sent(server, passthrough={"mirostat": 2})["mirostat"] == 2


def times_out(server: HttpServer) -> None:
    async def never(exchange: Exchange) -> None:
        await exchange.stall()

    with HttpServer({CHAT: never}) as slow:
        with vllm(slow) as llm, pytest.raises(RequestTimeoutError):
            llm.generate_sync("a", timeout=0.1)
        with vllm(slow, timeout=0.1, max_attempts=1) as llm, pytest.raises(RequestTimeoutError):
            llm.generate_sync("a")
    assert not server.received


def streams(_: HttpServer) -> None:
    with LLM("fake:m") as llm:
        assert list(llm.stream_sync("a b")) == ["a", " b"]
        stream = llm.stream_sync("a b c", n=2)
        for chunk in stream.chunks():
            assert (chunk.index in {0, 1}, chunk.token_ids, chunk.logprobs) == (True, None, None)
        assert [one.finish_reason for one in stream.response.choices] == ["stop", "stop"]


def answers_many(server: HttpServer) -> None:
    with vllm(server, concurrency=32) as llm:
        assert [one.text for one in llm.batch(["a", "b"], progress=False)] == ["a", "b"]
        with pytest.raises(BadRequestError):
            llm.batch(["a", "bad"], progress=False)
        good, bad = llm.batch(["a", "bad"], errors="return", progress=False)
    assert (good.text, type(bad)) == ("a", BadRequestError)  # type: ignore[union-attr]
    assert [one.json()["messages"][0]["content"] for one in server.received].count("bad") == 2


def spreads_over_devices(_: HttpServer) -> None:
    for name in ("data_parallel_size", "tensor_parallel_size"):
        llm = LLM("fake:m", topology={name: 2})
        assert getattr(llm._plan().plain.point.experiment.topology, name) == 2


def embeds(server: HttpServer) -> None:
    with vllm(server) as llm:
        assert llm.embed_sync("a") == asyncio.run(llm.embed("a"))


NOT_HERE = "another program, or the page says that there is nothing of it"
NEEDS_A_GPU_OR_WEIGHTS = (
    "tests/contract, tests/llm/test_llm_sleep.py and test_llm_processes.py do it with real engines"
)
ROWS: dict[str, Callable[..., None] | str] = {
    "`LLMEngine()` then": loads_lazily,
    "`LLMEngine(num_gpus": NEEDS_A_GPU_OR_WEIGHTS,
    "`load_model(verbose": NEEDS_A_GPU_OR_WEIGHTS,
    '`model_name="ORG/NAME"`': NEEDS_A_GPU_OR_WEIGHTS,
    '`engine="openai"`': names_a_provider,
    "`worker_addrs=": takes_an_address,
    "`num_workers`": spreads_over_devices,
    "`num_gpu_per_worker`": spreads_over_devices,
    "`dtype`, `quantization`": takes_model_and_engine_settings,
    "`additional_args`": NEEDS_A_GPU_OR_WEIGHTS,
    "`use_cache`": uses_the_cache,
    "`overwrite_cache`": uses_the_cache,
    "`cache_dir`": uses_the_cache,
    "`LLM_ENGINES_CACHE_DIR`": moves_the_cache,
    "`completion=True`": completes,
    "`max_retry`": times_out,
    "a folder with": NEEDS_A_GPU_OR_WEIGHTS,
    "`call_model(name": returns_a_response,
    "returns text, or": returns_a_response,
    "`messages`: text": takes_messages,
    '`{"type": "image"': takes_images,
    "`conv_system_msg": returns_a_response,
    "`temperature`, `top_p`": takes_the_same_keywords,
    "temperature left out": takes_the_same_keywords,
    "anything else, to": takes_the_same_keywords,
    "`timeout`": times_out,
    "`stream=True`": streams,
    "`batch_call_model": answers_many,
    "a request that failed": answers_many,
    "`disable_batch_api`": NOT_HERE,
    "`datasets.map(": NEEDS_A_GPU_OR_WEIGHTS,
    "`sleep_model": NEEDS_A_GPU_OR_WEIGHTS,
    "`unload_model`": loads_lazily,
    "`get_call_worker_func": takes_an_address,
    "`llm-engines serve`": NOT_HERE,
    "`openllm serve": takes_an_address,
    "`openllm run": streams,
    "`openllm deploy`": NOT_HERE,
    "`openllm model list`": NOT_HERE,
    "`OpenAI(base_url": returns_a_response,
    "`openllm.LLM(": completes,
    "`.generate_iterator`": streams,
    "`GenerationOutput`": streams,
    "`llm.embed(": embeds,
}
"""Beginning of a row -> what shows that it is true, or why nothing does here."""


def page_rows() -> list[str]:
    """Return the first cell of each row of the page's tables."""
    rows = re.findall(r"^\| (.+?) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [row for row in rows if row not in {"LLM-Engines", "OpenLLM", "---"}]


def test_every_row_of_the_page_is_known() -> None:
    """A row that is added needs something that shows it."""
    rows = page_rows()
    assert [row for row in rows if not row.startswith(tuple(ROWS))] == []
    assert [start for start in ROWS if not any(row.startswith(start) for row in rows)] == []


CHECKS = sorted(
    {check for check in ROWS.values() if not isinstance(check, str)}, key=lambda one: one.__name__
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_row_is_true(check: Callable[..., None], server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done as the page says it, in an empty folder."""
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "XAI"):
        monkeypatch.setenv(f"{name}_API_KEY", "not-a-real-key")
    check(server, monkeypatch) if check is moves_the_cache else check(server)

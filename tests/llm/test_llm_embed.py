"""Vectors, asked from code."""

from __future__ import annotations

import asyncio
import pickle
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.errors import BadRequestError, ConfigError, EngineUnreachableError, InputError
from runner.shipped import shipped
from tests.http_server import HttpServer
from tests.llm import stub_vllm
from tests.work.embedding_server import DIMENSION, Embeddings, vector
from tests.work.work_kit import Lab, served

pytestmark = pytest.mark.usefixtures("lab")

EMBEDDINGS = "/v1/embeddings"
PARQUET = "pyarrow.parquet"
ROWS = [{"id": "a", "q": "abc", "a": ""}, {"id": "b", "q": "abcdef", "a": ""}]
UNFIT: Any = 5
"""Nothing that a text could be made of."""


@pytest.fixture
def server() -> Iterator[tuple[Embeddings, str]]:
    """An embeddings endpoint and its base URL."""
    endpoint = Embeddings()
    with HttpServer({EMBEDDINGS: endpoint}) as running:
        yield endpoint, running.url("/v1")


def model(url: str, *, engine: dict[str, Any] | None = None, **keys: Any) -> LLM:
    """Return the lab's model on a server."""
    return LLM({"name": "m"}, engine=served(url, **(engine or {})), **keys)


def floats(text: str) -> list[float]:
    """Return the vector that the server has for a text."""
    return array("f", vector(text)).tolist()


def test_vector_of_a_text_is_the_servers_own(server: tuple[Embeddings, str]) -> None:
    """Awaited or not, every float32 is the one that was sent; one text gives one vector."""

    async def ask() -> tuple[Any, Any]:
        async with model(server[1]) as llm:
            return await llm.embed("a"), await llm.embed(["b", "a"])

    one, many = asyncio.run(ask())
    with model(server[1]) as llm:
        assert llm.embed_sync("a") == one == floats("a")
        assert llm.embed_sync(["b", "a"], progress=False) == many == [floats("b"), floats("a")]
    assert (type(one), len(one), server[0].asked) == (list, DIMENSION, {"a": 1, "b": 1})
    assert array("f", one).tobytes() == vector("a")


def test_texts_that_wait_together_share_a_request(server: tuple[Embeddings, str]) -> None:
    """They go in batches of engine.batch_size, as an experiment's rows do, and stay in their order."""
    texts = [f"text {number}" for number in range(32)]
    with model(server[1], engine={"batch_size": 4}) as llm:
        found = llm.embed_sync(iter(texts), progress=False)

    assert found == [floats(text) for text in texts]
    assert max(server[0].batches) == 4
    assert (len(server[0].batches) <= 16, sum(server[0].batches)) == (True, 32)


def test_embed_finds_what_an_experiment_embedded(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """The same text, model and passthrough have the same key: nothing is sent."""
    pytest.importorskip(PARQUET)
    lab.rows(ROWS)
    sampling = {"passthrough": {"dimensions": 8}}
    lab.run(task="embed", engine=served(server[1]), scorers={}, sampling=sampling)
    assert server[0].asked == {"abc": 1, "abcdef": 1}

    with model(server[1]) as llm:
        found = llm.embed_sync(["abcdef", "abc"], progress=False, passthrough={"dimensions": 8})
        assert server[0].asked.total() == 2
        llm.embed_sync("abc")

    assert found == [floats("abcdef"), floats("abc")]
    assert server[0].asked == {"abc": 2, "abcdef": 1}


def test_experiment_finds_what_embed_was_answered(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """A run whose every row was embedded from code starts no job."""
    pytest.importorskip(PARQUET)
    with model(server[1]) as llm:
        llm.embed_sync([row["q"] for row in ROWS], progress=False)
    lab.rows(ROWS)

    result = lab.run(task="embed", engine=served(server[1]), scorers={})

    assert (result.jobs, result.count.ok, server[0].asked.total()) == (0, 2, 2)


def test_text_that_is_refused_spoils_no_other() -> None:
    """Its error is raised after the others are stored, or stands in its place."""
    endpoint = Embeddings({"bad": (400, "too long")}.get)
    with HttpServer({EMBEDDINGS: endpoint}) as running, model(running.url("/v1")) as llm:
        with pytest.raises(BadRequestError, match="too long"):
            llm.embed_sync(["a", "bad", "b"], progress=False)
        endpoint.asked.clear()
        found = llm.embed_sync(["a", "bad", UNFIT, "b"], errors="return", progress=False)

    assert (found[0], found[3]) == (floats("a"), floats("b"))
    assert [type(one) for one in found[1:3]] == [BadRequestError, InputError]
    assert endpoint.asked == {"bad": 1}


def test_stored_vector_needs_no_server(server: tuple[Embeddings, str]) -> None:
    """Nothing is started or reached for what is in the cache, in a copy for another process neither."""
    named = {"name": "m", "revision": "1"}  # where it is served is no part of its key
    with LLM(named, engine=served(server[1])) as llm:
        llm.embed_sync("a")

    with LLM(named, engine=served("http://127.0.0.1:9/v1")) as gone:
        assert gone.embed_sync("a") == floats("a")
        assert gone.embed_sync([], progress=False) == []
        with pickle.loads(pickle.dumps(gone)) as copy:
            assert copy.embed_sync(["a"], progress=False) == [floats("a")]
    assert server[0].asked == {"a": 1}


def test_vectors_need_no_pyarrow(server: tuple[Embeddings, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an experiment writes Parquet."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed

    with model(server[1]) as llm:
        assert llm.embed_sync("a") == floats("a")


def test_server_is_started_for_the_task(tmp_path: Path) -> None:
    """One start serves one kind of task; after close it may be another."""
    engine = {"kind": "vllm", "python": stub_vllm.interpreter(tmp_path), "device": "cpu"}
    with LLM(str(shipped() / "models" / "tiny"), engine=engine, cache=False) as llm:
        assert llm.embed_sync("a") == [1.0, 2.0]
        with pytest.raises(ConfigError, match="engine vllm was started for embed, and chat needs a start"):
            llm.generate_sync("x")
        with pytest.raises(ConfigError, match="make another LLM for it, or close this one first"):
            llm.batch(["x"], progress=False)
        llm.close()
        assert llm.generate_sync("x").text.isdecimal()


def test_sampling_has_no_part_in_numbers() -> None:
    """What would be dropped is refused, whoever gave it; None takes the LLM's own back."""
    with model("http://127.0.0.1:9/v1", engine={"max_attempts": 1}, sampling={"temperature": 0}) as llm:
        with pytest.raises(ConfigError, match="engine openai_compatible can't honour temperature"):
            llm.embed_sync("a")
        with pytest.raises(ConfigError, match="engine openai_compatible can't honour top_p"):
            llm.embed_sync("a", temperature=None, top_p=1)
        with pytest.raises(EngineUnreachableError):
            llm.embed_sync("a", temperature=None)
        with pytest.raises(ConfigError, match="errors: 'ignore' given, expected raise or return"):
            llm.embed_sync(["a"], errors="ignore")  # type: ignore[call-overload]

"""Logits that overflow a narrow dtype are an error that says what to write."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.engines.transformers import KIND, Transformers
from runner.errors import EngineError
from runner.spec import Model
from runner.values import Request, Scope
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.asking_transformers import TINY

torch = pytest.importorskip("torch")


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """The tiny model with logits that float16 can't hold, and float32 can."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "wide"
    shutil.copytree(TINY, folder)
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"] *= 1e4
    save_file(weights, file, metadata={"format": "pt"})
    return folder


def answers(model: Path, dtype: str, *requests: Request) -> list[Any]:
    async def go() -> list[Any]:
        engine = KIND.create(Transformers(device="cpu"), Model(name=str(model), dtype=dtype))
        async with engine:
            return await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)

    return asyncio.run(go())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_overflow_is_told_with_its_dtype_and_what_to_write(wide: Path, temperature: float) -> None:
    """Of every kind of request; none is answered with what means nothing."""
    spread = {"context": "1+1=", "continuations": ["2", "3"]}
    requests = [
        chat_request("37+48", temperature=temperature, max_tokens=3),
        chat_request("37+48", temperature=temperature, max_tokens=3, logprobs=True, n=2),
        text_request("37+48", max_tokens=1, prompt_logprobs=1, temperature=temperature),
        Request("loglikelihood", spread, {}, Scope({}, {})),
    ]

    found = answers(wide, "float16", *requests)

    for error in found:
        assert isinstance(error, EngineError), error
        assert "NaN or infinity with dtype float16" in str(error)
        assert "set model.dtype to float32 or bfloat16" in str(error)
    (good,) = answers(wide, "float32", requests[0])
    assert good.text

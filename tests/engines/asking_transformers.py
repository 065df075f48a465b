"""The tiny model as transformers itself runs it, and the engine that is held against it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from runner.engines.transformers import KIND, Transformers
from runner.shipped import shipped
from runner.spec import Model
from runner.values import Request, Response

TINY = shipped() / "models" / "tiny"
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 40}


def ask(*requests: Request, settings: dict[str, Any] | None = None, **model: Any) -> list[Response]:
    """Ask all requests at once, on a CPU."""

    async def run() -> list[Response]:
        own = Transformers(**{"device": "cpu", **(settings or {})})
        async with KIND.create(own, Model(**{"name": str(TINY), **model})) as engine:
            return await asyncio.gather(*(engine.generate(request) for request in requests))

    return asyncio.run(run())


@cache
def reference() -> tuple[Any, Any]:
    """Return the library's own model and tokenizer."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(TINY, local_files_only=True).eval()
    return model, transformers.AutoTokenizer.from_pretrained(TINY, local_files_only=True)


def prompt_ids(text: str) -> list[int]:
    """Return the tokens of a chat with one user message."""
    _, tokenizer = reference()
    messages = [{"role": "user", "content": text}]
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return ids


def logits_after(ids: Sequence[int]) -> Any:
    """Return the model's logits after every one of these tokens, computed at once and without a cache."""
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        return reference()[0](torch.tensor([list(ids)])).logits[0].float()


def probabilities(text: str, temperature: float = 1.0) -> list[float]:
    """Return how likely each token is to be the first of the answer to *text*."""
    found: list[float] = (logits_after(prompt_ids(text))[-1] / temperature).softmax(-1).tolist()
    return found


def generated(text: str, tokens: int = 40) -> list[int]:
    """Return what the library's own generate answers greedily, alone."""
    torch = pytest.importorskip("torch")
    model, _ = reference()
    ids = torch.tensor([prompt_ids(text)])
    whole = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens)
    answer: list[int] = whole[0, ids.shape[1] :].tolist()
    return answer

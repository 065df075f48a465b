"""Hugging Face transformers inside this process: what YAML may say of it, and what would stop it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from runner.engines.adapters import adapter_fault
from runner.engines.base import EngineKind
from runner.engines.capabilities import Capabilities, parameters
from runner.engines.dtypes import dtype_faults
from runner.engines.weights import weights_fault
from runner.errors import Fault
from runner.extras import pip_install
from runner.spec import EngineSettings, Model, Topology

CONCURRENCY = 64


class Transformers(EngineSettings):
    """Hugging Face transformers on PyTorch in this process: one model on one GPU, or on the CPU.

    Requests that arrive while a batch is computed form the next one. A seed gives the same answer in
    every batch, up to the rounding of the arithmetic. Logprobs are those of the model itself, before
    penalties and temperature. Without `max_tokens` an answer may fill the model's context.
    """

    kind: Literal["transformers"] = "transformers"
    """transformers on PyTorch in this process; needs no server."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """auto takes a GPU where there is one; planning for another machine than this, say cuda or cpu."""
    batch_size: Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"] = "auto"
    """Most answers computed at once; auto is `concurrency`. Halved whenever the GPU's memory is full."""
    generation_config: Literal["neutral", "model"] = "neutral"
    """Where sampling that nobody declared comes from: neutral defaults, or the model's own."""
    stream: bool = False
    """Have answers come in pieces, and record the time to the first and between them."""

    @property
    def most_at_once(self) -> int:
        """Answers in one batch."""
        if self.batch_size != "auto":
            return self.batch_size
        return CONCURRENCY if self.concurrency == "auto" else self.concurrency


def check(settings: EngineSettings, model: Model) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find weights that aren't here, and what of the model can't be honoured."""
    found = weights_fault(model)
    faults = [] if found is None else [found]
    faults += dtype_faults("transformers", model)
    if model.quantization is not None:
        problem = "transformers loads weights as they are stored, quantized or not"
        faults.append(Fault("model.quantization", problem, "leave it out"))
    if model.tokenizer is not None and Path(model.tokenizer).is_file():
        problem = f"transformers takes a folder or a hub name, not the file {model.tokenizer}"
        faults.append(Fault("model.tokenizer", problem, f"give {Path(model.tokenizer).parent}"))
    if fault := adapter_fault(model):
        faults.append(fault)
    if model.adapter is not None and find_spec("peft") is None:
        problem = "transformers needs peft for adapters, which is not installed"
        faults.append(Fault("model.adapter", problem, pip_install("peft"), asking=True))
    if KIND.installed_version() is not None and find_spec("torch") is None:
        problem = "transformers needs torch, which is not installed"
        faults.append(Fault("engine.kind", problem, "pip install torch", asking=True))
    return faults


def devices(settings: EngineSettings, topology: Topology) -> int:  # noqa: ARG001 - the signature is shared
    """GPUs that it takes: one or none."""
    assert isinstance(settings, Transformers)
    if settings.device == "auto":
        return int(_gpu_here())
    return int(settings.device == "cuda")


def _gpu_here() -> bool:
    """Tell whether this machine has a GPU of NVIDIA's that is not hidden; torch is too slow to ask."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in {"", "-1", "NoDevFiles"}
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


KIND = EngineKind(
    settings=Transformers,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete", "loglikelihood"}),
        sampling=parameters(
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "max_tokens",
            "min_tokens",
            "stop",
            "stop_token_ids",
            "ignore_eos",
            "seed",
            "n",
            "logprobs",
            "top_logprobs",
            "prompt_logprobs",
            "return_token_ids",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "logit_bias",
            "continue_final_message",
            "chat_template_kwargs",
            "json_schema",
            "regex",
            "choice",
        ),
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=CONCURRENCY,
        local=True,
        lacks={"complete": frozenset({"continue_final_message", "chat_template_kwargs"})},
        features=frozenset({"stream", "token_ids", "adapters"}),
    ),
    factory="runner.engines.transformers_engine:TransformersEngine",
    summary="transformers on PyTorch in this process, batched, on a GPU or the CPU",
    distribution="transformers",
    extra="transformers",
    neutral=frozenset({"device", "batch_size", "generation_config", "stream"}),
    devices=devices,
    check=check,
    elsewhere={"device": "cuda"},
)

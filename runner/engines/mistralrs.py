"""mistral.rs inside this process: any Llama-like folder of weights, on a CPU, without torch."""

from __future__ import annotations

from typing import Literal

from runner.engines.base import Capabilities, EngineKind
from runner.spec import EngineSettings


class Mistralrs(EngineSettings):
    """The embedded engine: one model in this process, one request after another."""

    kind: Literal["mistralrs"] = "mistralrs"
    """mistral.rs in this process; runs on a CPU and needs no torch."""


KIND = EngineKind(
    settings=Mistralrs,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling={name: name for name in ("temperature", "top_p", "top_k", "max_tokens")},
        concurrency=1,
        local=True,
    ),
    factory="runner.engines.mistralrs:MistralrsEngine",
    summary="mistral.rs in this process: no server, no torch",
    distribution="mistralrs",
    extra="embedded",
)

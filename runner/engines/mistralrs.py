"""mistral.rs inside this process: what YAML may say of it, and what would stop it."""

from __future__ import annotations

from typing import Literal

from runner.engines.base import EngineKind
from runner.engines.capabilities import Capabilities, parameters
from runner.engines.dtypes import dtype_faults
from runner.engines.weights import weights_fault
from runner.errors import Fault
from runner.spec import EngineSettings, Model


class Mistralrs(EngineSettings):
    """mistral.rs in this process: one model, one request at a time, on a CPU and without torch.

    It draws at random without a seed of ours, so `seed` is refused. Its logprobs are those of the
    distribution it draws from: after the temperature, before top_k, top_p and min_p.
    """

    kind: Literal["mistralrs"] = "mistralrs"
    """mistral.rs in this process; needs no server, no GPU and no torch."""
    stream: bool = False
    """Have answers come in pieces, and record the time to the first and between them."""


def check(settings: EngineSettings, model: Model) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find weights that aren't here, and what of the model mistral.rs can't honour."""
    found = weights_fault(model)
    faults = [] if found is None else [found]
    faults += dtype_faults("mistralrs", model)
    if model.tokenizer is not None:
        problem = "mistralrs takes the tokenizer that lies beside the weights, no other"
        faults.append(Fault("model.tokenizer", problem, "leave it out"))
    return faults


KIND = EngineKind(
    settings=Mistralrs,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling=parameters(
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "max_tokens",
            "logprobs",
            "top_logprobs",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            stop="stop_seqs",
            n="n_choices",
            json_schema="grammar",
            regex="grammar",
            choice="grammar",
        ),
        # All that it would take from the model's own generation config; it is always sent a top_k.
        defaults={"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0},
        concurrency=1,
        local=True,
        lacks={"complete": frozenset({"n", "logprobs", "top_logprobs"})},
        features=frozenset({"stream"}),
        # Its pieces say neither why a second choice ended nor how likely an answer's end was.
        unstreamed=frozenset({"n", "logprobs"}),
        unstreamed_tasks=frozenset({"complete"}),
    ),
    factory="runner.engines.mistralrs_engine:MistralrsEngine",
    summary="mistral.rs in this process: no server, no GPU, no torch",
    distribution="mistralrs",
    extra="embedded",
    neutral=frozenset({"stream"}),
    check=check,
)

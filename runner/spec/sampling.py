"""Sampling parameters, spelled as vLLM and the OpenAI API spell them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from runner.spec.base import LARGEST, Spec


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


MOST_SAMPLES = 1_000_000
"""Most independent answers for a row."""


class Sampling(Spec):
    """What is left out is resolved to the engine's stated default when the plan is made, and sent."""

    temperature: float | None = Field(None, ge=0)
    """0 is greedy."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Nucleus sampling: the smallest set of tokens with this much probability."""
    top_k: int | None = Field(None, ge=1)
    """Only the k most likely tokens; left out means all of them."""
    min_p: float | None = Field(None, ge=0, le=1)
    """Only tokens at least this likely, relative to the most likely one."""
    max_tokens: int | None = Field(None, ge=1)
    """Most tokens to generate for one answer."""
    stop: Annotated[tuple[str, ...], BeforeValidator(_as_list)] | None = Field(None, max_length=16)
    """Strings that end the answer; they are not part of it. One string or a list."""
    seed: int | None = Field(None, ge=0, le=LARGEST - MOST_SAMPLES)
    """Seed of the first sample; sample k is sent seed + k, a signed 64-bit integer."""
    n: int | None = Field(None, ge=1)
    """Choices in one response; `samples` asks for independent answers instead."""
    logprobs: bool | None = None
    """Return the log probability of each token of the answer."""
    top_logprobs: int | None = Field(None, ge=0, le=20)
    """Also return this many alternatives for each token; needs logprobs."""
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    """Flat penalty on tokens that already appeared in the answer."""
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    """Penalty that grows with each appearance in the answer."""
    repetition_penalty: float | None = Field(None, gt=0)
    """Divides the scores of tokens seen in prompt or answer; 1 is none."""

    def given(self) -> dict[str, Any]:
        """Return the parameters that were declared, under their names."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self if v is not None}

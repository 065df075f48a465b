"""What beam search leaves unread of what is asked beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from runner.engines.capabilities import Capabilities
from runner.spec.sampling import is_template
from runner.values import Json

BEAM_SEARCH = "use_beam_search"

_NOTHING: Mapping[str, tuple[Json, ...]] = MappingProxyType({
    "temperature": (0, 1),
    "top_p": (1,),
    "top_k": (-1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "tool_choice": ("auto", "none"),
})
"""Parameter -> values that ask for nothing which beam search would not do."""


def unread(sent: Mapping[str, Json], honoured: Capabilities) -> Iterator[tuple[str, str, str]]:
    """Yield each parameter that beam search drops, with what is told and a hint; none if it isn't asked for.

    A template that a row fills may ask for anything.
    """
    if not sent.get(BEAM_SEARCH) or BEAM_SEARCH not in honoured.sampling:
        return
    for name, value in sent.items():
        nothing = _NOTHING.get(name, ())
        if name in honoured.beam_search or name not in honoured.sampling or value in nothing:
            continue
        hint = f"leave it out, or give {nothing[-1]}" if nothing and name != "top_k" else "leave it out"
        yield name, "beam search leaves it unread", hint
    if (problem := _too_many(sent)) is not None:
        yield "top_logprobs", problem, "ask for fewer, or for a larger n"


def _too_many(sent: Mapping[str, Any]) -> str | None:
    """Find more alternatives than are kept: two for each beam."""
    asked, beams = sent.get("top_logprobs") or 0, sent.get("n") or 1
    if is_template(asked) or is_template(beams) or asked <= 2 * beams:
        return None
    return f"{asked}: beam search keeps {2 * beams} alternatives of a token, two for each of n"

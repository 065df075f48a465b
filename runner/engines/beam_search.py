"""What beam search leaves unread of what is asked beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from runner.engines.capabilities import Capabilities
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


def unread(sent: Mapping[str, Any], honoured: Capabilities) -> Iterator[tuple[str, str, str]]:
    """Yield each parameter that beam search drops, with the problem and a hint."""
    if BEAM_SEARCH not in honoured.sampling or not sent.get(BEAM_SEARCH):
        return
    for name, value in sent.items():
        nothing = _NOTHING.get(name, ())
        if name in honoured.beam_search or name not in honoured.sampling or value in nothing:
            continue
        hint = f"leave it out, or give {nothing[-1]}" if nothing and name != "top_k" else "leave it out"
        yield name, "beam search leaves it unread", hint

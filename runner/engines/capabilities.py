"""What an engine kind can honour: the one table behind validation, the docs and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from runner.values import VALUE_TASKS

Feature: TypeAlias = Literal["stream", "images", "token_ids", "adapters", "batch"]
"""stream: `Engine.stream` gives the text as it comes. images: messages may hold images. token_ids: a raw
prompt may be a list of token ids. adapters: LoRA. batch: the provider's own batch API."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """How an engine takes one of our sampling parameters.

    Attributes:
        name: what the engine itself calls it.
        at_most: largest value it takes, where that is less than ours; of a map, for each value's size.
        count: most values in a list.
        note: what else there is to know, in one line.
    """

    name: str
    at_most: float | None = None
    note: str = ""
    count: int | None = None

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value, if anything is."""
        if self.count is not None and isinstance(value, list | tuple) and len(value) > self.count:
            return f"takes at most {self.count}, not {len(value)}"
        if self.at_most is None:
            return None
        sizes = [value, *(map(abs, value.values()) if isinstance(value, Mapping) else ())]
        numbers = [one for one in sizes if isinstance(one, int | float) and not isinstance(one, bool)]
        if not numbers or max(numbers) <= self.at_most:
            return None
        if isinstance(value, Mapping):
            return f"takes values from {-self.at_most:g} to {self.at_most:g}"
        return f"takes values up to {self.at_most:g}"


def parameters(*same: str, **renamed: str | Parameter) -> dict[str, Parameter]:
    """Return a table: names that the engine shares with us, and those that it calls or bounds otherwise."""
    own = {name: Parameter(p) if isinstance(p, str) else p for name, p in renamed.items()}
    return {**{name: Parameter(name) for name in same}, **own}


OF_CHAT = frozenset({
    "tools",
    "tool_choice",
    "reasoning_effort",
    "continue_final_message",
    "chat_template_kwargs",
})
"""Parameters that servers of the OpenAI API leave unread where a raw prompt is completed."""

COMPLETION_NEEDS = MappingProxyType({"complete": frozenset({"max_tokens"})})
"""Left out, servers of the OpenAI API end a completion of a raw prompt after 16 tokens."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine kind can honour; everything else is refused before launch.

    Attributes:
        tasks: task names it answers.
        sampling: our name of each parameter it takes -> how it takes it.
        defaults: what is sent for parameters that nobody declared, under our names.
        concurrency: requests in flight for ``concurrency: auto``.
        local: it loads weights on the machine it runs on (and may need GPUs), unless it is attached
            to a server by address.
        shared: its rate limit is shared by all jobs, so that one job is the default.
        topology: fields of `Topology` that may be more than 1.
        lacks: task -> parameters of `sampling` that it doesn't take there.
        needs: task -> parameters that must be given there.
        features: what else it can do.
        unadapted: tasks that take no adapter, where others do.
        unstreamed: parameters of `sampling` with which answers never come in pieces.
        unstreamed_tasks: tasks of which they never do.
        beam_search: parameters of `sampling` that are read beside `use_beam_search`, where it takes that.
        one_greedy_choice: it refuses `n` above 1 at temperature 0.
    """

    tasks: frozenset[str]
    sampling: Mapping[str, Parameter]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 64
    local: bool = False
    shared: bool = False
    topology: frozenset[str] = frozenset()
    lacks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    features: frozenset[Feature] = frozenset()
    unadapted: frozenset[str] = frozenset()
    unstreamed: frozenset[str] = frozenset()
    unstreamed_tasks: frozenset[str] = frozenset()
    beam_search: frozenset[str] = frozenset()
    one_greedy_choice: bool = False

    def takes(self, task: str) -> Mapping[str, Parameter]:
        """Return the parameters that a task takes; one that is answered with numbers draws nothing."""
        if task in VALUE_TASKS:
            return {name: own for name, own in self.sampling.items() if name == "passthrough"}
        lacking = self.lacks.get(task, frozenset())
        return {name: own for name, own in self.sampling.items() if name not in lacking}

    def no_pieces(self, task: str, sampling: Mapping[str, Any]) -> str | None:
        """Say what of a request has its answer come at once, if anything has: for task complete, with n."""
        if task in self.unstreamed_tasks:
            return f"for task {task}"
        asked = [
            name
            for name, value in sorted(sampling.items(), key=lambda one: one[0])
            if name in self.unstreamed
            and value is not None
            and value is not False
            and (name, value) != ("n", 1)
        ]
        return f"with {', '.join(asked)}" if asked else None

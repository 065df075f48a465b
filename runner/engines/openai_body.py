"""What is sent to a server that speaks the OpenAI API: our parameters under its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from runner.engines.capabilities import Parameter
from runner.engines.openai_messages import forced_tool
from runner.spec.sampling import CONSTRAINTS
from runner.values import Json, Request

Constrain: TypeAlias = Callable[[str, Json], dict[str, Json]]
"""Called with one of `CONSTRAINTS` and its value; returns the fields of the body that ask for it."""

_APART = frozenset({*CONSTRAINTS, "continue_final_message", "passthrough"})


def response_format(name: str, value: Json) -> dict[str, Json]:
    """Ask for a JSON Schema as OpenAI has it; other constraints it has none of."""
    assert name == "json_schema", f"{name} is refused by the capabilities of whoever uses this"
    schema = {"name": "answer", "strict": True, "schema": value}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


class Body:
    """Makes the bodies of requests for one model on one server.

    Args:
        model: the model's name there.
        sampling: our name of each parameter -> how the server takes it.
        constrain: how the server is told what an answer has to obey.
        further: fields of every body, such as those that ask for an adapter.
        forced_alone: a tool that is forced by its name is sent without the others.
    """

    def __init__(
        self,
        model: str,
        sampling: Mapping[str, Parameter],
        constrain: Constrain = response_format,
        further: Mapping[str, Json] = MappingProxyType({}),
        *,
        forced_alone: bool = False,
    ) -> None:
        self._model = model
        self._names = {name: parameter.name for name, parameter in sampling.items()}
        self._constrain = constrain
        self._further = further
        self._forced_alone = forced_alone
        self._known: dict[tuple[str, int], tuple[Mapping[str, Json], dict[str, Json]]] = {}

    def __call__(self, request: Request) -> dict[str, Any]:
        """Return the body, ready to be encoded."""
        fields = self._fields(request.task, request.sampling)
        if request.task == "chat":
            return {"model": self._model, "messages": request.input, **fields}
        return {"model": self._model, "prompt": request.input, **fields}

    def _fields(self, task: str, sampling: Mapping[str, Json]) -> dict[str, Json]:
        """Return the fields of a sampling; requests share theirs, so that they are made once."""
        known = self._known.get((task, id(sampling)))
        if known is not None and known[0] is sampling:
            return known[1]
        fields = self._made(task, sampling)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[task, id(sampling)] = (sampling, fields)
        return fields

    def _made(self, task: str, sampling: Mapping[str, Json]) -> dict[str, Json]:
        names = self._names
        fields = {names.get(k, k): v for k, v in sampling.items() if k not in _APART}
        if task == "complete" and "logprobs" in fields:
            # Completions take one integer: how many alternatives to show beside the chosen token.
            top = fields.pop("top_logprobs", None) or 0
            fields["logprobs"] = top if fields["logprobs"] else None
        if self._forced_alone and isinstance(choice := fields.get("tool_choice"), dict):
            fields["tools"] = _only(choice, fields.get("tools") or ())
        for name in CONSTRAINTS:
            if name in sampling:
                fields |= self._constrain(name, sampling[name])
        if sampling.get("continue_final_message"):
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
        return {**fields, **self._further, **(sampling.get("passthrough") or {})}


def _only(choice: Json, tools: Sequence[Json]) -> Sequence[Json]:
    """Return the tools of the name that a choice forces; all, where none has it, for the server to refuse."""
    name = forced_tool(choice)
    return [tool for tool in tools if (tool.get("function") or {}).get("name") == name] or tools


_REMEMBERED = 1024
"""Samplings whose fields are kept; rows with samplings of their own don't fill the memory."""

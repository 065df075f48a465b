"""Which sampling values reach an engine, and which it can't honour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from runner.engines.base import EngineKind
from runner.engines.constraints import constraint_fault
from runner.engines.registry import engine_kinds, takers
from runner.engines.weights import weights_folder
from runner.errors import Fault
from runner.prompts import PromptSource, SlotSource
from runner.render import TemplateError, compile_value, unknown_names
from runner.spec import Experiment
from runner.spec.sampling import CONSTRAINTS, is_template
from runner.values import VALUE_TASKS, Json, spelled

_OWN_CONFIG = "generation_config.json"
_THEIR_NAMES = {"max_new_tokens": "max_tokens"}
_THEIRS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")


def effective_sampling(experiment: Experiment, kind: EngineKind) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return what is sent for every request, and notes on what is not sent or comes from the model."""
    given = experiment.sampling.given()
    omit = experiment.model.omit
    notes = [f"sampling.{name}: not sent, the model omits it" for name in omit if name in given]
    defaults, note = _defaults(experiment, kind)
    sampling = {name: value for name, value in {**defaults, **given}.items() if name not in omit}
    return sampling, (*notes, *note)


def _defaults(experiment: Experiment, kind: EngineKind) -> tuple[Mapping[str, Json], list[str]]:
    """Return the values of what nobody declared: neutral ones, or the model's own."""
    if experiment.task in VALUE_TASKS:
        return {}, []
    if getattr(experiment.engine, "generation_config", "neutral") != "model":
        return kind.honours(experiment.engine).defaults, []
    folder = weights_folder(experiment.model) if kind.loads(experiment.engine) else None
    if folder is None:
        return {}, ["sampling: what is left out comes from the server's own generation config"]
    own = _own_config(folder)
    shown = ", ".join(f"{name}={value}" for name, value in own.items()) or "nothing"
    return {**kind.capabilities.defaults, **own}, [f"sampling: the model's {_OWN_CONFIG} sets {shown}"]


def _own_config(folder: Path) -> dict[str, Json]:
    """Return what a model's generation_config.json says, under our names, as vLLM reads it."""
    file = folder / _OWN_CONFIG
    told = msgspec.json.decode(file.read_bytes()) if file.is_file() else {}
    own = {_THEIR_NAMES.get(name, name): told[name] for name in _THEIRS if told.get(name) is not None}
    return {name: value for name, value in own.items() if (name, value) != ("top_k", 0)}


def sampling_faults(experiment: Experiment, kind: EngineKind, prompt: PromptSource | None) -> list[Fault]:
    """Find parameters that the engine can't honour, where the experiment or a slot asks for them."""
    asked = [(f"sampling.{name}", name, value) for name, value in experiment.sampling.given().items()]
    slots = prompt.slots if prompt is not None else ()
    for slot in slots:
        asked += [(f"prompt.turns.{slot.name}.{name}", name, value) for name, value in slot.sampling.items()]
    faults = [fault for one in asked if (fault := _fault(experiment, kind, *one)) is not None]
    faults += [fault for slot in slots for fault in _template_faults(slot.sampling, slots)]
    faults += _template_faults(experiment.sampling.given(), slots)
    if prompt is not None and prompt.illustrated and "images" not in kind.capabilities.features:
        faults.append(Fault("prompt.images", f"engine {kind.name} takes no images", takers("images")))
    if prompt is not None and prompt.token_ids and "token_ids" not in kind.capabilities.features:
        faults.append(Fault("prompt.token_ids", f"engine {kind.name} takes text only", takers("token_ids")))
    return faults + _together(experiment, kind) + _unknown_omits(experiment)


def _fault(experiment: Experiment, kind: EngineKind, place: str, name: str, value: Any) -> Fault | None:
    if name in experiment.model.omit:
        return None
    parameter = kind.honours(experiment.engine).takes(experiment.task).get(name)
    if parameter is None:
        return Fault(place, f"engine {kind.name} can't honour {name}", _who_takes(name, experiment.task))
    if is_template(value):
        return None
    if (problem := parameter.fault(value)) is not None:
        return Fault(place, f"{spelled(value)}: engine {kind.name} {problem}")
    return constraint_fault(name, value) if name in CONSTRAINTS else None


def _template_faults(sampling: Mapping[str, Json], slots: Sequence[SlotSource]) -> list[Fault]:
    """Find values that are templates and can't be, or use names that no row defines."""
    faults = []
    for name, value in sampling.items():
        if not is_template(value):
            continue
        place = f"sampling.{name}"
        try:
            template = compile_value(value, name=place)
        except TemplateError as error:
            faults.append(error.fault(place))
        else:
            faults += unknown_names(template, ["row", *(slot.name for slot in slots[:-1])], place)
    return faults


def _together(experiment: Experiment, kind: EngineKind) -> list[Fault]:
    """Find parameters that need one another."""
    sampling, task = experiment.sampling, experiment.task
    given = sampling.given()
    faults = []
    if sampling.top_logprobs is not None and not given.get("logprobs"):
        faults.append(Fault("sampling.top_logprobs", "needs logprobs", "add sampling.logprobs=true"))
    if "tool_choice" in given and "tools" not in given:
        faults.append(Fault("sampling.tool_choice", "needs tools", "give sampling.tools"))
    if "length_penalty" in given and not given.get("use_beam_search"):
        faults.append(
            Fault("sampling.length_penalty", "needs beam search", "add sampling.use_beam_search=true")
        )
    faults += [
        Fault(
            f"sampling.{name}", f"engine {kind.name} needs it for task {task}", f"such as sampling.{name}=256"
        )
        for name in kind.capabilities.needs.get(task, frozenset()) - set(given)
    ]
    return faults


def _unknown_omits(experiment: Experiment) -> list[Fault]:
    known = list(type(experiment.sampling).model_fields)
    faults = []
    for name in set(experiment.model.omit) - set(known):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        faults.append(Fault("model.omit", f"{name} is no sampling parameter", hint))
    return faults


def _who_takes(name: str, task: str) -> str:
    takers = [kind.name for kind in engine_kinds().values() if name in kind.capabilities.takes(task)]
    return f"taken by: {', '.join(takers)}" if takers else f"no engine takes it for task {task}"

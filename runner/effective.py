"""Which sampling values reach an engine, and which it can't honour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from runner.engines.base import EngineKind
from runner.engines.beam_search import BEAM_SEARCH, unread
from runner.engines.constraints import constraint_fault
from runner.engines.passthrough import passthrough_faults
from runner.engines.registry import engine_kinds, takers
from runner.engines.weights import weights_folder
from runner.errors import Fault
from runner.prompts import PromptSource, SlotSource
from runner.render import TemplateError, compile_template, compile_value, unknown_names
from runner.spec import Experiment
from runner.spec.sampling import CONSTRAINTS, GO_WITH, is_template
from runner.values import VALUE_TASKS, Json, spelled

_OWN_CONFIG = "generation_config.json"
_ONE_TEMPLATE = {list: '"{{ [row.x, row.y] }}"', dict: "\"{{ {'key': row.x} }}\""}
_THEIR_NAMES = {"max_new_tokens": "max_tokens"}
_THEIRS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")


def effective_sampling(
    experiment: Experiment, kind: EngineKind, slots: Sequence[SlotSource] = ()
) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return what is sent for every request, and notes on what is not sent or comes from the model."""
    given = experiment.sampling.given()
    omit = experiment.model.omit
    asked = {"sampling": given} | {f"prompt.turns.{slot.name}": slot.sampling for slot in slots}
    notes = [
        f"{place}.{name}: not sent, the model omits it"
        for place, own in asked.items()
        for name in omit
        if name in own
    ]
    defaults, note = _defaults(experiment, kind)
    sampling = {name: value for name, value in {**defaults, **given}.items() if name not in omit}
    return sampling, (*notes, *note)


def choice_note(experiment: Experiment, slots: Sequence[SlotSource]) -> tuple[str, ...]:
    """Return a note where a response may have more choices than the one that results and scorers see."""
    asked = [experiment.sampling.given().get("n"), *(slot.sampling.get("n") for slot in slots)]
    if "n" in experiment.model.omit or not any(
        is_template(n) or (isinstance(n, int) and n > 1) for n in asked
    ):
        return ()
    seen = "results.jsonl and scorers see the first of n choices, the others are in the cache alone"
    return (f"sampling.n: {seen}; samples asks for answers that are each scored",)


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


def sampling_faults(
    experiment: Experiment, kind: EngineKind, prompt: PromptSource | None, *, whole: bool = True
) -> list[Fault]:
    """Find parameters that the engine can't honour, where the experiment or a slot asks for them.

    If it is the *whole*, and no call adds to it, what the engine needs must be there too.
    """
    asked = [(f"sampling.{name}", name, value) for name, value in experiment.sampling.given().items()]
    slots = prompt.slots if prompt is not None else ()
    for slot in slots:
        asked += [(f"prompt.turns.{slot.name}.{name}", name, value) for name, value in slot.sampling.items()]
    faults = [fault for one in asked if (fault := _fault(experiment, kind, *one)) is not None]
    faults += [
        fault
        for slot in slots
        for fault in _template_faults(f"prompt.turns.{slot.name}", slot.sampling, slots)
    ]
    faults += _template_faults("sampling", experiment.sampling.given(), slots)
    if prompt is not None and prompt.illustrated and "images" not in kind.capabilities.features:
        faults.append(Fault("prompt.images", f"engine {kind.name} takes no images", takers("images")))
    if prompt is not None and prompt.token_ids and "token_ids" not in kind.capabilities.features:
        faults.append(Fault("prompt.token_ids", f"engine {kind.name} takes text only", takers("token_ids")))
    faults += _together(experiment, kind, slots, whole=whole) + _lacking(experiment, kind, slots)
    return faults + _unknown_omits(experiment)


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


def _template_faults(where: str, sampling: Mapping[str, Json], slots: Sequence[SlotSource]) -> list[Fault]:
    """Find values that are templates and can't be, or use names that no row defines."""
    faults = []
    for name, value in sampling.items():
        if not is_template(value):
            continue
        place = f"{where}.{name}"
        try:
            template = compile_value(value, name=place)
        except TemplateError as error:
            faults.append(error.fault(place))
        else:
            faults += unknown_names(template, ["row", *(slot.name for slot in slots[:-1])], place)
    return faults


def unfilled_faults(experiment: Experiment, slots: Sequence[SlotSource]) -> list[Fault]:
    """Find templates for a row within lists and maps, which nothing fills."""
    names = frozenset({"row", *(slot.name for slot in slots[:-1])})
    asked: list[tuple[str, Mapping[str, Json]]] = [("sampling", experiment.sampling.given())]
    asked += [(f"prompt.turns.{slot.name}", slot.sampling) for slot in slots]
    return [
        Fault(
            path,
            f"{text!r} would be sent as it is: a row fills a value as a whole",
            f"write all of {place}.{name} as one template, such as {_ONE_TEMPLATE[type(value)]}",
        )
        for place, sampling in asked
        for name, value in sampling.items()
        if isinstance(value, list | dict)
        for path, text in _texts(f"{place}.{name}", value)
        if is_template(text) and _takes(text, names)
    ]


def _texts(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield the texts of a value with their places."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(f"{path}.{key}", inner)


def _takes(text: str, names: frozenset[str]) -> bool:
    """Tell whether a text is a template that takes any of *names* from outside."""
    try:
        return not names.isdisjoint(compile_template(text, name="sampling").names())
    except TemplateError:
        return False


def _together(
    experiment: Experiment, kind: EngineKind, slots: Sequence[SlotSource], *, whole: bool
) -> list[Fault]:
    """Find parameters that need or exclude one another, in what is sent for each slot."""
    common, _ = effective_sampling(experiment, kind)
    omit = experiment.model.omit
    needs = kind.capabilities.needs.get(experiment.task, frozenset()) if whole else frozenset()
    needed = f"engine {kind.name} needs it for task {experiment.task}"
    places = [(f"prompt.turns.{slot.name}", slot.sampling) for slot in slots] or [("sampling", {})]
    faults: list[Fault] = []
    for slot, sampling in places:
        own = {name: value for name, value in sampling.items() if name not in omit}
        sent = {**common, **own}
        missing = [(name, name, needed, f"such as {{}}.{name}=256") for name in sorted(needs - sent.keys())]
        beams = [(name, BEAM_SEARCH, *told) for name, *told in unread(sent, kind.honours(experiment.engine))]
        if "passthrough" in sent:
            where = slot if "passthrough" in own else "sampling"
            takes = kind.honours(experiment.engine).takes(experiment.task)
            faults += passthrough_faults(where, sent, takes, experiment.task)
        what = kind.honours(experiment.engine).no_pieces(experiment.task, sent)
        if what and getattr(experiment.engine, "stream", False):
            faults.append(
                Fault("engine.stream", f"engine {kind.name} gives no pieces {what}", "leave it out")
            )
        for name, other, problem, hint in [*_unfit(sent), *beams, *missing]:
            place = slot if {name, other} & own.keys() else "sampling"
            write = f"take {other} out of model.omit" if other in omit else hint.format(place)
            faults.append(Fault(f"{place}.{name}", problem, write))
    return list(dict.fromkeys(faults))


def _unfit(sent: Mapping[str, Json]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each parameter that can't be sent like this, the other that it is about, what is told, a hint."""
    for name, (other, problem) in GO_WITH.items():
        if name in sent and not sent.get(other):
            yield name, other, problem, f"give {{}}.{other}" if other == "tools" else f"add {{}}.{other}=true"
    constraints = [name for name in CONSTRAINTS if name in sent]
    if len(constraints) > 1:
        problem = f"an answer obeys one of {', '.join(CONSTRAINTS)}; given: {', '.join(constraints)}"
        yield constraints[0], constraints[1], problem, "leave one of them out"


def _lacking(experiment: Experiment, kind: EngineKind, slots: Sequence[SlotSource]) -> list[Fault]:
    """Find what the engine's settings lack for what is sent, by the experiment or a slot."""
    whole = experiment.sampling.given()
    faults: dict[str, Fault] = {}
    for sampling in (whole, *({**whole, **slot.sampling} for slot in slots)):
        sent = {name: value for name, value in sampling.items() if name not in experiment.model.omit}
        faults |= {fault.place: fault for fault in kind.lacks(experiment.engine, sent)}
    return list(faults.values())


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

"""Which sampling values reach an engine, and which it can't honour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec

from runner.engines.base import EngineKind
from runner.engines.input_rules import role_findings
from runner.engines.registry import engine_kinds, takers
from runner.engines.request_rules import Finding, Target, findings, value_findings
from runner.engines.weights import weights_folder
from runner.errors import Fault
from runner.prompts import PromptSource, SlotSource, final_roles
from runner.render import TemplateError, compile_template, compile_value, unknown_names
from runner.spec import Experiment
from runner.spec.sampling import is_template
from runner.values import VALUE_TASKS, Json

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
    """Find what is wrong with the literal values of the experiment and its slots; templates are for the rows.

    If it is the *whole*, and no call adds to it, what the engine needs must be there too.
    """
    slots = prompt.slots if prompt is not None else ()
    given = experiment.sampling.given()
    target = Target.of(kind, experiment.engine, experiment.task, whole=whole)
    declared: list[tuple[str, Mapping[str, Json]]] = [("sampling", given)]
    declared += [(f"prompt.turns.{slot.name}", slot.sampling) for slot in slots]
    faults = [fault for place, own in declared for fault in _unsupported(experiment, target, place, own)]
    # What every slot replaces is sent to nobody, and wrong all the same.
    sent = {name: value for name, value in given.items() if name not in experiment.model.omit}
    faults += [_placed(found, "sampling", {}, ()) for found in value_findings(sent, target)]
    faults += [fault for place, own in declared[1:] for fault in _template_faults(place, own, slots)]
    faults += _template_faults("sampling", given, slots)
    if prompt is not None and prompt.illustrated and "images" not in kind.capabilities.features:
        faults.append(Fault("prompt.images", f"engine {kind.name} takes no images", takers("images")))
    if prompt is not None and prompt.token_ids and "token_ids" not in kind.capabilities.features:
        faults.append(Fault("prompt.token_ids", f"engine {kind.name} takes text only", takers("token_ids")))
    faults += _together(experiment, target, prompt)
    return list(dict.fromkeys(faults)) + _unknown_omits(experiment)


def _unsupported(
    experiment: Experiment, target: Target, place: str, declared: Mapping[str, Json]
) -> Iterator[Fault]:
    """Find parameters that the engine doesn't take, whatever their values."""
    for name in declared:
        if name not in target.takes and name not in experiment.model.omit:
            problem = f"engine {target.engine} can't honour {name}"
            yield Fault(f"{place}.{name}", problem, _who_takes(name, experiment.task))


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


def _together(experiment: Experiment, target: Target, prompt: PromptSource | None) -> Iterator[Fault]:
    """Find what is wrong with all that is sent for each slot."""
    assert target.kind is not None
    common, _ = effective_sampling(experiment, target.kind)
    omit = experiment.model.omit
    slots = prompt.slots if prompt is not None else ()
    ends = final_roles(prompt) if prompt is not None else ()
    places = [(f"prompt.turns.{slot.name}", slot.sampling) for slot in slots] or [("sampling", {})]
    for index, (place, declared) in enumerate(places):
        own = {name: value for name, value in declared.items() if name not in omit}
        sent = {**common, **own}
        for found in findings(sent, target):
            yield _placed(found, place, own, omit)
        if ends and ends[index] is not None:
            for found in role_findings(ends[index], sent, experiment.task):
                yield _placed(found, place, own, omit)


def _placed(found: Finding, slot: str, own: Mapping[str, Json], omit: Sequence[str]) -> Fault:
    """Return a finding as a fault where it was written: in a slot, if that has a value that it is about."""
    where = slot if found.names & own.keys() else "sampling"
    place, hint = (text.replace("sampling.", f"{where}.") for text in (found.place, found.hint))
    omitted = next((name for name in (*found.others, *found.names) if name in omit), None)
    return Fault(place, found.problem, f"take {omitted} out of model.omit" if omitted else hint)


def _unknown_omits(experiment: Experiment) -> list[Fault]:
    known = list(type(experiment.sampling).model_fields)
    faults = []
    for name in set(experiment.model.omit) - set(known):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        faults.append(Fault("model.omit", f"{name} is no sampling parameter", hint))
    return faults


def _who_takes(name: str, task: str) -> str:
    able = [kind for kind in engine_kinds().values() if task in kind.capabilities.tasks]
    takers = [kind.name for kind in able if name in kind.capabilities.takes(task)]
    return f"taken by: {', '.join(takers)}" if takers else f"no engine takes it for task {task}"

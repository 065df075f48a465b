"""Every rule on the sampling of a request, in one place: values, combinations, what an engine can honour.

A rule is a generator of findings. It reads the sampling as a mapping and knows nothing of templates: at plan
time, reading a value that each row fills ends the rule, and the rows decide (`Literals`). The same rules
apply to each row, once its values are filled, and to every call of an LLM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from runner.engines.base import EngineKind
from runner.engines.beam_search import BEAM_SEARCH, unread
from runner.engines.capabilities import Capabilities, Parameter
from runner.engines.constraints import constraint_fault
from runner.engines.passthrough import passthrough_findings, template_variable_findings
from runner.spec import EngineSettings
from runner.spec.sampling import CONSTRAINTS, GO_WITH, is_template
from runner.values import spelled

_GREEDY_BELOW = 1e-5
"""Temperatures that vLLM takes for 0."""


class Finding(NamedTuple):
    """What is wrong with a sampling.

    Attributes:
        place: ``sampling.NAME`` and maybe what is within, or a setting of the engine.
        problem: what was given and what was expected.
        hint: how to write it; names other parameters as ``sampling.NAME``.
        others: parameters that it is about, beside the one that `place` names.
    """

    place: str
    problem: str
    hint: str = ""
    others: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All parameters that it is about."""
        head, _, rest = self.place.partition(".")
        own = (rest.partition(".")[0],) if head == "sampling" else ()
        return frozenset((*own, *self.others))


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for. The default stands for any engine: only rules that hold for all apply.

    Attributes:
        kind: the engine's kind.
        settings: of the engine.
        task: what is requested.
        honoured: what the engine can honour with these settings.
        takes: parameters that it takes for the task.
        whole: whether all that the engine needs must be given.
    """

    kind: EngineKind | None = None
    settings: EngineSettings | None = None
    task: str = "chat"
    honoured: Capabilities = field(default=Capabilities(frozenset(), {}))
    takes: Mapping[str, Parameter] = field(default_factory=dict)
    whole: bool = True

    @classmethod
    def of(cls, kind: EngineKind, settings: EngineSettings, task: str, *, whole: bool = True) -> Target:
        """Return the target of an engine of *kind*."""
        honoured = kind.honours(settings)
        return cls(kind, settings, task, honoured, honoured.takes(task), whole)

    @property
    def engine(self) -> str:
        """The engine's name."""
        return "any" if self.kind is None else self.kind.name


Sent: TypeAlias = Mapping[str, Any]
Rule: TypeAlias = Callable[[Sent, Target], Iterator[Finding]]


class FilledByRowError(Exception):
    """Ends a rule that needs a value which only a row can tell."""


class Literals(Mapping[str, Any]):
    """The values of a sampling that are no templates; reading one that is ends the rule that does."""

    def __init__(self, sampling: Sent) -> None:
        self._sampling = sampling

    def __getitem__(self, name: str) -> Any:
        value = self._sampling[name]
        if is_template(value):
            raise FilledByRowError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name, value in self._sampling.items() if not is_template(value))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def findings(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find what is wrong with all of the sampling that is sent; templates in it are left to the rows."""
    literals = Literals(sent)
    for rule in TRIGGERS:
        yield from _until_unknown(rule, literals, target)
    for check in target.kind.request_checks if target.kind is not None else ():
        yield from _until_unknown(partial(_of_kind, check), literals, target)


def value_findings(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find values that are wrong whatever is sent beside them."""
    for rule in _OF_VALUES:
        yield from _until_unknown(rule, Literals(sent), target)


class RowRules:
    """The rules that a row can break that fills the templates of *sampling*."""

    def __init__(self, sampling: Sent, target: Target) -> None:
        self._target = target
        self._rules = tuple(rule for rule, names in TRIGGERS.items() if not names or names & sampling.keys())
        self._checks = target.kind.request_checks if target.kind is not None else ()

    def findings(self, sent: Sent) -> Iterator[Finding]:
        """Find what `findings` does, in a sampling of which a row has filled every template."""
        for rule in self._rules:
            yield from rule(sent, self._target)
        for check in self._checks:
            yield from _of_kind(check, sent, self._target)


def _until_unknown(rule: Rule, sent: Sent, target: Target) -> Iterator[Finding]:
    try:
        yield from rule(sent, target)
    except FilledByRowError:
        return


def _of_kind(check: Any, sent: Sent, target: Target) -> Iterator[Finding]:
    for fault in check(target.settings, sent):
        yield Finding(fault.place, fault.problem, fault.hint)


def _in_range(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find values that the engine doesn't take."""
    for name, value in sent.items():
        parameter = target.takes.get(name)
        if parameter is not None and (problem := parameter.fault(value)) is not None:
            given = int(value) if isinstance(value, float) and value.is_integer() else value
            yield Finding(f"sampling.{name}", f"{spelled(given)}: engine {target.engine} {problem}")


def _sound_constraint(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find constraints that no answer could be checked against."""
    for name, value in sent.items():
        if name in CONSTRAINTS and (fault := constraint_fault(name, value)) is not None:
            yield Finding(fault.place, fault.problem, fault.hint)


def _inlined(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find the name of a file; those that a config names are read before."""
    for name, value in sent.items():
        if name in {"json_schema", "tools"} and isinstance(value, str):
            problem = f"{spelled(value, 80)}: expected the JSON itself, not the name of a file"
            yield Finding(f"sampling.{name}", problem)


def _goes_with(name: str, sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find a parameter without the other that it is nothing without."""
    other, problem = GO_WITH[name]
    if name in sent and not sent.get(other):
        hint = f"give sampling.{other}" if other == "tools" else f"add sampling.{other}=true"
        yield Finding(f"sampling.{name}", problem, hint, (other,))


def _one_constraint(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find more than one constraint."""
    given = [name for name in CONSTRAINTS if name in sent]
    if len(given) > 1:
        problem = f"an answer obeys one of {', '.join(CONSTRAINTS)}; given: {', '.join(given)}"
        yield Finding(f"sampling.{given[0]}", problem, "leave one of them out", tuple(given[1:]))


def _lengths(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find a least length above the greatest."""
    least, most = sent.get("min_tokens"), sent.get("max_tokens")
    if least is not None and most is not None and least > most:
        problem = f"{least}: more than max_tokens, which is {most}"
        yield Finding("sampling.min_tokens", problem, f"give at most {most}", ("max_tokens",))


def _greedy_choices(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find several greedy choices, where the engine gives one."""
    if not target.honoured.one_greedy_choice or (sent.get("n") or 1) <= 1:
        return
    temperature = sent.get("temperature")
    if temperature is None or temperature >= _GREEDY_BELOW or sent.get(BEAM_SEARCH):
        return
    problem = f"{sent['n']}: vLLM gives one greedy choice, and temperature is {temperature:g}"
    hint = "leave it out, or give sampling.temperature"
    yield Finding("sampling.n", problem, hint, ("temperature", BEAM_SEARCH))


def _beams(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find what beam search leaves unread."""
    for name, problem, hint in unread(sent, target.honoured):
        yield Finding(f"sampling.{name}", problem, hint, (BEAM_SEARCH,))


def _too_many_alternatives(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find more alternatives of a token than beam search keeps: two for each beam."""
    if BEAM_SEARCH not in target.honoured.sampling or not sent.get(BEAM_SEARCH):
        return
    asked, beams = sent.get("top_logprobs") or 0, sent.get("n") or 1
    if asked > 2 * beams:
        problem = f"{asked}: beam search keeps {2 * beams} alternatives of a token, two for each of n"
        others = ("n", BEAM_SEARCH)
        yield Finding("sampling.top_logprobs", problem, "ask for fewer, or for a larger n", others)


def _passthrough(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find fields of a passthrough that would replace what the plan shows."""
    passed = sent.get("passthrough")
    if isinstance(passed, Mapping):
        able = target.honoured.sampling
        for found in passthrough_findings(passed, sent, target.takes, able, target.task):
            yield Finding(*found)


def _template_variables(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find variables of the chat template that have a key of their own."""
    variables = sent.get("chat_template_kwargs")
    if isinstance(variables, Mapping):
        for found in template_variable_findings(variables, sent):
            yield Finding(*found)


def _known_tool(sent: Sent, target: Target) -> Iterator[Finding]:  # noqa: ARG001 - rules share a signature
    """Find a tool_choice that forces a tool which is not there."""
    function = choice.get("function") if isinstance(choice := sent.get("tool_choice"), Mapping) else None
    forced = function.get("name") if isinstance(function, Mapping) else None
    tools = sent.get("tools")
    if not isinstance(forced, str) or not isinstance(tools, list | tuple):
        return
    functions = [tool.get("function") for tool in tools if isinstance(tool, Mapping)]
    names = [one.get("name") for one in functions if isinstance(one, Mapping)]
    if names and forced not in names:
        problem = f"forces {forced!r}, which is not one of tools"
        yield Finding("sampling.tool_choice", problem, f"tools: {', '.join(map(str, names))}", ("tools",))


def _needed(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find what the engine can't do without."""
    for name in sorted(target.honoured.needs.get(target.task, ())) if target.whole else ():
        if name not in sent:
            problem = f"engine {target.engine} needs it for task {target.task}"
            yield Finding(f"sampling.{name}", problem, f"such as sampling.{name}=256", (name,))


def _in_pieces(sent: Sent, target: Target) -> Iterator[Finding]:
    """Find answers that are to come in pieces, and can't."""
    if getattr(target.settings, "stream", False) and (what := target.honoured.no_pieces(target.task, sent)):
        names = tuple(sorted(target.honoured.unstreamed.intersection(sent)))
        yield Finding("engine.stream", f"engine {target.engine} can't stream {what}", "leave it out", names)


_OF_VALUES: tuple[Rule, ...] = (_in_range, _sound_constraint)
"""Rules on each value by itself; its type and range for every engine are those of `Sampling`."""

_CONSTRAINED = frozenset(CONSTRAINTS)
_ALWAYS: frozenset[str] = frozenset()

TRIGGERS: Mapping[Rule, frozenset[str]] = MappingProxyType({
    _in_range: _ALWAYS,
    _sound_constraint: _CONSTRAINED,
    _inlined: frozenset({"json_schema", "tools"}),
    **{partial(_goes_with, name): frozenset({name}) for name in GO_WITH},
    _one_constraint: _CONSTRAINED,
    _lengths: frozenset({"min_tokens"}),
    _greedy_choices: frozenset({"n"}),
    _beams: frozenset({BEAM_SEARCH}),
    _too_many_alternatives: frozenset({BEAM_SEARCH}),
    _passthrough: frozenset({"passthrough"}),
    _template_variables: frozenset({"chat_template_kwargs"}),
    _known_tool: frozenset({"tool_choice"}),
    _needed: _ALWAYS,
    _in_pieces: _ALWAYS,
})
"""Every rule -> parameters without any of which it finds nothing.

The rules of one kind of engine alone are its `EngineKind.request_checks`.
"""

"""One table of everything that can be wrong with the sampling of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.engines.capabilities import Parameter
from tests.rules.rules_kit import Subject

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FORCED = {"type": "function", "function": {"name": "f"}}
UNKNOWN = {"type": "function", "function": {"name": "g"}}


@dataclass(frozen=True)
class Case:
    """What breaks a rule, and what is close to it and does not.

    Attributes:
        rule: name of the rule, as in `request_rules`.
        bad: values that break it.
        good: values that don't.
        problem: what the message says.
        of: whether the rule holds for an engine and a task that take all values.
        only: which variant of the engine it is about.
    """

    rule: str
    bad: Mapping[str, Any]
    good: Mapping[str, Any]
    problem: str
    of: Callable[[Subject], bool] = field(default=lambda _: True)
    only: str = ""

    def applies(self, subject: Subject) -> bool:
        """Tell whether a subject has to refuse it."""
        fits = subject.variant == self.only if self.only else subject.variant != "bare"
        if subject.variant == "streaming" and subject.honoured.no_pieces(subject.task, self.good):
            return False
        return fits and subject.takes.keys() >= {*self.bad, *self.good} and self.of(subject)


_CASES = (
    Case("_goes_with", {"top_logprobs": 2}, {"top_logprobs": 2, "logprobs": True}, "needs logprobs"),
    Case("_goes_with", {"tool_choice": "auto"}, {"tool_choice": "auto", "tools": [TOOL]}, "needs tools"),
    Case(
        "_goes_with",
        {"length_penalty": 2.0},
        {"length_penalty": 2.0, "use_beam_search": True},
        "needs beam search",
    ),
    Case("_one_constraint", {"regex": "a", "choice": ["a"]}, {"regex": "a"}, "an answer obeys one of"),
    Case(
        "_one_constraint",
        {"json_schema": {"type": "object"}, "choice": ["a"]},
        {"choice": ["a"]},
        "an answer obeys one of",
    ),
    Case(
        "_lengths",
        {"min_tokens": 9, "max_tokens": 3},
        {"min_tokens": 3, "max_tokens": 3},
        "more than max_tokens",
    ),
    Case(
        "_greedy_choices",
        {"n": 2, "temperature": 0},
        {"n": 2, "temperature": 0.5},
        "one greedy choice",
        of=lambda subject: subject.honoured.one_greedy_choice,
    ),
    Case(
        "_beams",
        {"use_beam_search": True, "top_p": 0.5},
        {"use_beam_search": True, "n": 2},
        "beam search leaves it unread",
    ),
    Case(
        "_too_many_alternatives",
        {"use_beam_search": True, "logprobs": True, "top_logprobs": 3},
        {"use_beam_search": True, "logprobs": True, "top_logprobs": 3, "n": 2},
        "beam search keeps 2 alternatives",
    ),
    Case("_passthrough", {"passthrough": {"model": "x"}}, {"passthrough": {"odd": 1}}, "the runner sets it"),
    Case("_passthrough", {"passthrough": {"extra_body": {}}}, {"passthrough": {}}, "an argument of SDKs"),
    Case(
        "_passthrough",
        {"passthrough": {"temperature": 1}},
        {"passthrough": {"odd": 1}, "temperature": 1},
        "it has a key of its own",
    ),
    Case(
        "_passthrough",
        {"passthrough": {"num_predict": 1}, "max_tokens": 3},
        {"passthrough": {"num_predict": 1}},
        "it would replace sampling.max_tokens",
        of=lambda subject: not {**subject.needed(), **subject.honoured.defaults}.get("max_tokens"),
    ),
    Case(
        "_template_variables",
        {"chat_template_kwargs": {"tools": []}},
        {"chat_template_kwargs": {"odd": 1}},
        "no variable of a chat template",
    ),
    Case(
        "_template_variables",
        {"chat_template_kwargs": {"reasoning_effort": "low"}, "reasoning_effort": "high"},
        {"chat_template_kwargs": {"reasoning_effort": "low"}},
        "it would replace sampling.reasoning_effort",
    ),
    Case(
        "_known_tool",
        {"tools": [TOOL], "tool_choice": UNKNOWN},
        {"tools": [TOOL], "tool_choice": FORCED},
        "forces 'g', which is not one of tools",
    ),
    Case("_sound_constraint", {"regex": "("}, {"regex": "a"}, "is not a regular expression"),
    Case(
        "_sound_constraint",
        {"json_schema": {"type": "objekt"}},
        {"json_schema": {"type": "object"}},
        "not a JSON Schema",
    ),
    Case("calls_unread", {"tools": [TOOL]}, {"temperature": 1}, "can't read calls of tools", only="bare"),
    Case(
        "reasoning_unread",
        {"reasoning_effort": "low"},
        {"reasoning_effort": "none"},
        "leaves the reasoning in the answer",
        only="bare",
    ),
)

_UNSTREAMED: Mapping[str, tuple[Any, Any]] = {
    "n": (2, 1),
    "logprobs": (True, False),
    "use_beam_search": (True, False),
    "prompt_logprobs": (1, None),
    "return_token_ids": (True, False),
}
"""Parameter -> a value with which answers come at once, and one with which they don't."""


def cases(subject: Subject) -> list[Case]:
    """Return every case that a subject has to refuse."""
    made = [*_CASES, *_ranges(subject), *_pieces(subject), *_needs(subject)]
    return [case for case in made if case.applies(subject)]


def _ranges(subject: Subject) -> Iterator[Case]:
    for name, parameter in subject.takes.items():
        further = {"logprobs": True} if name == "top_logprobs" else {}
        if parameter.count is not None:
            texts = [str(number) for number in range(parameter.count + 1)]
            yield Case("_in_range", {name: texts}, {name: texts[1:]}, f"takes at most {parameter.count}")
        if parameter.at_most is not None:
            bad, good = _around(name, parameter)
            yield Case("_in_range", {name: bad, **further}, {name: good, **further}, "takes values")


def _around(name: str, parameter: Parameter) -> tuple[Any, Any]:
    most = parameter.at_most
    assert most is not None
    whole = int(most) if float(most).is_integer() else most
    if name == "logit_bias":
        return {"1": -whole - 1}, {"1": whole}
    return whole + 1, whole


def _pieces(subject: Subject) -> Iterator[Case]:
    for name in subject.honoured.unstreamed:
        bad, good = _UNSTREAMED[name]
        yield Case("_in_pieces", {name: bad}, {name: good}, "can't stream", only="streaming")


def _needs(subject: Subject) -> Iterator[Case]:
    for name in subject.honoured.needs.get(subject.task, ()):
        yield Case("_needed", {name: None}, {name: 16}, "needs it for task")


WRONG: Mapping[str, tuple[Any, ...]] = {
    "temperature": (-0.1, "hot", True, [1]),
    "top_p": (0, 1.5, "all"),
    "top_k": (0, -1, 1.5),
    "min_p": (-0.1, 2),
    "max_tokens": (0, -1, 1.5, "many"),
    "min_tokens": (-1, 0.5),
    "stop": ([""], 5, ["a"] * 17),
    "stop_token_ids": ([-1], ["x"], 5, [2**70]),
    "ignore_eos": (3, "perhaps"),
    "seed": (-1, 2**62 * 3, 1.5),
    "n": (0, 1001, "two"),
    "logprobs": ("some", 3),
    "top_logprobs": (-1, 21),
    "prompt_logprobs": (-1, 21),
    "return_token_ids": (5, "perhaps"),
    "presence_penalty": (-2.5, 2.5),
    "frequency_penalty": (-2.5, 2.5),
    "repetition_penalty": (0, -1),
    "logit_bias": ({"x": 1}, {"-1": 1}, [1]),
    "use_beam_search": (5, "perhaps"),
    "length_penalty": ("long", True),
    "json_schema": (5, [1]),
    "regex": (5, ["a"]),
    "choice": ([], 5, [1]),
    "tools": (5, [1]),
    "tool_choice": ("sometimes", 5),
    "reasoning_effort": (5, ["low"]),
    "continue_final_message": (3, "perhaps"),
    "chat_template_kwargs": (5, [1]),
    "passthrough": (5, [1]),
}
"""Parameter -> values that are none of it for any engine, by their type or their range."""

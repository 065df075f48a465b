"""Says in Python what messages say in the words of files and the command line: `LLM("openai:gpt-4o")`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from runner.errors import AskError, ConfigError, Fault

_VALUE = r"([^\s,;?()]+)"
_CONSTANTS = {"true": "True", "false": "False", "null": "None"}
_TEMPLATE = ' or a template such as "{{ row.x }}"'
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"\bengine=(\w+) model\.name={_VALUE}"), lambda found: f'LLM("{found[1]}:{found[2]}")'),
    (re.compile(rf"\bmodel(?:=|: )(?!\{{){_VALUE}"), lambda found: f'LLM("{found[1]}")'),
    (
        re.compile(rf"\b(?:engine|topology)=(?!\{{){_VALUE}"),
        lambda found: f'{found[0].partition("=")[0]}="{found[1]}"',
    ),
    (re.compile(rf"\bsampling\.(\w+)={_VALUE}"), lambda found: f"{found[1]}={_literal(found[2])}"),
    (
        re.compile(rf"\b(model|engine|topology)\.(\w+)={_VALUE}"),
        lambda found: f'{found[1]}={{"{found[2]}": {_literal(found[3])}}}',
    ),
    (re.compile(r"\bcache=(true|false)"), lambda found: f"cache={_literal(found[1])}"),
    (re.compile(r"\{(\w+): (\w+)\}"), lambda found: f'{{"{found[1]}": "{found[2]}"}}'),
    (re.compile(r"\b(?:true|false|null)\b"), lambda found: _CONSTANTS[found[0]]),
)
_OURS = re.compile(r"(, (?:expected|such as) )")
"""Where a problem goes on from what was given to what is to be given."""
_METHODS = {
    "stream": "a stream is asked for by stream(...) or stream_sync(...)",
    "model": "an LLM is one model: make another",
    "messages": "the input is given first, without a name",
    "prompt": "the input is given first, without a name",
}
"""Keywords of other libraries' calls -> what does here what they do."""
_SETTING = re.compile(r"\(set engine\.(\w+)=(\w+)\)")


def in_python(text: str) -> str:
    """Return a text of ours with settings as Python writes them."""
    text = text.replace(_TEMPLATE, "")
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


@contextmanager
def python_words(*, of_call: bool = False) -> Iterator[None]:
    """Have faults of a configuration speak Python; those *of_call* name its keywords as they are."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError([_translated(fault, of_call=of_call) for fault in error.faults]) from None


def about_devices(text: str) -> str:
    """Return what is said of a run's GPUs as it is true of an LLM, which has no cluster."""
    return text.replace("a job takes", "the LLM takes").replace("see cluster.devices and", "see")


def translate(error: AskError) -> None:
    """Have an error of an engine name a setting as Python does; what a server said stays."""
    error.message = _SETTING.sub(r'(set engine={..., "\1": "\2"})', error.message)


def _translated(fault: Fault, *, of_call: bool) -> Fault:
    # What was given is shown as it was given.
    given, *ours = _OURS.split(fault.problem, maxsplit=1)
    problem = _given(given.replace(_TEMPLATE, "")) + in_python("".join(ours))
    place, source = fault.place, fault.source
    if of_call and source in {"", "call"}:
        place, source = place.removeprefix("sampling."), ""
    hint = _METHODS.get(place) if of_call and fault.problem == "unknown key" else None
    return replace(fault, place=place, problem=problem, hint=hint or in_python(fault.hint), source=source)


def _given(text: str) -> str:
    """Return what was given, where JSON and Python write it differently."""
    word, _, rest = text.partition(" ")
    return f"{_CONSTANTS[word]} {rest}" if word in _CONSTANTS else text


def _literal(value: str) -> str:
    """Return a value as Python writes it."""
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    return value if re.fullmatch(r"-?\d+(\.\d+)?|\.\.\.|[\[{].*", value) else f'"{value}"'

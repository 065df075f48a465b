"""Reads command-line overrides with Hydra's own parser."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, isfinite
from typing import Any, Literal, Self

from runner.config.document import COMMAND_LINE, Origin
from runner.config.limits import MOST_DEPTH, refuse_vast
from runner.config.values import names_variables
from runner.errors import ConfigError, Fault
from runner.files import shown_name
from runner.values import Json, canonical_json

Action = Literal["set", "add", "force", "delete"]

_SHOWN = 200
"""Longest value that a hint repeats in quotes."""
_ESCAPE = re.compile(r"\\([\\ntr])")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


class OwnOverride(str):
    """An override that a command gives of its own.

    Attributes:
        origin: what messages say of where it comes from.
    """

    __slots__ = ("origin",)
    origin: Origin

    def __new__(cls, text: str, label: str) -> Self:
        made = super().__new__(cls, text)
        made.origin = Origin(label, in_command=True)
        return made


@dataclass(frozen=True, slots=True)
class Change:
    """One override.

    Attributes:
        line: as typed.
        key: what is changed: dotted parts, or for ``group@package=`` the package.
        group: the group an option is taken from, for ``group@package=``; else empty.
        action: ``key=``, ``+key=``, ``++key=`` or ``~key``.
        values: the value, or all of them for a sweep; empty for ``~key``, and what it must find for
            ``~key=value``.
        sweep: whether the values are an axis.
        comma: whether the axis was written as ``a,b``.
        origin: the command line, or that of an `OwnOverride`.
    """

    line: str
    key: tuple[str, ...]
    group: str
    action: Action
    values: tuple[Json, ...]
    sweep: bool = False
    comma: bool = False
    origin: Origin = COMMAND_LINE

    @property
    def value(self) -> Json:
        """The only value; None for a deletion."""
        return self.values[0] if self.values and self.action != "delete" else None

    @property
    def found(self) -> Json:
        """The value that a deletion must find; None for any."""
        return self.values[0] if self.action == "delete" and self.values else None


def parse_overrides(overrides: Sequence[str], options: Callable[[str], list[str]]) -> list[Change]:
    """Parse *overrides*; *options* lists a group's options, for ``glob()``.

    Raises:
        ConfigError: overrides that can't be read, all of them.
    """
    if not overrides:
        return []
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    changes: list[Change] = []
    faults: list[Fault] = []
    for line in overrides:
        try:
            changes.append(_change(_parsed(parser, line), line, options))
        except (HydraException, ValueError) as error:
            faults.append(_fault(line, str(error)))
        except RecursionError:
            problem = f"more than {MOST_DEPTH} lists and maps within each other"
            faults.append(Fault(line.partition("=")[0], problem, "", _HERE))
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(faults)
    return changes


def without_moot(changes: Sequence[Change]) -> list[Change]:
    """Return *changes* without deletions of what a later one sets: of one key's overrides the last counts."""
    last = {change.key: index for index, change in enumerate(changes) if change.action != "delete"}
    return [
        change
        for index, change in enumerate(changes)
        if change.action != "delete" or len(change.key) == 1 or last.get(change.key, -1) < index
    ]


def sweep_values(key: str, text: str) -> tuple[Json, ...]:
    """Return the values that ``key=text`` sweeps over, or the only one.

    Raises:
        ConfigError: they can't be read.
    """
    (change,) = parse_overrides([f"{key}={text}"], lambda _: [])
    return change.values


def override_text(value: Json) -> str:
    """Return a value as it is typed behind a key; every text is quoted."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if isinstance(value, str):
        return str(QuotedString(value, Quote.single).with_quotes())
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{override_text(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(override_text, value))}]"
    return canonical_json(value).decode()


_HOME = re.compile(r"(?<=[=,\[(:\s])~[^\s,:=\[\](){}'\"]*")
"""A path below a home folder, which Hydra's grammar takes in quotes alone."""


def _parsed(parser: Any, line: str) -> Any:
    """Parse one override.

    Raises:
        HydraException: it can't be read.
    """
    from hydra.errors import HydraException

    try:
        return parser.parse_overrides([line])[0]
    except HydraException:
        quoted = _HOME.sub(r"'\g<0>'", line)
        with suppress(HydraException):
            if quoted != line:
                return parser.parse_overrides([quoted])[0]
        raise


def _change(parsed: Any, line: str, options: Callable[[str], list[str]]) -> Change:
    from hydra.core.override_parser.types import OverrideType, ValueType

    actions: dict[OverrideType, Action] = {
        OverrideType.CHANGE: "set",
        OverrideType.ADD: "add",
        OverrideType.FORCE_ADD: "force",
        OverrideType.DEL: "delete",
    }
    key = parsed.key_or_group
    package = parsed.package
    if not key:
        raise ConfigError([Fault(line, "an override is key=value", "no key stands before the =", _HERE)])
    if parsed.value_type == ValueType.INTERVAL_SWEEP:
        raise ConfigError([Fault(key, "interval() has no end of values; use range() or choice()", "", _HERE)])
    if parsed.type == OverrideType.DEL and parsed.is_sweep_override():
        raise ConfigError([Fault(key, "a deletion can't be swept", f"write ~{key}", _HERE)])
    try:
        values = _values(parsed, options)
    except _NestedSweepError:
        hint = "list all values in one choice()"
        raise ConfigError([Fault(key, "a sweep within a value or another sweep", hint, _HERE)]) from None
    if not values:
        raise ConfigError([Fault(key, "the sweep has no values", "range() leaves its end out", _HERE)])
    return Change(
        line=line,
        key=tuple((key if package is None else package).split(".")),
        group="" if package is None else key,
        action=actions[parsed.type],
        values=() if parsed.value_type is None else values,
        sweep=parsed.is_sweep_override(),
        comma=parsed.value_type == ValueType.SIMPLE_CHOICE_SWEEP,
        origin=line.origin if isinstance(line, OwnOverride) else COMMAND_LINE,
    )


_HERE = COMMAND_LINE.label


class _NestedSweepError(Exception):
    """A value holds a sweep."""


def _values(parsed: Any, options: Callable[[str], list[str]]) -> tuple[Json, ...]:
    from hydra.core.override_parser.types import Glob, RangeSweep

    raw = parsed._value  # noqa: SLF001 - value() forgets which quotes were written
    if isinstance(raw, Glob):
        found = tuple(raw.filter(options(parsed.key_or_group)))
        if not found:
            known = ", ".join(options(parsed.key_or_group)) or "none"
            raise ConfigError([
                Fault(parsed.key_or_group, "glob() matches no option", f"known: {known}", _HERE)
            ])
        return found
    if isinstance(raw, RangeSweep):
        raw = _in_decimal(raw)
        refuse_vast({parsed.key_or_group: _length(raw)}, _HERE)
        parsed = replace(parsed, _value=raw)
    if parsed.is_sweep_override():
        return tuple(_plain(item) for item in parsed.sweep_iterator())
    return (_plain(raw),)


def _in_decimal(sweep: Any) -> Any:
    """Return a range that steps through the numbers as typed: 0.7, not 0.7000000000000001."""
    typed = {name: getattr(sweep, name) for name in ("start", "stop", "step")}
    if not all(isfinite(number) for number in typed.values()):
        raise ValueError("a range has an end")
    fractions = {name: Decimal(repr(number)) for name, number in typed.items() if isinstance(number, float)}
    return replace(sweep, **fractions)


def _length(sweep: Any) -> int:
    """Return how many values a range has."""
    step = Fraction(1 if sweep.step is None else sweep.step)
    return max(0, ceil((Fraction(sweep.stop) - Fraction(sweep.start)) / step)) if step else 0


def _plain(parsed: Any, depth: int = 0) -> Json:
    """Return a parsed value as plain JSON; in double quotes, backslash and n are a line's end."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if isinstance(parsed, QuotedString):
        if parsed.quote is Quote.double:
            return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], parsed.text)
        return parsed.text
    if depth > MOST_DEPTH:
        raise RecursionError
    if isinstance(parsed, list):
        return [_plain(item, depth + 1) for item in parsed]
    if isinstance(parsed, dict):
        return {_key(_plain(key)): _plain(value, depth + 1) for key, value in parsed.items()}
    if not isinstance(parsed, bool | int | float | str | Decimal | None):
        raise _NestedSweepError
    return parsed


def _key(parsed: Json) -> str:
    """Return a map's key as text; a word that reads as another value stays that word."""
    return parsed if isinstance(parsed, str) else canonical_json(parsed).decode()


def _fault(line: str, message: str) -> Fault:
    key, sign, value = line.partition("=")
    if not sign:
        hint = f"write {line}=VALUE, or ~{line} to go back to the default" if line else ""
        return Fault(line or "''", "an override is key=value", hint, _HERE)
    if names_variables(tuple(key.lstrip("+~").split("."))):
        problem = "can't be read; expected the NAME of an environment variable"
        return Fault(key, problem, "what is given is not shown: it may be a key", _HERE)
    reason = message.splitlines()[0][:_SHOWN] if message else "not readable"
    inner = value.strip("'\"").replace('"', '\\"') if len(value) <= _SHOWN else "..."
    hint = f"quote the value for the shell and for the override: '{key}=\"{inner}\"'"
    return Fault(key, f"the value {shown_name(value)} can't be read ({reason})", hint, _HERE)

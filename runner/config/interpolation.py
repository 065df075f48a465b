"""Resolves ``${...}`` as OmegaConf does, and records which environment variables are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from runner.config.document import Key, dotted
from runner.config.references import Growth
from runner.errors import ConfigError, Fault
from runner.streams import require_utf8
from runner.values import Json

_read: ContextVar[dict[str, None] | None] = ContextVar("environment variables read", default=None)
_reads: ContextVar[int] = ContextVar("how often the environment was read", default=0)


@contextmanager
def environment_reads() -> Iterator[dict[str, None]]:
    """Gather the names of the variables that ``${oc.env:NAME}`` reads, in order."""
    names: dict[str, None] = {}
    token = _read.set(names)
    try:
        yield names
    finally:
        _read.reset(token)


@cache
def omegaconf() -> Any:
    """Return OmegaConf, with ``oc.env`` telling what it reads; imported when first needed."""
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    def env(*arguments: Any) -> str | None:
        names = _read.get()
        _reads.set(_reads.get() + 1)
        if names is not None:
            names[str(arguments[0])] = None
        value = oc.env(*arguments)
        require_utf8(value or "", f"the environment variable {arguments[0]}")
        return value

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    return OmegaConf


def resolve(config: dict[str, Json], source: Any) -> tuple[dict[str, Json], list[Fault], list[Key]]:
    """Return *config* with every interpolation resolved, and the faults of those that can't be.

    Last come the places of values that the environment has a part in.

    Args:
        config: with ``${...}`` in it, or not.
        source: called with the place of a fault; says where it was written.
    """
    places = [(place, _text(config, place)) for place in places_of(config, "${")]
    if not places:
        return config, [], []
    if problem := Growth(config).fault([place for place, _ in places]):
        place = places[0][0]
        return config, [Fault(dotted(place), problem, "", source(place))], []
    conf = omegaconf()
    faults = [fault for place, text in places if (fault := _unreadable(place, text, source(place)))]
    if faults:
        return config, faults, []
    node = conf.create(config)
    outside: list[Key] = []
    for place, text in places:
        before = _reads.get()
        if (fault := _unresolvable(node, place, text, source(place))) is not None:
            faults.append(fault)
        elif _reads.get() > before:
            outside.append(place)
    return (config if faults else conf.to_container(node, resolve=True)), faults, outside


def missing(config: dict[str, Json]) -> list[Key]:
    """Return where *config* holds OmegaConf's mark of a value that must be given."""
    return [place for place in places_of(config, "???") if _text(config, place) == "???"]


def _text(config: Json, place: Key) -> str:
    for part in place:
        config = config[part]
    return str(config)


def _unreadable(place: Key, text: str, source: str) -> Fault | None:
    from omegaconf.errors import OmegaConfBaseException

    try:
        omegaconf().create({"value": text})
    except OmegaConfBaseException as error:
        return _fault(place, text, error, source)
    return None


def _unresolvable(node: Any, place: Key, text: str, source: str) -> Fault | None:
    from omegaconf.errors import OmegaConfBaseException

    try:
        for part in place:
            node = node[part]
        if omegaconf().is_config(node):
            omegaconf().to_container(node, resolve=True)
    except (OmegaConfBaseException, KeyError) as error:
        return _fault(place, text, error, source)
    return None


def resolved_text(key: str, text: str, context: dict[str, Json], source: str) -> Json:
    """Return what one interpolated *text* under a top-level *key* comes to.

    Raises:
        ConfigError: it can't be resolved.
    """
    from omegaconf.errors import OmegaConfBaseException

    conf = omegaconf()
    plain = {
        name: value for name, value in context.items() if isinstance(value, str | int | float | dict | list)
    }
    if problem := Growth({**plain, key: text}).fault([(key,)]):
        raise ConfigError([Fault(key, problem, "", source)])
    try:
        found = conf.create({**plain, key: text})[key]
        return conf.to_container(found, resolve=True) if conf.is_config(found) else found
    except OmegaConfBaseException as error:
        raise ConfigError([_fault((key,), text, error, source)]) from None


def unresolved(value: Json, text: str, written: str) -> Json:
    """Return *value*, made from *text*, as if made from what was *written*; other text is kept literal."""
    if isinstance(value, dict):
        return {key: unresolved(inner, text, written) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    prefix = text.removesuffix(value)
    if text.endswith(value) and written.startswith(prefix):
        return written.removeprefix(prefix)
    return literal(value)


def literal(text: str) -> str:
    """Return *text* so that it composes to itself: what looks like an interpolation in it is none."""
    return _DOLLAR.sub(lambda found: found[1] * 2 + "\\${", text)


_DOLLAR = re.compile(r"(\\*)\$\{")


def places_of(value: Json, text: str, path: Key = ()) -> Iterator[Key]:
    """Yield where in *value* a string holds *text*."""
    if isinstance(value, str):
        if text in value:
            yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from places_of(inner, text, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places_of(inner, text, (*path, index))


def _fault(place: Key, text: str, error: Exception, source: str) -> Fault:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    reason = reason.rpartition("raised while resolving interpolation: ")[2].strip('"')
    hint = "write \\${ for a literal ${"
    return Fault(dotted(place), f"{text} can't be resolved: {reason}", hint, source)

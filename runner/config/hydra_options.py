"""Options that are put together from others by a ``defaults:`` list of their own."""

from __future__ import annotations

import re
from typing import Any, cast

from runner.config.document import Document
from runner.config.reader import Reader
from runner.errors import ConfigError, Fault
from runner.values import Json

_PACKAGE = re.compile(r"^\s*#\s*@package\b", re.MULTILINE)


def needs_hydra(document: Document) -> bool:
    """Tell whether an option is more than its own text."""
    return "defaults" in document.data or _PACKAGE.match(document.text) is not None


def hydra_option(reader: Reader, group: str, name: str) -> dict[str, Json]:
    """Return what Hydra makes of an option of a group.

    Raises:
        ConfigError: Hydra refuses it, or it sets keys outside its group.
    """
    from hydra.types import RunMode

    from runner.config.hydra_source import composing, loader
    from runner.config.interpolation import omegaconf

    path = reader.option(group, name)
    source = reader.label(path) if path is not None else ""
    with composing(reader, group, source):
        composed: Any = loader(reader).load_configuration(
            config_name=None, overrides=[f"+{group}={name}"], run_mode=RunMode.RUN, from_shell=False
        )
    config = omegaconf().to_container(composed, resolve=False)
    others = sorted(set(config) - {"hydra", group})
    if others:
        problem = f"the option {name} also sets {', '.join(others)}"
        hint = "options can do that only under a file with a `defaults:` list"
        raise ConfigError([Fault(group, problem, hint, source)])
    return cast("dict[str, Json]", config.get(group) or {})

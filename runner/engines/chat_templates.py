"""Chat templates for engines that know one by its file's name, or guess one where they are given none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from runner.engines.weights import find_weights
from runner.errors import EngineStartError
from runner.spec import Model

_SUFFIX = ".jinja"
_OWN = f"chat_template{_SUFFIX}"
_SENSES = re.compile(r"vision|image|img|audio|speech|mm_")
"""What keys of a config.json speak of where a model takes more than text."""


def as_jinja(model: Model, folder: Path) -> Model:
    """Return *model* with a chat template that ends in .jinja: the user's own, or else a copy in *folder*.

    Raises:
        EngineStartError: it can't be read.
    """
    given = model.chat_template
    if given is None or given.endswith(_SUFFIX):
        return model
    copy = folder.resolve() / _OWN
    try:
        copy.write_bytes(Path(given).read_bytes())
    except OSError as error:
        raise EngineStartError(f"the chat template can't be read: {error}") from error
    return model.model_copy(update={"chat_template": str(copy)})


def with_own(model: Model, guessed: re.Pattern[str], folder: Path) -> Model:
    """Return *model* with its tokenizer's own chat template where an engine would take another.

    A model of images keeps the one that the engine has for it: its processor may need that one.

    Args:
        model: to be loaded.
        guessed: paths of weights by which the engine takes a template that it has.
        folder: where a copy may lie.
    """
    found = find_weights(model.name, model.revision)
    if (
        model.chat_template is not None
        or found is None
        or guessed.search(found.name or str(found.folder)) is None
    ):
        return model
    if any(_SENSES.search(key) for key in _json(found.folder / "config.json")):
        return model
    tokenizer = find_weights(model.tokenizer) if model.tokenizer is not None else found
    own = _template_in(tokenizer.folder) if tokenizer is not None else None
    if own is None:
        return model
    copy = folder.resolve() / _OWN
    copy.write_text(own)
    return model.model_copy(update={"chat_template": str(copy)})


def _template_in(folder: Path) -> str | None:
    """Return the chat template of a tokenizer, as transformers finds it; of several the first."""
    file = folder / _OWN
    if file.is_file():
        return file.read_text()
    own = _json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(own, list) and own:
        own = own[0].get("template")
    return own if isinstance(own, str) else None


def _json(file: Path) -> dict[str, Any]:
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) if file.is_file() else {}

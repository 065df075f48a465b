"""Chat templates for engines that know one by its file's name, or guess one where they are given none."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from runner.engines.weights import Weights, absent_fault, find_weights, read_config, read_json
from runner.errors import EngineStartError, Fault
from runner.files import read_regular
from runner.spec import Model

_SUFFIX = ".jinja"
_OWN = f"chat_template{_SUFFIX}"
_OTHERS = "additional_chat_templates"
_DEFAULT = "default"
"""What transformers calls the template of `_OWN` where there are `_OTHERS`."""
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
        copy.write_bytes(read_regular(Path(given)))
    except OSError as error:
        raise EngineStartError(f"the chat template can't be read: {error}") from error
    return model.model_copy(update={"chat_template": str(copy)})


def with_own(model: Model, guessed: re.Pattern[str], folder: Path, named: str | None = None) -> Model:
    """Return *model* with its tokenizer's own chat template where an engine would take another.

    A model of images keeps the one that the engine has for it: its processor may need that one.

    Args:
        model: to be loaded.
        guessed: paths of weights by which the engine takes a template that it has.
        folder: where a copy may lie.
        named: which one of several; left out, the first.

    Raises:
        EngineStartError: a file that tells of it isn't here or is damaged, or there is none of that name.
    """
    if (fault := absent_template(model, guessed)) is not None:
        raise EngineStartError(str(fault))
    found = find_weights(model.name, model.revision)
    if model.chat_template is not None or found is None or not _is_guessed(guessed, found):
        return model
    if any(_SENSES.search(key) for key in read_config(found.folder)):
        return model
    tokenizer = find_weights(model.tokenizer) if model.tokenizer is not None else found
    own = _template_in(tokenizer.folder, named) if tokenizer is not None else None
    if own is None:
        return model
    copy = folder.resolve() / _OWN
    copy.write_text(own, encoding="utf-8")
    return model.model_copy(update={"chat_template": str(copy)})


def absent_template(model: Model, guessed: re.Pattern[str]) -> Fault | None:
    """Return the fault of a model whose own chat template isn't here, and for which an engine takes another.

    Once it is here it would be given, and the same requests would have other prompts.
    """
    found = find_weights(model.name, model.revision)
    known = guessed.search(model.name) is not None if found is None else _is_guessed(guessed, found)
    if model.chat_template is not None or not known:
        return None
    absent = absent_fault(model)
    if absent is None and model.tokenizer is not None:
        absent = absent_fault(Model(name=model.tokenizer))
    if absent is None:
        return None
    place = "model.name" if found is None else "model.tokenizer"
    problem = (
        f"{absent.problem}; without it the engine takes a chat template that it has, by the model's name"
    )
    return Fault(place, problem, f"{absent.hint}; or give model.chat_template")


def _is_guessed(guessed: re.Pattern[str], found: Weights) -> bool:
    return guessed.search(found.name or str(found.folder)) is not None


class _Named(msgspec.Struct):
    name: str
    template: str


class _TokenizerConfig(msgspec.Struct):
    chat_template: str | list[_Named] | dict[str, str] | None = None


def _template_in(folder: Path, named: str | None) -> str | None:
    """Return the chat template of a tokenizer: of several the one that is *named*, or the first."""
    found = _templates_in(folder)
    if not isinstance(found, dict):
        return found
    if not found:
        return None
    name = next(iter(found)) if named is None else named
    if name not in found:
        raise EngineStartError(f"{folder} has no chat template {name!r}; there are: {', '.join(found)}")
    return found[name]


def _templates_in(folder: Path) -> str | dict[str, str] | None:
    """Return the chat template of a tokenizer, or several by their names, as transformers finds them."""
    main, others = folder / _OWN, sorted((folder / _OTHERS).glob(f"*{_SUFFIX}"))
    if others:
        files = {**({_DEFAULT: main} if main.is_file() else {}), **{file.stem: file for file in others}}
        return {name: _text(file) for name, file in files.items()}
    if main.is_file():
        return _text(main)
    file = folder / "tokenizer_config.json"
    own = read_json(file, _TokenizerConfig).chat_template if file.is_file() else None
    return {one.name: one.template for one in own} if isinstance(own, list) else own


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineStartError(f"the chat template {file} can't be read: {error}") from error

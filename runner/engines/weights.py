"""Where the weights of a model lie on this machine; nothing is ever downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from runner.engines.base import flag_name
from runner.errors import EngineStartError, Fault
from runner.files import expanded, is_file, is_folder
from runner.hashes import WEIGHTS
from runner.spec import Model

_Form = TypeVar("_Form")

_REPOSITORY = "models--"
_HUB_NAME = re.compile(r"^[\w.-]+/[\w.-]+$")

_CONFIGS = ("config.json",)
_SERVED_CONFIGS = (*_CONFIGS, "params.json", ".gguf")
"""What tells a server what weights are: the hub's form, Mistral's own, or the weights themselves."""

PATH_LIKE = ("./", "../", "/", "~")
"""How names begin that can only be paths."""


def is_hub_name(name: str) -> bool:
    """Tell whether *name* has the form ORG/NAME of names on the hub."""
    return _HUB_NAME.match(name) is not None and not name.startswith(PATH_LIKE)


def hub_cache() -> Path:
    """Return the local Hugging Face cache, found as huggingface_hub finds it."""
    if own := os.environ.get("HF_HUB_CACHE"):
        return expanded(own)
    home = os.environ.get("HF_HOME")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return expanded(base / "hub")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights on this machine.

    Attributes:
        folder: where they lie.
        name: of the hub repository that they are a snapshot of, as ORG/NAME; None if they are none.
        commit: of that snapshot; None for a folder of whatever origin, which only its content identifies.
    """

    folder: Path
    name: str | None = None
    commit: str | None = None


def find_weights(name: str, revision: str | None = None) -> Weights | None:
    """Return a model's weights: the folder that an absolute *name* is, or its snapshot in the hub cache."""
    named = Path(name)
    if named.is_absolute():
        return _in_folder(named.resolve()) if is_folder(named) else None
    repository = hub_cache() / f"{_REPOSITORY}{name.replace('/', '--')}"
    branch = repository / "refs" / (revision or "main")
    commit = branch.read_text().strip() if is_file(branch) else (revision or "main")
    folder = repository / "snapshots" / commit
    return Weights(folder, name, commit) if is_folder(folder) else None


def _in_folder(folder: Path) -> Weights:
    """Take a folder for a snapshot only where the hub cache keeps its snapshots."""
    cache = hub_cache().resolve()
    parts = folder.relative_to(cache).parts if folder.is_relative_to(cache) else ()
    match parts:
        case (repository, "snapshots", commit) if repository.startswith(_REPOSITORY):
            return Weights(folder, repository.removeprefix(_REPOSITORY).replace("--", "/"), commit)
    return Weights(folder)


def weights_folder(model: Model) -> Path | None:
    """Return the folder of a model's weights, or None if they aren't on this machine."""
    found = find_weights(model.name, model.revision)
    return None if found is None else found.folder


def read_config(folder: Path) -> dict[str, Any]:
    """Return what the config.json of weights tells; nothing where there is none.

    Raises:
        EngineStartError: it is damaged.
    """
    file = folder / "config.json"
    return read_json(file, dict[str, Any]) if file.is_file() else {}


def read_json(file: Path, form: type[_Form]) -> _Form:
    """Return what a file beside weights holds.

    Raises:
        EngineStartError: it is damaged.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=form)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineStartError(f"{file} can't be read: {error}") from error


def stored_dtype(folder: Path) -> str | None:
    """Return the dtype that the weights in *folder* are stored in, as their config.json tells it.

    Raises:
        EngineStartError: that is damaged.
    """
    config = read_config(folder)
    stored = config.get("dtype") or config.get("torch_dtype")
    return stored if isinstance(stored, str) else None


def weights_size(folder: Path) -> int:
    """Return the size (bytes) of the weights in *folder*, as they are stored."""
    files = [*folder.glob("*.safetensors")] or [*folder.glob("*.bin")]
    # Mistral's come twice: whole, and in the form that others read.
    own = [file for file in files if not file.name.startswith("consolidated")] or files
    return sum(file.stat().st_size for file in own)


def _folder_fault(name: str, configs: Sequence[str], *, bare: bool = False) -> Fault | None:
    """Return the fault of a name that is a folder's without anything in it that an engine could load.

    Args:
        name: of the model.
        configs: files of which one says what the weights are; ``.gguf`` stands for any that says it itself.
        bare: the engine needs no weights to be there.
    """
    folder = Path(name)
    if not folder.is_absolute() or not is_folder(folder):
        return None
    files = [file for file in folder.iterdir() if file.is_file()]
    if any(file.suffix == ".gguf" for file in files) and ".gguf" in configs:
        return None
    lacking = [] if {file.name for file in files} & {*configs} else [f"no {configs[0]}"]
    if not bare and not any(file.suffix in WEIGHTS for file in files):
        lacking.append("no weights, such as model.safetensors")
    if not lacking:
        return None
    problem = f"there is nothing to load in the folder {name}: {' and '.join(lacking)}"
    return Fault("model.name", problem, "give a folder that a model was saved in, or a hub name")


def served_folder_fault(model: Model, args: Iterable[str]) -> Fault | None:
    """Return the fault of a folder that a server, or its engine in this process, could load nothing from.

    Args:
        model: to be loaded.
        args: names of the engine's arguments. A load format may make weights up, or have them elsewhere.
    """
    bare = any(flag_name(flag) == "load-format" for flag in args)
    return _folder_fault(model.name, _SERVED_CONFIGS, bare=bare)


def weights_fault(model: Model) -> Fault | None:
    """Return the fault of a model whose weights aren't here, or not in the hub's form."""
    return absent_fault(model) or _folder_fault(model.name, _CONFIGS)


def absent_fault(model: Model) -> Fault | None:
    """Return the fault of a model that is neither a folder nor in the hub cache."""
    if weights_folder(model) is not None:
        return None
    revision = f" at revision {model.revision}" if model.revision else ""
    download = f"hf download {model.name}" + (f" --revision {model.revision}" if model.revision else "")
    return Fault(
        "model.name",
        f"{model.name}{revision} is neither a folder nor in the local Hugging Face cache ({hub_cache()})",
        f"to have it here: {download}" if is_hub_name(model.name) else "give the path of a folder of weights",
    )

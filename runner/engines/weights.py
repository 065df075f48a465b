"""Where the weights of a model lie on this machine; nothing is ever downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from runner.errors import Fault
from runner.spec import Model


def hub_cache() -> Path:
    """Return the local Hugging Face cache, found as huggingface_hub finds it."""
    if own := os.environ.get("HF_HUB_CACHE"):
        return Path(own).expanduser()
    home = os.environ.get("HF_HOME")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return (base / "hub").expanduser()


def weights_folder(model: Model) -> Path | None:
    """Return the folder of a model's weights: the one it names, or its snapshot in the hub cache."""
    named = Path(model.name).expanduser()
    if named.is_dir():
        return named.resolve()
    repository = hub_cache() / f"models--{model.name.replace('/', '--')}"
    revision = model.revision or "main"
    branch = repository / "refs" / revision
    commit = branch.read_text().strip() if branch.is_file() else revision
    folder = repository / "snapshots" / commit
    return folder if folder.is_dir() else None


def weights_fault(model: Model) -> Fault | None:
    """Return the fault of a model whose weights aren't here."""
    if weights_folder(model) is not None:
        return None
    revision = f" at revision {model.revision}" if model.revision else ""
    return Fault(
        "model.name",
        f"{model.name}{revision} is neither a folder nor in the local Hugging Face cache ({hub_cache()})",
        f"hf download {model.name}" if model.name.count("/") == 1 else "give the path of a folder of weights",
    )

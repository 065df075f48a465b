"""LoRA adapters as peft writes them: a folder with adapter_config.json, or a hub name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from runner.engines.weights import find_weights, is_hub_name
from runner.errors import Fault
from runner.spec import Model

CONFIG = "adapter_config.json"
NAME = "llm-runner-adapter"
"""What servers that are started for one experiment call its adapter."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on this machine.

    Attributes:
        folder: where it lies.
        rank: its largest.
        base: name of the model that it was made for, as it says itself.
    """

    folder: Path
    rank: int
    base: str | None


def find_adapter(name: str) -> Adapter | None:
    """Return the adapter that an absolute folder or a hub name stands for; None if it isn't here."""
    found = find_weights(name)
    config = _config(found.folder) if found is not None else None
    if found is None or config is None:
        return None
    patterns = config.get("rank_pattern") or {}
    rank = max([config.get("r") or 0, *(int(one) for one in patterns.values())])
    return Adapter(found.folder, rank, config.get("base_model_name_or_path") or None)


def base_of(folder: Path) -> str | None:
    """Return the base model of a folder that holds an adapter alone, as it names it; else None."""
    config = None if (folder / "config.json").is_file() else _config(folder)
    return config.get("base_model_name_or_path") or None if config is not None else None


def adapter_fault(model: Model) -> Fault | None:
    """Return the fault of a model whose adapter isn't here, or is none."""
    if model.adapter is None or find_adapter(model.adapter) is not None:
        return None
    if find_weights(model.adapter) is not None:
        return Fault(
            "model.adapter", f"{model.adapter} has no {CONFIG} that can be read", "give a LoRA's folder"
        )
    problem = f"{model.adapter} is neither a folder nor in the local Hugging Face cache"
    hub = is_hub_name(model.adapter)
    hint = f"to have it here: hf download {model.adapter}" if hub else "give the path of a LoRA's folder"
    return Fault("model.adapter", problem, hint)


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode((folder / CONFIG).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None

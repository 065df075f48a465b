"""LoRA adapters for the tiny model, made by hand, and the weights that they stand for."""

from __future__ import annotations

import json
import shutil
from array import array
from math import prod
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from tests.contract.subjects import TINY

RANK, ALPHA = 8, 16
_SIZE, _LAYERS = 128, 3
_MODULES = ("q_proj", "v_proj")

Tensors: TypeAlias = "dict[str, tuple[list[int], array[float]]]"
"""Name -> shape and numbers in float32."""


def adapter(folder: Path, *, base: str = str(TINY), strength: float = 0.03) -> Path:
    """Write a random adapter as peft does; one without strength changes nothing."""
    folder.mkdir(parents=True)
    draw = Random(7)
    tensors: Tensors = {}
    for layer in range(_LAYERS):
        for module in _MODULES:
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{name}.lora_A.weight"] = ([RANK, _SIZE], _random(draw, 0.3))
            tensors[f"{name}.lora_B.weight"] = ([_SIZE, RANK], _random(draw, strength))
    _write(folder / "adapter_model.safetensors", tensors)
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": list(_MODULES),
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def merged(adapter: Path, folder: Path) -> Path:
    """Write the tiny model with an adapter added to its weights."""
    shutil.copytree(TINY, folder)
    weights, low = _read(folder / "model.safetensors"), _read(adapter / "adapter_model.safetensors")
    for name in low:
        if ".lora_A." not in name:
            continue
        own = name.removeprefix("base_model.model.").replace(".lora_A", "")
        down, up, target = low[name][1], low[name.replace("lora_A", "lora_B")][1], weights[own][1]
        for row in range(_SIZE):
            for column in range(_SIZE):
                added = sum(up[row * RANK + k] * down[k * _SIZE + column] for k in range(RANK))
                target[row * _SIZE + column] += ALPHA / RANK * added
    _write(folder / "model.safetensors", weights)
    return folder


def _random(draw: Random, spread: float) -> array[float]:
    return array("f", (draw.gauss(0, spread) for _ in range(RANK * _SIZE)))


def _write(file: Path, tensors: Tensors) -> None:
    """Write the format's length of a header, header, numbers."""
    header: dict[str, Any] = {}
    at = 0
    for name, (shape, numbers) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * len(numbers)]}
        at += 4 * len(numbers)
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    body = b"".join(numbers.tobytes() for _, numbers in tensors.values())
    file.write_bytes(len(told).to_bytes(8, "little") + told + body)


def _read(file: Path) -> Tensors:
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    found: Tensors = {}
    for name, told in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        assert told["dtype"] == "F32"
        first, last = told["data_offsets"]
        found[name] = (told["shape"], array("f", data[start + first : start + last]))
        assert len(found[name][1]) == prod(told["shape"])
    return found

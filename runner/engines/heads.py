"""Whether weights have the head that a task's answers come from; without one, engines make the numbers up."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from runner.engines.base import flag_name
from runner.engines.weights import read_config, read_json, weights_folder
from runner.errors import EngineStartError, Fault
from runner.spec import EngineSettings, Model

_NAMED = re.compile(r"Classif|Reward|Rank|CrossEncoder|ForJointSchema|ForScore")
"""What architectures with a head are called: those that vLLM 0.32 and SGLang 0.5.23 know, and a few."""

_CALLED = {"classify": "classification", "reward": "reward", "score": "scoring", "rerank": "scoring"}
_TRAINED = "give a model whose architecture has one, such as a LlamaForSequenceClassification"

_SIZE_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000
"""What the safetensors format allows."""


@dataclass(frozen=True, slots=True)
class Heads:
    """How one kind of engine comes by heads.

    Attributes:
        tasks: whose answers come from one, with these arguments of the engine's, whose names are as it
            lists them -> what else does it; none where the arguments may give the model one.
        tensors: names of those that it takes for a head, whatever the model's architecture.
        keys: of a config.json with which it makes one.
    """

    tasks: Callable[[Mapping[str, object]], Mapping[str, str]] = lambda _: {}
    tensors: re.Pattern[str] | None = None
    keys: Collection[str] = ()

    def faults(self, settings: EngineSettings, model: Model, task: str) -> list[Fault]:
        """Find that a task's answers need a head, and that the weights, which are to be loaded, have none.

        Of weights that aren't here, or that a running server has, nothing is known.
        """
        if getattr(settings, "base_url", None) is not None:
            return []
        needing = self.tasks({
            flag_name(flag): value for flag, value in getattr(settings, "args", {}).items()
        })
        folder = weights_folder(model) if task in needing else None
        if folder is None:
            return []
        try:
            lacking = self._lacking(folder)
        except EngineStartError as error:
            return [Fault("model.name", str(error), "fetch or copy the model again")]
        if lacking is None:
            return []
        needed = f"task {task} needs a model with a {_CALLED[task]} head"
        return [Fault("task", f"{needed}; {model.name} {lacking}", f"{_TRAINED}; {needing[task]}")]

    def _lacking(self, folder: Path) -> str | None:
        """Say what weights are that have no head; None where they have one, or don't show it."""
        config = read_config(folder)
        named = config.get("architectures")
        architecture = " ".join(map(str, named)) if isinstance(named, list) else ""
        if _NAMED.search(architecture) or self._makes(config):
            return None
        tensors = _tensors(folder) if self.tensors is not None or not architecture else None
        if tensors and self.tensors is not None and any(map(self.tensors.search, tensors)):
            return None
        if architecture:
            return f"is a {architecture} without one"
        return "has none" if tensors else None

    def _makes(self, config: Mapping[str, Any]) -> bool:
        text = config.get("text_config")
        return any(key in one for one in (config, text) if isinstance(one, dict) for key in self.keys)


NO_HEADS = Heads()
"""Of an engine that does no task that needs one."""


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def _tensors(folder: Path) -> set[str]:
    """Return the names of the tensors that safetensors in a folder hold; of other forms there are none."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return {*read_json(index, _Index).weight_map}
    return {name for file in folder.glob("*.safetensors") for name in _header(file)}


def _header(file: Path) -> dict[str, Any]:
    """Return what the head of a file of safetensors tells: the size of its JSON, and that."""
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(_SIZE_BYTES), "little")
            return msgspec.json.decode(stream.read(min(size, _MOST_HEADER_BYTES)), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineStartError(f"{file} can't be read: {error}") from error

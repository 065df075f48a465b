"""Finds the LoRA adapter that a model names, or that the model itself turns out to be."""

from __future__ import annotations

from pathlib import Path

from runner.config.keys import nearest
from runner.config.reader import Reader
from runner.engines.adapters import CONFIG, base_of
from runner.engines.weights import find_weights, is_hub_name
from runner.errors import Fault
from runner.files import entries, is_file, is_folder, shown_name
from runner.spec import Model


class Adapted:
    """Settles models with adapters; each folder is looked for once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._places = reader.places
        self._folders: dict[str, Path | None] = {}

    def settle(self, model: Model, folder: Path | None) -> tuple[dict[str, str], list[Fault]]:
        """Return what of a model changes, whose weights lie in *folder* unless the hub has them.

        A folder that holds an adapter alone stands for the model that it was made for, with it on top.
        """
        found = find_weights(str(folder) if folder is not None else model.name, model.revision)
        base = base_of(found.folder) if found is not None else None
        if base is None:
            return self._named(model)
        if model.adapter is not None:
            problem = f"{model.name} is an adapter itself, of {base}"
            return {}, [
                Fault("model.adapter", problem, "name the base model in model.name, or leave one out")
            ]
        weights = self._folder(base)
        if weights is None and not is_hub_name(base):
            problem = f"{model.name} is an adapter of {base}, which is neither a folder here nor a hub name"
            return {}, [Fault("model.name", problem, "give the base model, and the adapter as model.adapter")]
        return {"name": str(weights or base), "adapter": str(folder or model.name)}, []

    def _named(self, model: Model) -> tuple[dict[str, str], list[Fault]]:
        name = model.adapter
        if name is None:
            return {}, []
        if (folder := self._folder(name)) is not None:
            return {"adapter": str(folder)}, []
        given = Path(name)
        above = (self._places.root / given).parent
        names = [one.name for one in entries(above) if is_file(one / CONFIG)]
        hint = nearest(given.name, names, say_known=False)
        if is_hub_name(name) and not hint:
            return {}, []
        looked = self._places.obstacle(name) or f"looked in {self._reader.folders([above])}"
        problem = f"{shown_name(name)} is neither a folder ({looked}) nor a hub name such as ORG/NAME"
        return {}, [Fault("model.adapter", problem, hint)]

    def _folder(self, name: str) -> Path | None:
        if name not in self._folders:
            found = self._places.find(name)
            self._folders[name] = found.absolute() if found is not None and is_folder(found) else None
        return self._folders[name]

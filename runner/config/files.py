"""Checks that the files an experiment names are there, and makes their paths absolute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.config.adapted import Adapted
from runner.config.inlined import Inliner
from runner.config.keys import nearest, served
from runner.config.reader import Reader
from runner.config.row_files import ROW_SUFFIXES
from runner.engines.registry import engine_kinds
from runner.engines.weights import is_hub_name
from runner.errors import Fault
from runner.files import entries, expanded, is_file, is_folder, shown_name
from runner.spec import Experiment, Model
from runner.values import Json

_MOST_NAMED = 10
_TOKENIZERS = ("tokenizer", "vocab", "merges", "tekken", "spiece", "sentencepiece", "source.spm")
"""How names of a tokenizer's files begin."""
_TOKENIZER_SUFFIXES = {".model", ".tiktoken", ".gguf"}


class Files:
    """Checks the files of one composition's points; each is looked for once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._places = reader.places
        self._datasets: dict[str, Path | None] = {}
        self._models: dict[str, Path | None] = {}
        self._model_paths: dict[tuple[str, str], Path | None] = {}
        self._prompts: dict[str, bool] = {}
        self._adapted = Adapted(reader)
        self._inliner = Inliner(self._places)

    def settle(self, experiment: Experiment, written: Mapping[str, Any]) -> tuple[Experiment, list[Fault]]:
        """Return *experiment* with absolute paths, and a fault for each file that isn't there."""
        changed, faults = self._inliner.settle(experiment)
        path = self._dataset(experiment.dataset.path)
        if path is None:
            faults.append(self._no_dataset(written["dataset"]["path"]))
        else:
            changed["dataset"] = experiment.dataset.model_copy(update={"path": str(path)})
        model, fault = self._model(experiment, written["model"]["name"])
        if fault is not None:
            faults.append(fault)
        files, missing = self._model_files(experiment.model, written["model"])
        faults += missing
        if model is not None:
            files["name"] = str(model)
        if engine_kinds()[experiment.engine.kind].loads(experiment.engine):
            adapted, missing = self._adapted.settle(experiment.model, model)
            files, faults = files | adapted, faults + missing
        if files:
            changed["model"] = experiment.model.model_copy(update=files)
        template = experiment.prompt.template
        if template is not None and not self._has_template(template):
            faults.append(self._no_template(template))
        return experiment.model_copy(update=changed), faults

    def no_rows(self, dataset: Json) -> list[Fault]:
        """Return the fault of a dataset, written in any shape, whose file isn't there."""
        path = dataset.get("path") if isinstance(dataset, dict) else None
        if not isinstance(path, str) or "${" in path or self._dataset(path) is not None:
            return []
        return [self._no_dataset(path)]

    def _dataset(self, path: str) -> Path | None:
        if path not in self._datasets:
            found = self._places.rows(path)
            self._datasets[path] = found.absolute() if found is not None and is_file(found) else None
        return self._datasets[path]

    def _no_dataset(self, path: str) -> Fault:
        shown = shown_name(path)
        there = self._places.rows(path)
        if there is not None and is_folder(there):
            within = [one.name for one in entries(there) if one.name.endswith(ROW_SUFFIXES)]
            hint = f"name a file in it: {', '.join(within[:_MOST_NAMED])}" if within else ""
            return Fault("dataset.path", f"{shown} is a folder, no file", hint)
        names = [name for name in self._names(path, rows=True) if name.endswith(ROW_SUFFIXES)]
        return Fault(
            "dataset.path",
            f"no file {shown} ({self._looked(path, rows=True)})",
            nearest(Path(path).name, names[:50]),
        )

    def _bases(self, path: str, *, rows: bool = False) -> list[Path]:
        """Return the folders in which *path* was looked for."""
        if self._places.obstacle(path):
            return []
        above = expanded(path).parent
        here = (Path.cwd(),) if path in self._reader.typed else ()
        bases = (*here, *self._places.bases(path, rows=rows))
        return list(dict.fromkeys((base / above).resolve() for base in bases))

    def _looked(self, path: str, shown: str | None = None, *, rows: bool = False) -> str:
        """Say in which folders *path*, *shown* so, was looked for; or why it can't be there."""
        if why := self._places.obstacle(path):
            return why
        return f"looked in {self._reader.folders(self._bases(path if shown is None else shown, rows=rows))}"

    def _names(self, path: str, *, rows: bool = False) -> list[str]:
        """Return what there is beside *path*."""
        return sorted({one.name for folder in self._bases(path, rows=rows) for one in entries(folder)})

    def _has_template(self, name: str) -> bool:
        if name not in self._prompts:
            self._prompts[name] = self._places.template(name) is not None
        return self._prompts[name]

    def _no_template(self, name: str) -> Fault:
        folders = self._places.templates
        names = sorted({one.name for folder in folders for one in entries(folder) if is_folder(one)})
        looked = self._reader.folders(folders) or "templates (no such folder)"
        return Fault("prompt.template", f"no folder {shown_name(name)} in {looked}", nearest(name, names))

    def _model(self, experiment: Experiment, shown: str) -> tuple[Path | None, Fault | None]:
        """Return the folder of local weights, None for a name that the engine itself knows, or a fault."""
        kind = engine_kinds()[experiment.engine.kind]
        if not kind.names_weights(experiment.engine):
            return None, None
        name = experiment.model.name
        if name not in self._models:
            found = self._places.find(name)
            self._models[name] = found.absolute() if found is not None and is_folder(found) else None
        folder = self._models[name]
        if folder is not None or not kind.loads(experiment.engine):
            return folder, None
        return None, self._no_model(name, shown)

    def _model_files(self, model: Model, written: Mapping[str, Any]) -> tuple[dict[str, str], list[Fault]]:
        """Return where the chat template and the tokenizer lie; a tokenizer may also be a hub name."""
        found: dict[str, str] = {}
        faults = []
        for field in ("chat_template", "tokenizer"):
            name = getattr(model, field)
            if name is None:
                continue
            if (path := self._model_file(field, name)) is not None:
                found[field] = str(path)
            elif fault := self._no_model_file(field, name, written[field]):
                faults.append(fault)
        return found, faults

    def _model_file(self, field: str, name: str) -> Path | None:
        if (field, name) not in self._model_paths:
            path = self._places.find(name)
            fits = path is not None and (is_file(path) or (field == "tokenizer" and _holds_tokenizer(path)))
            self._model_paths[field, name] = path.absolute() if path is not None and fits else None
        return self._model_paths[field, name]

    def _no_model_file(self, field: str, name: str, shown: str) -> Fault | None:
        hub = field == "tokenizer" and is_hub_name(name)
        hint = nearest(Path(name).name, self._names(name)[:50], say_known=field == "chat_template")
        if hub and not hint:
            return None
        looked = self._looked(name, shown)
        shown = shown_name(shown)
        if field == "chat_template":
            why = self._places.no_file(name)
            where = f"{looked}; {why}" if why not in {"", looked} else looked
            return Fault("model.chat_template", f"no file {shown} ({where})", hint)
        if (found := self._places.find(name)) is not None and is_folder(found):
            return Fault(
                "model.tokenizer", f"{shown} is a folder without a tokenizer", "such as tokenizer.json"
            )
        problem = f"{shown} is neither a folder or file ({looked}) nor a hub name such as ORG/NAME"
        return Fault("model.tokenizer", problem, hint)

    def _no_model(self, name: str, shown: str) -> Fault | None:
        hint = nearest(Path(name).name, self._names(name), say_known=False)
        if name.startswith("hf:") and is_hub_name(name.removeprefix("hf:")):
            hint = f"did you mean model={shown}, or model.name={shown.removeprefix('hf:')}?"
        hint = " ".join(filter(None, [hint, served(name, engine_kinds())]))
        if is_hub_name(name) and not hint:
            return None
        problem = (
            f"{shown_name(shown)} is neither a folder ({self._looked(name, shown)}) "
            "nor a hub name such as ORG/NAME"
        )
        return Fault("model.name", problem, hint)


def _holds_tokenizer(folder: Path) -> bool:
    """Tell whether a folder holds a tokenizer's files; any other, such as ``/``, may be too large to hash."""
    known = (
        one
        for one in entries(folder)
        if one.name.startswith(_TOKENIZERS) or one.suffix in _TOKENIZER_SUFFIXES
    )
    return any(map(is_file, known))

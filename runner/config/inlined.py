"""JSON files that sampling values name, read into the config: what is launched holds their content."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from runner.errors import Fault
from runner.files import is_file, read_regular, shown_name
from runner.places import Places
from runner.spec import Experiment, Prompt, Sampling

_FIELDS = ("json_schema", "tools")
_Sampled = TypeVar("_Sampled", bound=Sampling)


class Inliner:
    """Reads the files of one composition, each once.

    Args:
        places: find what a path of the user's names.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._read: dict[str, Any] = {}

    def settle(self, experiment: Experiment) -> tuple[dict[str, object], list[Fault]]:
        """Return the fields of *experiment* that change, and a fault for each file that can't be used."""
        faults: list[Fault] = []
        changed: dict[str, object] = {}
        sampling = self._sampling(experiment.sampling, "sampling", faults)
        if sampling is not experiment.sampling:
            changed["sampling"] = sampling
        prompt = self._prompt(experiment.prompt, faults)
        if prompt is not experiment.prompt:
            changed["prompt"] = prompt
        return changed, faults

    def _prompt(self, prompt: Prompt, faults: list[Fault]) -> Prompt:
        turns = []
        for index, turn in enumerate(prompt.turns or ()):
            slot = turn.generate
            if slot is not None:
                made = self._sampling(slot, f"prompt.turns.{index}.generate", faults)
                turn = turn if made is slot else turn.model_copy(update={"generate": made})  # noqa: PLW2901 - the turn as it is meant
            turns.append(turn)
        same = all(new is old for new, old in zip(turns, prompt.turns or (), strict=True))
        return prompt if same else prompt.model_copy(update={"turns": tuple(turns)})

    def _sampling(self, sampling: _Sampled, place: str, faults: list[Fault]) -> _Sampled:
        """Return *sampling* with the content of the files that it names."""
        named = {field: path for field in _FIELDS if isinstance(path := getattr(sampling, field), str)}
        if not named:
            return sampling
        content: dict[str, object] = {}
        for field, path in named.items():
            try:
                content[field] = self._content(path)
            except ValueError as error:
                faults.append(Fault(f"{place}.{field}", str(error)))
        try:
            checked = Sampling.model_validate(content)
        except ValidationError as error:
            problem = f"{', '.join(named.values())}: {error.errors()[0]['msg']}"
            faults.append(Fault(f"{place}.{error.errors()[0]['loc'][0]}", problem))
            return sampling
        return sampling.model_copy(update={field: getattr(checked, field) for field in content})

    def _content(self, path: str) -> Any:
        if path not in self._read:
            found = self._places.find(path)
            shown = shown_name(path)
            if found is None or not is_file(found):
                why = self._places.no_file(path)
                raise ValueError(f"no file {shown}" + (f": {why}" if why else ""))
            try:
                self._read[path] = msgspec.json.decode(read_regular(found))
            except OSError as error:
                raise ValueError(f"{shown} can't be read: {error.strerror}") from None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"{shown} is no JSON: {error}") from None
            except RecursionError:
                raise ValueError(f"{shown} is JSON that is nested too deep to read") from None
        return self._read[path]

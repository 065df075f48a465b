"""What goes missing with a value that a choice replaces."""

from __future__ import annotations

from contextlib import suppress

from runner.config.assemble import Raw
from runner.config.choices import Chooser
from runner.config.values import brief
from runner.errors import ConfigError, Fault
from runner.spec import Experiment
from runner.values import Json


def lost_target(raw: Raw, experiment: Experiment, chooser: Chooser) -> list[Fault]:
    """Find that scorers lack a target which the dataset names that was replaced."""
    replaced = raw.replaced.get("dataset")
    needing = [name for name, scorer in experiment.scorers.items() if scorer.target is None]
    if replaced is None or not isinstance(replaced.value, dict | str):
        return []
    if not needing or experiment.dataset.target is not None:
        return []
    before: dict[str, Json] = {}
    with suppress(ConfigError):  # what is replaced may name nothing that is there
        before = chooser.choose("dataset", replaced).value
    if before.get("target") is None:
        return []
    which = f"scorer {needing[0]} needs" if len(needing) == 1 else f"scorers {', '.join(needing)} need"
    return [
        Fault(
            "dataset",
            f"names no target, which {which}: it replaces {brief(replaced.value)} ({replaced.origin.at()}), "
            "which names one",
            "to change the file alone, give or sweep dataset.path; or name dataset.target too",
            raw.source(("dataset",)),
        )
    ]

"""What scorers ask for, checked before launch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from runner.errors import Fault
from runner.render import template_faults
from runner.scoring.metrics import check_report, samples_needed
from runner.spec import Experiment
from runner.tasks import scorer_task_faults

MostSamples: TypeAlias = Mapping[tuple[str, str], int]
"""Scorer and metric -> the most samples that a point reporting it has."""


def most_samples(experiments: Iterable[Experiment]) -> MostSamples:
    """Return how many samples a row has at most, for each metric that any point is to report."""
    most: dict[tuple[str, str], int] = {}
    for experiment in experiments:
        for name, scorer in experiment.scorers.items():
            for metric in scorer.report:
                most[name, metric] = max(experiment.samples, most.get((name, metric), 0))
    return most


def left_out(experiment: Experiment) -> list[str]:
    """Say which metrics a point has too few samples for; other points of its sweep have enough."""
    notes = []
    for name, scorer in experiment.scorers.items():
        lacking = [metric for metric in scorer.report if samples_needed(metric) > experiment.samples]
        if lacking:
            samples = f"samples: {experiment.samples}"
            notes.append(f"scorers.{name}.report: {', '.join(lacking)} left out where {samples} are too few")
    return notes


def scorer_faults(experiment: Experiment, slots: Sequence[str] | None, most: MostSamples) -> list[Fault]:
    """Find what is wrong with an experiment's scorers.

    Args:
        experiment: one point.
        slots: those of its prompt; None if that is broken.
        most: of all points of its sweep; a metric that no point has samples enough for is a fault.
    """
    faults = scorer_task_faults(experiment)
    for name, scorer in experiment.scorers.items():
        place = f"scorers.{name}"
        problems = check_report(scorer.report)
        problems += [
            f"{metric} needs samples: {needed} or more, not {most[name, metric]}"
            for metric in dict.fromkeys(scorer.report)
            if (needed := samples_needed(metric)) > most[name, metric]
        ]
        faults += [Fault(f"{place}.report", problem) for problem in problems]
        if scorer.of is not None and slots is not None and scorer.of not in slots:
            near = get_close_matches(scorer.of, slots, n=1)
            hint = f"did you mean {near[0]}?" if near else f"slots: {', '.join(slots)}"
            faults.append(Fault(f"{place}.of", f"the prompt has no slot {scorer.of!r}", hint))
        target = scorer.target if scorer.target is not None else experiment.dataset.target
        if target is None:
            hint = 'such as dataset.target: "{{ row.answer }}"'
            faults.append(Fault(place, "has no target: neither the scorer nor the dataset names one", hint))
        else:
            own = scorer.target is not None
            names = ["row", *slots] if slots is not None else None
            faults += template_faults(target, f"{place}.target" if own else "dataset.target", names)
    return faults

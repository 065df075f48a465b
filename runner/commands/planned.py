"""A plan on the terminal: jobs, points, what was replaced by what, effective sampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runner.commands.console import cell, console, given, named, print_table, table
from runner.commands.sources import sampling_sources, setting_sources, shared, sources_json
from runner.plan import Plan, PlannedJob, PlannedPoint
from runner.plan_warnings import point_warnings
from runner.spec import SlurmCluster, gpus_of
from runner.values import VALUE_TASKS, Json, count

NO_SAMPLING = "nothing is set: the engine decides"
_BY_POINT = "by point, as below"

MANY = 20
"""Rows of a table beyond this number are summed up."""


def print_plan(plan: Plan, *, verbose: bool = False) -> None:
    """Print what would run, as far as it is known without reading a row; with *verbose* every note whole."""
    out = console()
    head = f"  {count(len(plan.points), 'point')}, {count(len(plan.jobs), 'job')}"
    out.print(Text.assemble((plan.name, "bold"), head, f"  {named(plan.composition.file)}"))
    print_notes(out, plan, whole=verbose)
    out.print()
    _print_jobs(out, plan.jobs)
    out.print()
    _print_sampling(out, plan.points)
    _print_settings(out, plan.points)
    if len(plan.points) > 1:
        out.print()
        _print_points(out, plan.points)
    for point in plan.refused:
        axes = ", ".join(f"{key}={given(value)}" for key, value in point.axes.items())
        out.print(f"\nrefused: {axes or 'the point'}", style="yellow")
        for fault in point.faults:
            out.print(f"  {fault}", style="yellow")


def print_notes(out: Console, plan: Plan, *, whole: bool = False) -> None:
    """Print what was replaced by what, a line each; with *whole* every note, uncut.

    Of a key whose notes differ by point, the first is shown. The run folder's resolved.json has them all.
    """
    whole = whole or plan.composition.verbose
    notes = Counter(note for planned in plan.points for note in dict.fromkeys(planned.notes))
    alike: dict[str, list[str]] = {}
    for note, points in notes.items():
        own = whole or points == len(plan.points)
        alike.setdefault(note if own else note.partition(":")[0], []).append(note)
    lines = list(alike.values())
    for first, *others in lines if whole else lines[:MANY]:
        more = f" (and {len(others)} more)" if others else ""
        out.print(f"  {first if whole else _cut(first, out.width - 2 - len(more))}{more}", style="dim")
    if len(lines) > MANY and not whole:
        out.print(f"  ... and {len(lines) - MANY} more notes: --verbose", style="dim")


def print_warnings(out: Console, plan: Plan, rows: Mapping[str, int]) -> None:
    """Print what looks wrong with a plan; *rows* says how many a point reads, where they are counted."""
    found = Counter(
        warning for planned in plan.points for warning in point_warnings(planned, rows.get(planned.name))
    )
    for warning, points in found.items():
        some = "" if points == len(plan.points) else f" ({points} of {count(len(plan.points), 'point')})"
        out.print(f"warning: {warning}{some}", style="yellow")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _print_jobs(out: Console, jobs: Sequence[PlannedJob]) -> None:
    made = table(["job", "model", "engine", "cluster"], ["GPUs", "points"])
    for job in jobs[:MANY]:
        experiment = job.points[0].experiment
        model = (
            named(Path(experiment.model.name)) if _is_folder(experiment.model.name) else experiment.model.name
        )
        made.add_row(
            job.name,
            model,
            experiment.engine.kind,
            experiment.cluster.kind,
            _gpus(job),
            str(len(job.points)),
        )
    print_table(out, made)
    _print_rest(out, len(jobs), "jobs")


def _gpus(job: PlannedJob) -> str:
    cluster = job.points[0].experiment.cluster
    shares = cluster.gres if isinstance(cluster, SlurmCluster) and cluster.gpus is None else None
    return str(gpus_of(cluster, job.devices) or shares or 0)


def _is_folder(name: str) -> bool:
    return Path(name).is_absolute()


def _print_sampling(out: Console, points: Sequence[PlannedPoint]) -> None:
    """Print the values that all points share, and those of single slots."""
    by_point = differing(points)
    alike = [name for name in points[0].sampling if name not in by_point]
    values = " ".join(f"{name}={cell(points[0].sampling[name])}" for name in alike)
    drawn = any(planned.experiment.task not in VALUE_TASKS for planned in points)
    nothing = _BY_POINT if by_point else NO_SAMPLING if drawn else "none: nothing is drawn"
    out.print(Text.assemble(("sampling", "bold"), f"  {values or nothing}"))
    _print_sources(out, shared([sampling_sources(planned) for planned in points], alike))
    samples = {planned.experiment.samples for planned in points}
    if samples != {1}:
        out.print(f"          {', '.join(map(str, sorted(samples)))} samples for each row")
    for slot, own in _slots(points[0]).items():
        if own:
            out.print(f"          slot {slot}: {' '.join(f'{k}={cell(v)}' for k, v in own.items())}")


def _print_sources(out: Console, lines: Sequence[str]) -> None:
    for line in lines:
        out.print(Text(f"          {line}", style="dim"), soft_wrap=True)


def _print_settings(out: Console, points: Sequence[PlannedPoint]) -> None:
    """Print where the settings of engine and topology come from that aren't at their defaults."""
    for group in ("engine", "topology"):
        sources = [setting_sources(planned, group) for planned in points]
        names = dict.fromkeys(name for one in sources for name in one)
        lines = shared(sources, names)
        for line in lines[:1]:
            out.print(Text.assemble((group.ljust(10), "bold"), (line, "dim")), soft_wrap=True)
        _print_sources(out, lines[1:])


def _slots(planned: PlannedPoint) -> dict[str, dict[str, Json]]:
    return {slot.name: dict(slot.sampling) for slot in planned.prompt.slots}


def differing(points: Sequence[PlannedPoint]) -> list[str]:
    """Return the sampling parameters that not all points share."""
    names = dict.fromkeys(name for planned in points for name in planned.sampling)
    return [name for name in names if len({cell(p.sampling.get(name)) for p in points}) > 1]


def _print_points(out: Console, points: Sequence[PlannedPoint]) -> None:
    """Print the points with their axes, and the sampling values that set them apart besides."""
    axes = list(dict.fromkeys(axis for planned in points for axis in planned.point.axes))
    extra = [name for name in differing(points) if f"sampling.{name}" not in axes]
    made = table(["point", *axes, *extra])
    for planned in points[:MANY]:
        made.add_row(
            str(planned.point.index),
            *(cell(planned.point.axes.get(axis)) for axis in axes),
            *(cell(planned.sampling.get(name)) for name in extra),
        )
    print_table(out, made)
    _print_rest(out, len(points), "points")


def _print_rest(out: Console, number: int, what: str) -> None:
    if number > MANY:
        out.print(f"... and {number - MANY} more {what}")


def plan_json(plan: Plan, rows: Mapping[str, int]) -> dict[str, Json]:
    """Return a plan as plain JSON; *rows* as for `print_warnings`."""
    job_of = {planned.name: job.name for job in plan.jobs for planned in job.points}
    return {
        "name": plan.name,
        "file": str(plan.composition.file),
        "jobs": [_job_json(job) for job in plan.jobs],
        "points": [
            {
                **_point_json(planned),
                "warnings": list(point_warnings(planned, rows.get(planned.name))),
                "job": job_of[planned.name],
            }
            for planned in plan.points
        ],
        "refused": [
            {"axes": point.axes, "faults": [str(fault) for fault in point.faults]} for point in plan.refused
        ],
    }


def _job_json(job: PlannedJob) -> dict[str, Json]:
    experiment = job.points[0].experiment
    return {
        "name": job.name,
        "model": experiment.model.name,
        "engine": experiment.engine.kind,
        "cluster": experiment.cluster.kind,
        "devices": job.devices,
        "points": [planned.name for planned in job.points],
    }


def _point_json(planned: PlannedPoint) -> dict[str, Json]:
    return {
        "name": planned.name,
        "index": planned.point.index,
        "axes": planned.point.axes,
        "sampling": planned.sampling,
        "sources": sources_json(planned),
        "slots": _slots(planned),
        "samples": planned.experiment.samples,
        "notes": list(planned.notes),
    }

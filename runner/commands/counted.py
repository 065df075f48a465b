"""What a plan's rows come to: requests, cache hits, tokens."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from runner.cache import ResponseCache
from runner.commands.console import console, print_table, table
from runner.commands.planned import MANY
from runner.commands.tokens import TokenCounter, token_counter
from runner.jobs import PointSpec
from runner.plan import Plan
from runner.prepare import specify
from runner.prompts import SlotSource
from runner.runs import CACHE_FILE
from runner.survey import PointSurvey, survey_point
from runner.values import Json


class PointCount(msgspec.Struct, frozen=True):
    """What one point comes to.

    Attributes:
        completion_tokens: most tokens the answers can have; None where nothing limits them.
        exact: prompt tokens were counted by the model's own tokenizer.
    """

    name: str
    job: str
    survey: PointSurvey
    completion_tokens: int | None
    exact: bool


def count_plan(plan: Plan) -> list[PointCount]:
    """Stream every point's rows against the cache of earlier runs, in the experiment's order."""
    counters = cache(token_counter)
    counts = []
    with ResponseCache(plan.composition.places.runs / CACHE_FILE) as earlier:
        for job in specify(plan):
            for spec in job.points:
                counter = counters(spec.experiment().model)
                counts.append((spec.index, _count(job.name, spec, earlier, counter)))
    return [counted for _, counted in sorted(counts, key=lambda pair: pair[0])]


def _count(job: str, spec: PointSpec, earlier: ResponseCache, counter: TokenCounter) -> PointCount:
    survey = survey_point(spec, Path(), earlier, tokens=counter.count)
    longest = [
        {**spec.sampling, **turn.sampling}.get("max_tokens")
        for turn in spec.prompt.turns
        if isinstance(turn, SlotSource)
    ]
    known = [number for number in longest if number is not None]
    answers = survey.requests * (spec.sampling.get("n") or 1)
    completion = answers * max(known) if len(known) == len(longest) else None
    return PointCount(spec.name, job, survey, completion, counter.exact)


def print_counts(plan: Plan, counts: list[PointCount]) -> None:
    """Print requests, cache hits and tokens, a row a point, and their totals."""
    out = console()
    out.print()
    about = "" if all(counted.exact for counted in counts) else "about "
    bad = any(counted.survey.unrenderable for counted in counts)
    numbers = ["rows", "cached", "requests", f"{about}prompt tokens", "at most completion tokens"]
    made = table(["point"], [*numbers, *(["rows that can't be rendered"] if bad else [])])
    for counted in counts[:MANY]:
        index = counted.name.split("-", 1)[0]
        made.add_row(index, *_cells(counted.survey, counted.completion_tokens, bad=bad))
    if len(counts) > MANY:
        made.add_row("...")
    if len(counts) > 1:
        made.add_row("all", *_cells(total(counts), _completion(counts), bad=bad), style="bold")
    print_table(out, made)
    if any(counted.exact for counted in counts):
        out.print("Prompt tokens are those of the texts alone, without the chat template.")
    for job in plan.jobs:
        if all(c.survey.requests == 0 for c in counts if c.job == job.name):
            out.print(f"{job.name}: not started, there is nothing to ask")
    if any(len(counted_slots(planned.prompt.turns)) > 1 for planned in plan.points):
        out.print(
            "Later turns depend on answers: requests are the most there can be, tokens those of first turns."
        )


def counted_slots(turns: tuple[object, ...]) -> list[SlotSource]:
    """Return the slots among a prompt's turns."""
    return [turn for turn in turns if isinstance(turn, SlotSource)]


def _cells(survey: PointSurvey, completion: int | None, *, bad: bool) -> list[str]:
    numbers: list[int | None] = [survey.rows, survey.hits, survey.requests, survey.prompt_tokens, completion]
    cells = ["no limit" if number is None else f"{number:,}" for number in numbers]
    return [*cells, f"{survey.unrenderable:,}"] if bad else cells


def total(counts: list[PointCount]) -> PointSurvey:
    """Add up the surveys of all points."""
    surveys = [msgspec.structs.astuple(counted.survey) for counted in counts]
    return PointSurvey(*(sum(column) for column in zip(*surveys, strict=True)))


def _completion(counts: list[PointCount]) -> int | None:
    known = [c.completion_tokens for c in counts if c.completion_tokens is not None]
    return sum(known) if len(known) == len(counts) else None


def counts_json(counts: list[PointCount]) -> dict[str, Json]:
    """Return counts as plain JSON."""
    return {
        "points": [
            {
                "name": counted.name,
                **msgspec.to_builtins(counted.survey),
                "completion_tokens_at_most": counted.completion_tokens,
                "prompt_tokens_exact": counted.exact,
            }
            for counted in counts
        ],
        "total": {
            **msgspec.to_builtins(total(counts)),
            "completion_tokens_at_most": _completion(counts),
        },
    }

"""What a plan's rows come to: requests, cache hits, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import msgspec

from runner.cache import ResponseCache
from runner.commands.console import console, print_table, table
from runner.commands.lines import print_failures
from runner.commands.planned import MANY
from runner.commands.tokens import token_counter
from runner.export import added_up
from runner.known import Keys
from runner.outcome import NOTHING_TO_ASK
from runner.plan import Plan
from runner.prepare import specify
from runner.runs import CACHE_FILE
from runner.survey import PointSurvey, survey_point
from runner.values import Json, count


class PointCount(msgspec.Struct, frozen=True):
    """What one point comes to.

    Attributes:
        exact: prompt tokens were counted by the model's own tokenizer.
    """

    name: str
    job: str
    survey: PointSurvey
    exact: bool


def count_plan(plan: Plan) -> list[PointCount]:
    """Stream every point's rows against the cache of earlier runs, in the experiment's order."""
    counters = cache(token_counter)
    counts = []
    reading = any(planned.experiment.reads_cache for planned in plan.points)
    file = plan.composition.places.runs / CACHE_FILE
    with ResponseCache(file if reading else None) as earlier:
        for job in specify(plan):
            with Keys() as seen:
                for spec in job.points:
                    counter = counters(spec.experiment().model)
                    survey = survey_point(spec, Path(), earlier, tokens=counter.count, seen=seen)
                    counted = PointCount(spec.name, job.name, survey, counter.exact)
                    counts.append((spec.index, counted))
    return [counted for _, counted in sorted(counts, key=lambda pair: pair[0])]


def print_counts(plan: Plan, counts: list[PointCount]) -> None:
    """Print requests, cache hits and tokens, a row a point, and their totals.

    Of the answers that are wanted (rows times samples and slots) each is cached, shared with an equal request
    of the same job, to be requested, or not to be had: the columns add up.
    """
    out = console()
    out.print()
    everything = total(counts)
    about = "" if all(counted.exact for counted in counts) else "about "
    columns = _columns(everything)
    tokens = [f"{about}prompt tokens", "at most completion tokens"]
    made = table(["point"], [*columns.values(), *tokens])
    for counted in counts[:MANY]:
        index = counted.name.split("-", 1)[0]
        made.add_row(index, *_cells(counted.survey, columns))
    if len(counts) > MANY:
        made.add_row("...")
    if len(counts) > 1:
        made.add_row("all", *_cells(everything, columns), style="bold")
    print_table(out, made)
    print_failures(out, everything.failures)
    for remark in _remarks(plan, counts):
        out.print(remark)


def _remarks(plan: Plan, counts: list[PointCount]) -> Iterator[str]:
    """Say what the columns mean, where that isn't plain."""
    if any(counted.survey.shared for counted in counts):
        yield "Shared: an equal request is sent once in a job, whichever points and rows need its answer."
    yield from _remarks_on_tokens(counts)
    for job in plan.jobs:
        if all(c.survey.requests == 0 for c in counts if c.job == job.name):
            yield f"{job.name}: not started, {NOTHING_TO_ASK}"
    if any(len(planned.prompt.slots) > 1 for planned in plan.points):
        yield "Later turns depend on answers: requests are the most there can be, tokens of first turns."
    everything = total(counts)
    if everything.hits and not everything.requests:
        failing = everything.unrenderable
        some = f"{everything.hits:,} of {count(everything.wanted, 'answer')} come from the cache"
        which = f"{some}, {failing:,} can't be rendered" if failing else "All answers come from the cache"
        yield f"{which}: a run takes no engine, key, GPU or Slurm."
    if everything.unlimited and everything.completion_tokens:
        have = "request has" if everything.unlimited == 1 else "requests have"
        yield (
            f"{everything.unlimited:,} {have} no max_tokens, or one that an earlier answer fills in; "
            f"the others come to at most {everything.completion_tokens:,} completion tokens."
        )


def _remarks_on_tokens(counts: list[PointCount]) -> Iterator[str]:
    if any(counted.exact for counted in counts):
        yield "Prompt tokens are those of the texts alone, without the chat template."
    if any(not counted.exact and counted.survey.prompt_tokens for counted in counts):
        yield "About: four bytes of the texts count as a token, and the chat template as none."


def _columns(everything: PointSurvey) -> dict[str, str]:
    """Return the headings of the counts by their fields; what is nowhere isn't shown."""
    shown = {"rows": "rows"}
    if everything.wanted != everything.rows:
        shown["wanted"] = "answers"
    shown["hits"] = "cached"
    if everything.shared:
        shown["shared"] = "shared"
    shown["requests"] = "requests"
    if everything.unrenderable:
        shown["unrenderable"] = "can't be rendered"
    return shown


def _cells(survey: PointSurvey, columns: Iterable[str]) -> list[str]:
    numbers: list[int | None] = [
        *(getattr(survey, name) for name in columns),
        survey.prompt_tokens,
        _at_most(survey),
    ]
    return ["no limit" if number is None else f"{number:,}" for number in numbers]


def total(counts: list[PointCount]) -> PointSurvey:
    """Add up the surveys of all points."""
    surveys = [counted.survey for counted in counts]
    numbers = [name for name in PointSurvey.__struct_fields__ if name != "failures"]
    return PointSurvey(
        **{name: sum(getattr(survey, name) for survey in surveys) for name in numbers},
        failures=added_up(failure for survey in surveys for failure in survey.failures),
    )


def _at_most(survey: PointSurvey) -> int | None:
    """Return the most tokens that can come back; None where something has no limit."""
    return None if survey.unlimited else survey.completion_tokens


def counts_json(counts: list[PointCount]) -> dict[str, Json]:
    """Return counts as plain JSON."""
    return {
        "points": [
            {
                "name": counted.name,
                **msgspec.to_builtins(counted.survey),
                "completion_tokens_at_most": _at_most(counted.survey),
                "prompt_tokens_exact": counted.exact,
            }
            for counted in counts
        ],
        "total": {
            **msgspec.to_builtins(total(counts)),
            "completion_tokens_at_most": _at_most(total(counts)),
        },
    }

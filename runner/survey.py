"""Streams the rows of a plan to see what there is to ask, and serves what the cache already holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from runner.cache import BATCH, ResponseCache
from runner.errors import RenderError
from runner.jobs import PointSpec
from runner.points import PointRecords
from runner.questions import OpenPoint, Question
from runner.records import Record
from runner.values import Request

TokenCount = Callable[[Request], int]


class PointSurvey(msgspec.Struct, frozen=True):
    """What one point comes to.

    Attributes:
        rows: rows read.
        requests: requests to send; with slots that depend on answers not yet there, at most.
        hits: requests that the cache answers.
        served: results (row and sample) that the cache completes.
        prompt_tokens: tokens of the prompts still to send, if counted; of first slots only.
        unrenderable: rows that a template can't be rendered for.
    """

    rows: int = 0
    requests: int = 0
    hits: int = 0
    served: int = 0
    prompt_tokens: int = 0
    unrenderable: int = 0


def batches(point: OpenPoint) -> Iterator[list[Question]]:
    """Yield every question of a point, in dataset order, some hundred at a time."""
    samples = range(point.experiment.samples)
    stream = (question for row in point.rows() for question in point.questions(row, samples))
    while batch := list(islice(stream, BATCH)):
        yield batch


def survey_point(
    spec: PointSpec,
    run: Path,
    cache: ResponseCache,
    *,
    keep: PointRecords | None = None,
    tokens: TokenCount | None = None,
) -> PointSurvey:
    """Stream one point's rows against the cache.

    Args:
        spec: the point.
        run: the run folder, or any folder where the dataset's path is absolute.
        cache: the shared cache.
        keep: where to add the results that the cache completes; committing them is the caller's.
        tokens: counts the tokens of a prompt.
    """
    point = OpenPoint(spec, run)
    reads = point.experiment.reads_cache and bool(cache)
    slots = len(point.slots)
    rows = requests = hits = served = prompt_tokens = unrenderable = 0
    for batch in batches(point):
        rows += sum(question.sample == 0 for question in batch)
        ready, bad = _prepare(batch)
        complete, waiting = _serve(ready, cache) if reads else ([], ready)
        found = sum(len(question.answers) for question in waiting)
        hits += found + slots * len(complete)
        requests += slots * len(waiting) - found
        served += len(complete)
        unrenderable += len(bad)
        if tokens is not None:
            prompt_tokens += sum(tokens(question.request) for question in waiting)
        if keep is not None:
            keep.add([question.record() for question in complete] + bad)
    return PointSurvey(rows, requests, hits, served, prompt_tokens, unrenderable)


def _prepare(batch: list[Question]) -> tuple[list[Question], list[Record]]:
    """Build each question's next request; what can't be rendered becomes its final record."""
    ready, bad = [], []
    for question in batch:
        try:
            question.prepare()
        except RenderError as error:
            bad.append(question.failed(error))
        else:
            ready.append(question)
    return ready, bad


def _serve(waiting: list[Question], cache: ResponseCache) -> tuple[list[Question], list[Question]]:
    """Answer questions from the cache, slot by slot; return the complete ones and those with a miss."""
    complete: list[Question] = []
    stuck: list[Question] = []
    while waiting:
        found = cache.find([question.key for question in waiting])
        going = []
        for question in waiting:
            data = found.get(question.key)
            if data is None:
                stuck.append(question)
            elif question.take_stored(data):
                complete.append(question)
            else:
                going.append(question)
        waiting, _ = _prepare(going)
    return complete, stuck

"""Streams the rows of a plan to see what there is to ask, and serves what is stored already."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec

from runner.cache import BATCH, ResponseCache
from runner.drawing import Drawing
from runner.errors import RenderError
from runner.export import Failure, note_failures
from runner.jobs import PointSpec
from runner.known import Keys
from runner.points import PointRecords
from runner.progress import Source
from runner.questions import OpenPoint, Question
from runner.records import Record
from runner.results import CountedLine
from runner.values import VALUE_TASKS, Request

_decode = msgspec.json.Decoder(CountedLine).decode

TokenCount = Callable[[Request], int]

_UNSERVED = 500
"""Results without an answer in the cache, one after another, after which a run leaves the rest to its job."""

_LENGTH = ("max_tokens", "n")
"""Sampling values that limit how much can come back."""


class PointSurvey(msgspec.Struct, frozen=True):
    """What one point comes to.

    Every answer that is wanted is counted once, so that always
    ``wanted = hits + shared + requests + unrenderable``. With slots that depend on answers not yet there,
    the answers to those count as requests, the most there can be.

    Attributes:
        rows: rows read.
        wanted: answers to be had: rows times samples times slots.
        hits: answers that the cache holds.
        shared: answers that an equal request, of this point or one before it in its job, will bring.
        requests: requests to send.
        unrenderable: answers that can't be had, since a template, be it a scorer's target, can't be
            rendered for their row.
        served: results (row and sample) that the cache completes.
        prompt_tokens: tokens of the prompts to send, if counted; of each row's next slot only.
        completion_tokens: most tokens that can come back, if counted, to requests with a known limit.
        unlimited: requests without one, if counted: no max_tokens, or one that is made of an answer.
        failures: why results can't be had: each fault with its number and the first row that it met.
        whole: whether all rows were read, which is so unless a run left the rest to its job.
    """

    rows: int = 0
    wanted: int = 0
    hits: int = 0
    shared: int = 0
    requests: int = 0
    unrenderable: int = 0
    served: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unlimited: int = 0
    failures: tuple[Failure, ...] = ()
    whole: bool = True


class Serving:
    """Questions on their way through what is stored, slot by slot.

    As long as there are `keys`, look them up and `take` what was found.

    Attributes:
        ready: questions whose next answer is to be looked up.
        complete: those that got all their answers.
        stuck: those whose next answer isn't stored, ready to be asked.
        failed: those whose next request can't be built, each with its final record.
    """

    def __init__(self, questions: Iterable[Question]) -> None:
        self.ready: list[Question] = []
        self.complete: list[Question] = []
        self.stuck: list[Question] = []
        self.failed: list[tuple[Question, Record]] = []
        self._prepare(questions)

    @property
    def keys(self) -> list[bytes]:
        """What to look up the next answers by; none once all is said."""
        return [question.stored_key for question in self.ready]

    def take(self, found: Mapping[bytes, bytes], own: Container[bytes] = ()) -> None:
        """Give each question its answer, if *found* has it; those in *own* are of this run."""
        ready, self.ready = self.ready, []
        going = []
        for question in ready:
            key = question.stored_key
            data = found.get(key)
            if data is None:
                self.stuck.append(question)
            elif question.take_stored(data, Source.SHARED if key in own else Source.CACHED):
                self.complete.append(question)
            else:
                going.append(question)
        self._prepare(going)

    def _prepare(self, questions: Iterable[Question]) -> None:
        for question in questions:
            try:
                question.prepare()
            except RenderError as error:
                self.failed.append((question, question.failed(error)))
            else:
                self.ready.append(question)


def batches(point: OpenPoint) -> Iterator[list[Question]]:
    """Yield every question of a point, in dataset order, some hundred at a time."""
    samples = point.experiment.samples
    stream = (
        (Question(point, row, 0) for row in point.rows())
        if samples == 1
        else (Question(point, row, sample) for row in point.rows() for sample in range(samples))
    )
    while batch := list(islice(stream, BATCH)):
        yield batch


def survey_point(
    spec: PointSpec,
    run: Path,
    cache: ResponseCache,
    *,
    keep: PointRecords | None = None,
    tokens: TokenCount | None = None,
    seen: Keys | None = None,
) -> PointSurvey:
    """Stream one point's rows against the cache.

    Args:
        spec: the point.
        run: the run folder, or any folder where the dataset's path is absolute.
        cache: the shared cache.
        keep: where to add the results that the cache completes; committing them is the caller's. Rows that
            have a result there are passed over. The survey ends once the cache has nothing of many rows in
            a row: a job will be started anyway, and looks each row up itself.
        tokens: counts the tokens of a prompt; without it no tokens are counted.
        seen: requests of the job that are counted already; without it none counts as shared.
    """
    point = OpenPoint(spec, run)
    sharing = seen if point.shares_answers else None
    slots = len(point.slots)
    rows = wanted = hits = shared = unrenderable = served = prompt_tokens = unserved = 0
    limits = _Limits(point)
    failures: dict[tuple[str, str], Failure] = {}
    for batch in batches(point) if keep is None else _without_result(point, keep):
        serving = _look_up(batch, cache if point.experiment.reads_cache else None)
        rows += sum(question.sample == 0 for question in batch)
        wanted += slots * len(batch)
        found = sum(len(question.answers) for question in batch)
        hits += found
        unrenderable += sum(slots - len(question.answers) for question, _ in serving.failed)
        note_failures(failures, _lines(serving))
        served += len(serving.complete)
        asked = _unseen(serving.stuck, sharing)
        shared += len(serving.stuck) - len(asked)
        if tokens is not None:
            prompt_tokens += sum(tokens(question.request) for question in asked)
            limits.add(serving.stuck, asked)
        if keep is not None:
            keep.add([*(q.record() for q in serving.complete), *(record for _, record in serving.failed)])
            unserved = 0 if found else unserved + len(serving.stuck)
            if unserved >= _UNSERVED:
                break
    return PointSurvey(
        rows,
        wanted,
        hits,
        shared,
        wanted - hits - shared - unrenderable,
        unrenderable,
        served,
        prompt_tokens,
        limits.tokens,
        limits.unlimited,
        tuple(failures.values()),
        unserved < _UNSERVED,
    )


def _look_up(questions: list[Question], cache: ResponseCache | None) -> Serving:
    """Take questions as far as the cache goes."""
    serving = Serving(questions)
    while keys := serving.keys:
        serving.take({} if cache is None else cache.find(keys))
    return serving


def _lines(serving: Serving) -> Iterator[CountedLine]:
    return (_decode(record.result.line) for _, record in serving.failed if record.result is not None)


def has_requests(spec: PointSpec, run: Path, cache: ResponseCache) -> bool:
    """Tell whether a point has anything to ask, or to refuse, that the cache doesn't complete.

    Args:
        spec: the point.
        run: as for `survey_point`.
        cache: the shared cache.
    """
    point = OpenPoint(spec, run)
    for batch in batches(point):
        if not cache or not point.experiment.reads_cache:
            return True
        if _look_up(batch, cache).stuck:
            return True
    return False


class _Limits:
    """Adds up the most tokens that can come back.

    Attributes:
        tokens: to the requests that have a limit.
        unlimited: how many have none.
    """

    def __init__(self, point: OpenPoint) -> None:
        self.tokens = 0
        self.unlimited = 0
        self._drawn = point.task not in VALUE_TASKS
        self._drawings = [
            Drawing({k: v for k, v in point.effective(slot).items() if k in _LENGTH}, point.slots[:slot])
            for slot in range(len(point.slots))
        ]

    def add(self, stuck: list[Question], asked: list[Question]) -> None:
        """Count all that is left of questions that are *stuck*; the next slot of those that are *asked*."""
        sending = set(map(id, asked))
        for question in stuck if self._drawn else ():
            first = len(question.answers) + (id(question) not in sending)
            for drawing in self._drawings[first:]:
                most = _most_tokens(drawing, question)
                self.tokens += most or 0
                self.unlimited += most is None


def _most_tokens(drawing: Drawing, question: Question) -> int | None:
    try:
        sampling = drawing.sampling(question.row, question.answers, question.sample)
    except RenderError:  # an answer that isn't there yet
        return None
    most = sampling.get("max_tokens")
    return None if most is None else most * (sampling.get("n") or 1)


def _without_result(point: OpenPoint, keep: PointRecords) -> Iterator[list[Question]]:
    for batch in batches(point):
        having = keep.having({question.row.id for question in batch})
        yield [question for question in batch if (question.row.id, question.sample) not in having]


def _unseen(questions: list[Question], seen: Keys | None) -> list[Question]:
    """Return those whose next request no other one before them makes."""
    if seen is None or not questions:
        return questions
    fresh = seen.add([question.key for question in questions])
    first = []
    for question in questions:
        if question.key in fresh:
            fresh.remove(question.key)
            first.append(question)
    return first

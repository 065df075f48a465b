"""What a row asks, and what its answers come to: the part of the path that needs no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time
from typing import cast

import msgspec

from runner.data import Rows, open_rows
from runner.drawing import Drawing
from runner.engines.input_rules import input_findings, may_continue
from runner.engines.registry import engine_kinds, takers
from runner.engines.request_rules import Target
from runner.errors import AskError, IncompleteResponseError, RenderError, RowError
from runner.identity import request_scope
from runner.jobs import PointSpec
from runner.progress import Source
from runner.prompts import compile_prompt, illustrated, settled
from runner.records import ERROR, MISSING, OK, STEP, Answer, Record, Result, stored_key
from runner.results import ErrorLine, ResultLine, ScoreLine, spent
from runner.row_columns import row_columns
from runner.scoring.bound import BoundScorer
from runner.scoring.targets import Targets
from runner.storable import stored_form
from runner.valued import spoken, value_of
from runner.values import (
    VALUE_TASKS,
    Input,
    Json,
    Message,
    Request,
    Response,
    Row,
    Scope,
    Timing,
    Usage,
    decode_response,
    request_key,
    response_json,
)

_encode = msgspec.json.Encoder().encode

_OWN: dict[str, str] = {}
"""`Question.sources` of one whose own requests brought all its answers, as with nearly all."""

_SOURCES = {Source.CACHED: "cached", Source.SHARED: "shared"}
"""What a line says of an answer that another result's request brought."""


class OpenPoint:
    """A point with everything compiled that its rows need."""

    def __init__(self, spec: PointSpec, run: Path) -> None:
        self.spec = spec
        self.index = spec.index
        self.experiment = spec.experiment(run)
        self.task: str = self.experiment.task
        self.conversation = compile_prompt(spec.prompt, self.task)
        self.slots = tuple(self.conversation.slots)
        self.shares_answers = self.experiment.fills_cache
        self.scopes: tuple[Scope, ...] = tuple(
            request_scope(spec.scope, self.experiment.engine, self.effective(slot))
            for slot in range(len(self.slots))
        )
        """What the requests of each slot share in their keys."""
        self.scorers = [
            BoundScorer(name, settings, self.experiment.dataset.target, self.slots)
            for name, settings in self.experiment.scorers.items()
        ]
        self.columns = self.experiment.output.columns
        self.bounded = all(scorer.bounded for scorer in self.scorers)
        """Whether scoring a row takes a bounded, short time."""
        self._kind = engine_kinds()[self.experiment.engine.kind]
        target = Target.of(self._kind, self.experiment.engine, self.task)
        self.drawings = tuple(
            Drawing(self.effective(slot), self.slots[:slot], target) for slot in range(len(self.slots))
        )
        self.continues = any(may_continue(self.effective(slot)) for slot in range(len(self.slots)))
        """Whether a row's messages decide if its sampling can be honoured."""
        self._images = Path(self.experiment.dataset.path).parent
        self._run = run

    def rows(self) -> Rows:
        """Open the rows, from the copy in the run folder where there is one."""
        path = self._run / self.spec.dataset.path
        return open_rows(self.experiment.dataset.model_copy(update={"path": str(path)}))

    def effective(self, slot: int) -> dict[str, Json]:
        """Return the values that count for a slot; templates among them are for a row to fill."""
        omit = self.experiment.model.omit
        own = {name: value for name, value in self.conversation.sampling[slot].items() if name not in omit}
        return {**self.spec.sampling, **own}

    def input(self, row: Row, answers: Sequence[str]) -> Input:
        """Return what is sent for the slot after *answers*; raises `RenderError`."""
        content = self.conversation.input(row, answers)
        if not self.conversation.images:
            return content
        messages = cast("tuple[Message, ...]", content)
        if "images" not in self._kind.capabilities.features and any(map(illustrated, messages)):
            raise RenderError(f"engine {self._kind.name} takes no images; {takers('images')}")
        return settled(messages, self._images)

    def require_fitting(self, content: Input, sampling: Mapping[str, Json]) -> None:
        """Raise `RenderError` where a row's input and its sampling don't go together."""
        for found in input_findings(content, sampling, self.task):
            raise RenderError(f"{found.place}: {found.problem}; {found.hint}")

    def questions(self, row: Row, samples: Sequence[int]) -> Iterator[Question]:
        """Yield one question for each sample of a row."""
        for sample in samples:
            yield Question(self, row, sample)


class Question:
    """One row and sample on its way: which slot comes next, and the answers so far."""

    __slots__ = (
        "answers",
        "canonical",
        "complete",
        "finish",
        "key",
        "keys",
        "owner",
        "point",
        "request",
        "row",
        "sample",
        "source",
        "sources",
        "stored_key",
        "taken",
        "targets",
        "unsaved",
        "value",
    )

    def __init__(self, point: OpenPoint, row: Row, sample: int) -> None:
        self.point = point
        self.row = row
        self.sample = sample
        self.answers: list[str] = []
        self.complete = False
        """Whether every slot is filled."""
        self.value: Json = None
        self.finish: dict[str, str] = {}
        self.keys: list[str] = []
        self.unsaved: list[Answer] = []
        self.source = Source.CACHED
        self.sources = _OWN
        self.taken: tuple[tuple[Usage, Timing], ...] = ()
        self.request: Request
        self.canonical: bytes
        self.key: bytes
        self.stored_key: bytes
        self.targets: list[Targets | None]
        self.owner = None if point.shares_answers else (row.id, sample)

    def prepare(self) -> None:
        """Build the next slot's request.

        Raises:
            RenderError: a template can't be rendered for this row: the prompt's, or before the first
                slot, so that nothing is asked in vain, a scorer's target.
        """
        point = self.point
        slot = len(self.answers)
        if slot == 0:
            row = self.row
            self.targets = [scorer.early_target(row) for scorer in point.scorers] if point.scorers else []
        content = point.input(self.row, self.answers)
        sampling = point.drawings[slot].sampling(self.row, self.answers, self.sample)
        if point.continues:
            point.require_fitting(content, sampling)
        self.request = Request(point.task, content, sampling, point.scopes[slot], self.sample)
        self.canonical = self.request.canonical()
        self.key = key = request_key(self.canonical)
        self.stored_key = key if self.owner is None else stored_key(key, point.index, self.owner)

    def take_stored(self, data: bytes, source: Source = Source.CACHED) -> bool:
        """Take a stored response for the prepared slot; True if that was the last slot."""
        self.sources = {**self.sources, self.point.slots[len(self.answers)]: _SOURCES[source]}
        return self._take(decode_response(data), data)

    def take(self, response: Response) -> bool:
        """Take an engine's response for the prepared slot; True if that was the last slot."""
        return self._take(*stored_form(response))

    def _take(self, response: Response, data: bytes) -> bool:
        if self.point.task in VALUE_TASKS:
            self.value = value_of(self.point.task, response)
            self.answers.append(spoken(self.value))
        else:
            choice = response.choices[0]
            if choice.finish_reason != "stop" and choice.finish_reason is not None:
                self.finish[self.point.slots[len(self.answers)]] = choice.finish_reason
            self.answers.append(choice.text)
        self.taken += ((response.usage, response.timing),)
        answer = self._answer(data)
        self.keys.append(answer.key if self.owner is None else self.stored_key.hex())
        self.unsaved.append(answer)
        self.complete = len(self.answers) == len(self.point.slots)
        return self.complete

    def _answer(self, data: bytes, *, verified: bool = True) -> Answer:
        return Answer(self.key.hex(), msgspec.Raw(self.canonical), response_json(data), verified)

    def received(self, response: Response) -> Record:
        """Return the record of a response for the prepared slot: one to be checked, or rejected."""
        _, data = stored_form(response)
        return self._record((self._answer(data, verified=False),), None)

    def saved(self) -> Record:
        """Return the record of the answers that are new since the last one, without a result."""
        answers, self.unsaved = tuple(self.unsaved), []
        return self._record(answers, None)

    def record(self) -> Record:
        """Return what is new since the last record, with the result; every slot is filled.

        Unless the point's scorers are bounded, it may block for as long as their time limits.
        """
        result = self._scored()
        answers, self.unsaved = tuple(self.unsaved), []
        return self._record(answers, result)

    def failed(self, error: AskError, *, state: str | None = None) -> Record:
        """Return the record of a row that got no answer; answers of earlier slots are kept.

        So is one that lacks what was asked.
        """
        record = self.saved()
        if state is None:
            state = ERROR if isinstance(error, RowError) else MISSING
        record = msgspec.structs.replace(record, result=self._result(state, self._fault(error)))
        if not isinstance(error, IncompleteResponseError):
            return record
        answers, response = record.answers, error.response
        error.response = None  # it is written once
        if isinstance(response, Response):
            answers += self.received(response).answers
        return msgspec.structs.replace(record, answers=answers, rejected=(self.stored_key.hex(),))

    def _record(self, answers: tuple[Answer, ...], result: Result | None) -> Record:
        return Record(self.point.index, answers, result, time(), STEP, self.owner)

    def _scored(self) -> Result:
        try:
            scores = {}
            for scorer, target in zip(self.point.scorers, self.targets, strict=True):
                scores[scorer.name] = scorer.score(self.row, self.answers, target)
        except RowError as error:
            return self._result(ERROR, self._fault(error))
        return self._result(OK, self._line(scores))

    def _line(
        self, scores: dict[str, ScoreLine] | None = None, error: ErrorLine | None = None, retries: int = 0
    ) -> bytes:
        slots = self.point.slots
        row, omitted = row_columns(self.row.data, self.point.columns)
        usage, seconds, again = spent(self.taken)
        # By position, in the order of the fields: names would take longer to match than all else here.
        return _encode(
            ResultLine(
                self.row.id,
                self.sample,
                STEP,
                _by_slot(slots, self.answers) if self.value is None else {},
                self.value,
                self.finish,
                scores or {},
                usage,
                None if seconds is None else round(seconds, 6),
                again + retries,
                self.sources is not _OWN and self._is_cached(),
                self.sources,
                row,
                omitted,
                _by_slot(slots, self.keys),
                error,
            )
        )

    def _is_cached(self) -> bool:
        sources = self.sources.values()
        return self.complete and len(sources) == len(self.answers) and set(sources) == {"cached"}

    def _fault(self, error: AskError) -> bytes:
        """Return a failed row's line; its message may come from a user's code, and be no Unicode."""
        message = error.message.encode(errors="replace").decode()
        line = ErrorLine(type(error).__name__, message, error.status)
        return self._line(error=line, retries=error.attempts - 1)

    def _result(self, state: str, line: bytes) -> Result:
        return Result(self.row.id, self.sample, self.row.position, state, msgspec.Raw(line))


def _by_slot(slots: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """Return the values that there are, by slot."""
    if len(slots) == 1 and values:  # nearly always, and in a sixth of the time
        return {slots[0]: values[0]}
    return dict(zip(slots, values, strict=False))

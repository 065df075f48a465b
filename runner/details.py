"""Single results of a run, with all that the run folder holds of them: prompts, responses, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from runner.errors import RenderError, UserError
from runner.exported import RESULTS_FILE
from runner.fold import REMAKE
from runner.inputs import check_dataset
from runner.jobs import PointSpec
from runner.points import PointRecords
from runner.questions import OpenPoint
from runner.records import MISSING
from runner.results import ResultLine
from runner.runs import RunFolder
from runner.secrets import Secrets
from runner.values import Input, Json, Response, Row, by_content, decode_response

_decode = msgspec.json.Decoder(ResultLine).decode
_SOME = 10_000
"""Ids among which one that is not there is looked for."""


class Detail(msgspec.Struct, frozen=True):
    """A result and what led to it.

    Attributes:
        point: name of its point.
        state: ``ok``, ``error`` (final) or ``missing``; of a row without any result too.
        line: the line of results.jsonl; None where there is none yet.
        requests: by slot, what was sent, in canonical form: images as their hashes.
        responses: by slot, what came back.
        prompt: what the next slot sends, rendered anew, where no response to that is stored.
        problem: why it can't be rendered, if so.
    """

    point: str
    row: str
    sample: int
    state: str
    line: ResultLine | None
    requests: dict[str, Json] = {}
    responses: dict[str, Response] = {}
    prompt: Json = None
    problem: str = ""


class PointDetails:
    """A point's results, read one by one; a context manager.

    Nothing is written, and no engine is used. `results` streams a file of any length, and `of_row` looks up.
    """

    def __init__(self, run: RunFolder, spec: PointSpec, secrets: Secrets) -> None:
        """Read a point of *run*, masking *secrets* in what is rendered anew: all else is masked already."""
        self.spec = spec
        self._secrets = secrets
        self._run = run
        self._folder = run.point(spec.name)
        self._stack = ExitStack()
        self._records: PointRecords | None = None
        self._open: OpenPoint | None = None
        self._rows: dict[str, Row] = {}
        """Rows that are to be rendered anew."""
        self._changed: str | None = None
        """Why rows can't be rendered anew: empty where they can, None where that isn't known yet."""

    def __enter__(self) -> Self:
        file = self._folder / "cache.sqlite"
        if file.is_file() and file.stat().st_size:
            self._records = self._stack.enter_context(PointRecords(file, write=False))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def lines(self, wanted: Callable[[ResultLine], bool], most: int) -> list[ResultLine]:
        """Return the first *most* lines of results.jsonl that are *wanted*, in the dataset's order.

        Raises:
            UserError: a line is damaged.
        """
        file = self._folder / RESULTS_FILE
        if not file.is_file():
            return []
        with file.open("rb") as stream:
            return list(islice(filter(wanted, _lines(file, stream)), most))

    def details(self, lines: Sequence[ResultLine]) -> Iterator[Detail]:
        """Yield the details of results."""
        self._read_columns(line.id for line in lines if line.error is not None)
        for line in lines:
            state = MISSING if line.error is not None else "ok"
            for known, data in self._records.of_row(line.id) if self._records is not None else ():
                if _decode(data).sample == line.sample:
                    state = known
            yield self._detail(line, state)

    def of_row(self, row: str) -> list[Detail]:
        """Return the details of every result of a row; of one that has none yet, with its prompt alone.

        Raises:
            UserError: the dataset has no such row.
        """
        found = self._records.of_row(row) if self._records is not None else []
        if found:
            self._read_columns([row for _, data in found if _decode(data).error is not None])
            return [self._detail(_decode(data), state) for state, data in found]
        if problem := self._change():
            raise UserError(f"row {row!r} has no result yet; whether there is one: {problem}")
        for one in self._point().rows():
            if one.id == row:
                return [self._rendered(Detail(self.spec.name, row, 0, MISSING, None), one, [])]
        return []

    def ids(self) -> list[str]:
        """Return the ids of some rows."""
        if self._records is not None and (known := self._records.ids(_SOME)):
            return known
        return [] if self._change() else [row.id for row in islice(self._point().rows(), _SOME)]

    def _detail(self, line: ResultLine, state: str) -> Detail:
        keys = {slot: bytes.fromhex(key) for slot, key in line.keys.items()}
        requests: dict[str, Json] = {}
        responses: dict[str, Response] = {}
        if self._records is not None and keys:
            stored = self._records.find(list(keys.values()))
            sent = self._records.requests(list(keys.values()))
            requests = {slot: msgspec.json.decode(sent[key]) for slot, key in keys.items()}
            responses = {slot: decode_response(stored[key]) for slot, key in keys.items()}
        detail = Detail(self.spec.name, line.id, line.sample, state, line, requests, responses)
        if line.error is None and requests:
            return detail
        return self._anew(detail, list(line.slots.values()))

    def _anew(self, detail: Detail, answers: Sequence[str]) -> Detail:
        """Return a detail with the prompt of what its row lacks, rendered anew from the run's own copies."""
        if problem := self._change():
            return msgspec.structs.replace(detail, problem=problem)
        point = self._point()
        row = self._rows.get(detail.row)
        if row is None or len(answers) >= len(point.slots):
            return detail
        return self._rendered(detail, row, answers)

    def _read_columns(self, ids: Iterable[str]) -> None:
        """Read what rows hold, all in one pass over their file."""
        if self._records is None or not (wanted := set(ids)) or self._change():
            return
        places = {row: place for row in wanted if (place := self._records.position(row)) is not None}
        columns = self._point().rows().columns_at(set(places.values()))
        self._rows = {
            row: Row(row, place, columns[place]) for row, place in places.items() if place in columns
        }

    def _rendered(self, detail: Detail, row: Row, answers: Sequence[str]) -> Detail:
        try:
            prompt: Input = self._point().input(row, answers)
        except RenderError as error:
            return msgspec.structs.replace(detail, problem=str(error))
        shown = self._secrets.mask_json(msgspec.json.encode(by_content(prompt)))
        return msgspec.structs.replace(detail, prompt=msgspec.json.decode(shown))

    def _point(self) -> OpenPoint:
        if self._open is None:
            self._open = OpenPoint(self.spec, self._run.path)
        return self._open

    def _change(self) -> str:
        """Return why the rows are not those of the launch, if so; their file is read once."""
        if self._changed is None:
            try:
                check_dataset(self._run.path, self.spec.dataset)
                self._changed = ""
            except UserError as error:
                self._changed = str(error)
        return self._changed


def _lines(file: Path, stream: Iterable[bytes]) -> Iterator[ResultLine]:
    for number, line in enumerate(stream, 1):
        try:
            yield _decode(line)
        except msgspec.DecodeError as error:
            raise UserError(f"{file}:{number} is damaged ({error}): {REMAKE}") from None

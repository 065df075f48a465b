"""CSV with a header, UTF-8; every value is text; lines may break inside quotes."""

from __future__ import annotations

import csv
import sys
from array import array
from typing import IO, TYPE_CHECKING, TypeAlias

from runner.data.packed import seekable
from runner.data.table import BadRecordError, Columns, bad_record, line_of, open_text, skip_bom, snippet
from runner.errors import UserError
from runner.values import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

Cells: TypeAlias = list[str]

_MARKS = {";": '";"', "\t": '"\\t"', "|": '"|"', ",": '","'}
"""Characters that often divide columns, and how YAML has them."""


class CsvTable:
    """A CSV file; its header is read when it is first needed."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path = path
        self._delimiter = delimiter
        self._header: tuple[str, ...] = ()

    def records(self) -> Iterator[tuple[int, Cells]]:
        with open_text(self.path) as file:
            lines = self._begin(file)
            for _, line, cells in self._read(lines):
                yield line, cells

    def offsets(self) -> array[int]:
        with open_text(self.path) as file:
            return array("Q", (offset for offset, _, _ in self._read(self._begin(file))))

    def at(self, offsets: Iterable[int]) -> Iterator[Cells]:
        with open_text(self.path) as stream, seekable(stream) as file:
            for offset in offsets:
                file.seek(offset)
                yield next(self._read(_Lines(self.path, file, offset)))[2]

    def line_of(self, offset: int) -> int:
        return line_of(self.path, offset)

    def decode(self, raw: Cells) -> Columns:
        if len(raw) != len(self._header):
            problem = f"{count(len(raw), 'value')} for {count(len(self._header), 'column')}: {raw!r:.60}"
            hint = undivided(self._header)
            raise BadRecordError(f"{problem}; {hint}" if hint else problem)
        return dict(zip(self._header, raw, strict=True))

    def _begin(self, file: BufferedReader) -> _Lines:
        """Read the header, and return the lines after it."""
        lines = _Lines(self.path, file, skip_bom(file))
        first = next(self._read(lines), None)
        if first is not None:
            self._header = _checked(first[2], self.path, first[1])
        return lines

    def _read(self, lines: _Lines) -> Iterator[tuple[int, int, Cells]]:
        """Yield offset, line number and cells of each record; the reader never reads ahead of one."""
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            offset, line = lines.offset, lines.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise bad_record(self.path, line, f"no valid CSV ({error})") from None
            if cells:
                yield offset, line, cells


class _Lines:
    """Lines as text, keeping count of how far the file was read."""

    def __init__(self, path: Path, file: IO[bytes], offset: int) -> None:
        self.path = path
        self.offset = offset
        self.line = 0
        self._file = file

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline()
        if not raw:
            raise StopIteration
        self.offset += len(raw)
        self.line += 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise bad_record(
                self.path, self.line, f"no valid UTF-8 ({error.reason}): {snippet(raw)}"
            ) from None


def undivided(header: Sequence[str]) -> str:
    """Return a hint where a header of one column looks as if another character divided it."""
    found = [mark for mark in _MARKS if mark in header[0]] if len(header) == 1 else []
    return f"if {found[0]!r} divides its columns, give dataset.delimiter: {_MARKS[found[0]]}" if found else ""


def _checked(header: Cells, path: Path, line: int) -> tuple[str, ...]:
    problems = []
    if any(not name.strip() for name in header):
        problems.append(f"the header has a column without a name: {header!r}")
    twice = sorted({name for name in header if name.strip() and header.count(name) > 1})
    if twice:
        problems.append(f"the header names {', '.join(map(repr, twice))} more than once")
    if problems:
        raise UserError("\n".join(str(bad_record(path, line, problem)) for problem in problems))
    return tuple(header)

"""JSON Lines: one object a line, UTF-8; blank lines are passed over."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from runner.data.packed import seekable
from runner.data.table import BadRecordError, Columns, line_of, open_text, skip_bom, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class JsonlTable:
    """A JSON Lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def records(self) -> Iterator[tuple[int, bytes]]:
        with open_text(self.path) as file:
            skip_bom(file)
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    yield number, line

    def offsets(self) -> array[int]:
        found = array("Q")
        with open_text(self.path) as file:
            offset = skip_bom(file)
            for line in file:
                if not line.isspace():
                    found.append(offset)
                offset += len(line)
        return found

    def at(self, offsets: Iterable[int]) -> Iterator[bytes]:
        with open_text(self.path) as stream, seekable(stream) as file:
            for offset in offsets:
                file.seek(offset)
                yield file.readline()

    def line_of(self, offset: int) -> int:
        return line_of(self.path, offset)

    def decode(self, raw: bytes) -> Columns:
        try:
            return _decode(raw)
        except msgspec.ValidationError:
            raise BadRecordError(f"a line is one JSON object, not {snippet(raw)}{_lines(raw)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if reason := _utf8_fault(raw):
                raise BadRecordError(f"no valid UTF-8 ({reason}): {snippet(raw)}") from None
            raise BadRecordError(f"no valid JSON ({error}): {snippet(raw)}{_lines(raw)}") from None
        except RecursionError:
            raise BadRecordError(f"JSON nested too deep to read: {snippet(raw)}") from None


def _utf8_fault(raw: bytes) -> str | None:
    """Return why bytes are not UTF-8; which error the JSON decoder raises for them depends on its version."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason
    return None


def _lines(raw: bytes) -> str:
    """Say how a whole file of JSON becomes lines, where a line begins like one."""
    return " (jq -c '.[]' makes lines of a JSON array)" if raw.lstrip().startswith(b"[") else ""

"""Names of dataset files: what their endings say of the format."""

from __future__ import annotations

from pathlib import PurePath

from runner.values import Json

_FORMATS: dict[str, dict[str, Json]] = {
    ".jsonl": {"kind": "jsonl"},
    ".ndjson": {"kind": "jsonl"},
    ".csv": {"kind": "csv"},
    ".tsv": {"kind": "csv", "delimiter": "\t"},
    ".parquet": {"kind": "parquet"},
}
_PACKED = (".gz", ".zst")

ROW_SUFFIXES = (
    *_FORMATS,
    *(suffix + packed for suffix in _FORMATS if suffix != ".parquet" for packed in _PACKED),
)
"""How names of dataset files end; Parquet is compressed inside."""

ROW_FILES = "a .jsonl, .ndjson, .csv, .tsv or .parquet file (texts also as .gz or .zst)"


def row_format(path: str, kind: Json = None) -> dict[str, Json]:
    """Return the settings of a dataset that its file's name says, for a *kind* that is given, if any."""
    name = PurePath(path).name.lower()
    suffix = next((known for known in ROW_SUFFIXES if name.endswith(known)), ".jsonl")
    known = _FORMATS["." + suffix.split(".")[1]]
    return known if kind is None or kind == known["kind"] else {}

"""Whether what was exported of a point is still what was written: results.jsonl and metrics.json."""

from __future__ import annotations

import zlib
from pathlib import Path

from runner.points import PointRecords

METRICS_FILE = "metrics.json"
RESULTS_FILE = "results.jsonl"

_CHUNK = 1 << 20


def note_exported(folder: Path, records: PointRecords) -> None:
    """Keep the checksums of the files that were just exported, in the open transaction."""
    results = folder / RESULTS_FILE
    records.set_mark("metrics", _checksum(folder / METRICS_FILE))
    records.set_mark("results", _checksum(results))
    records.set_mark("results_time", results.stat().st_mtime_ns)


def damaged_files(folder: Path, records: PointRecords) -> list[Path]:
    """Return the exported files that are gone or are no longer what was written.

    Results are read only where their time of modification is another, as after a copy.
    """
    metrics, results = folder / METRICS_FILE, folder / RESULTS_FILE
    found = []
    if not metrics.is_file() or records.mark("metrics") not in {-1, _checksum(metrics)}:
        found.append(metrics)
    if not results.is_file():
        found.append(results)
    elif (modified := results.stat().st_mtime_ns) != records.mark("results_time"):
        if records.mark("results") not in {-1, _checksum(results)}:
            found.append(results)
        else:
            records.set_mark("results_time", modified)
            records.commit()
    return found


def _checksum(file: Path) -> int:
    total = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total = zlib.crc32(chunk, total)
    return total

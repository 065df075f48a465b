"""How long the responses of a point's file took."""

from __future__ import annotations

import sqlite3
from statistics import fmean, median

_OF_STREAMS = ("first_token", "inter_token")

_TIMES = """
WITH cached(key) AS (
  SELECT key.value FROM results, json_each(CAST(line AS TEXT), '$.sources') AS source,
    json_each(CAST(line AS TEXT), '$.keys') AS key
    WHERE source.key = key.key AND source.value = 'cached')
SELECT value, cached FROM (
  SELECT json_extract(CAST(response AS TEXT), '$.timing.' || ?) AS value,
    lower(hex(key)) IN (SELECT key FROM cached) AS cached
    FROM responses WHERE json_valid(CAST(response AS TEXT)))
  WHERE typeof(value) IN ('integer', 'real')
"""


def response_times(db: sqlite3.Connection) -> dict[str, dict[str, float]]:
    """Return for each time of streamed responses its mean and median in seconds, and of how many responses.

    ``cached`` are those of them that an earlier run requested: their times are that run's.
    """
    times = {}
    for name in _OF_STREAMS:
        found = list(db.execute(_TIMES, (name,)))
        values = [value for value, _ in found]
        if values:
            counts = {"responses": len(values), "cached": sum(cached for _, cached in found)}
            times[name] = {"mean": fmean(values), "median": median(values), **counts}
    return times

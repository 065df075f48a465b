"""Which records an experiment reads, and in which order."""

from __future__ import annotations

import sys
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

    from runner.spec import Dataset, Shard


def shuffle(items: array[int], seed: int) -> None:
    """Shuffle in place, alike on every Python.

    Fisher-Yates over `Random.random`, the one generator whose sequence for a seed Python promises
    to keep; `Random.shuffle` may change.
    """
    draw = Random(seed).random  # noqa: S311 - an order, not a secret
    for last in range(len(items) - 1, 0, -1):
        other = int(draw() * (last + 1))
        items[last], items[other] = items[other], items[last]


def stop_of(dataset: Dataset) -> int | None:
    """Return the first place after those that offset and limit leave, in the dataset's order."""
    return None if dataset.limit is None else min(dataset.offset + dataset.limit, sys.maxsize)


def positions_of(dataset: Dataset, records: int) -> range:
    """Return the positions that the experiment reads of a file with that many records."""
    stop = stop_of(dataset)
    left = max(0, (records if stop is None else min(records, stop)) - dataset.offset)
    shard = dataset.shard
    return range(left) if shard is None else range(shard.index, left, shard.count)


def in_shard(shard: Shard | None, position: int) -> bool:
    """Whether the row at *position* belongs to the shard."""
    return shard is None or position % shard.count == shard.index

"""What points were answered, on its way into the cache that runs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner.cache import add_responses
from runner.errors import UserError
from runner.points import PointRecords
from runner.sqlite_errors import CacheDamagedError


class Sharing:
    """Adds what points were answered to the shared cache, until that fails once."""

    def __init__(self, cache: Path, tell: Callable[[str], None]) -> None:
        self._cache = cache
        self._tell = tell
        self._failed = False

    def add(self, file: Path, records: PointRecords, *, replace: bool) -> None:
        """Add what is new in a point's *file*.

        Raises:
            CacheDamagedError: that file is damaged.
        """
        end, after = records.last_response(), records.mark("shared")
        if end <= after or self._failed:
            return
        try:
            add_responses(self._cache, file, after=after, replace=replace)
        except UserError as error:
            if isinstance(error, CacheDamagedError) and error.path == file:
                raise
            self._failed = True
            self._tell(str(error))
            return
        records.set_mark("shared", end)
        records.commit()

"""Notes on answers: what was odd in them and did no harm, each kind once."""

from __future__ import annotations

from collections.abc import Callable

_MOST_KINDS = 20
"""Further kinds are dropped: a server that sends new ones forever doesn't fill the log."""


class Notes:
    """Reports each kind of oddity once; one per job, or per `LLM`."""

    def __init__(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Report to *report*; left out, nothing is reported."""
        self._report = report
        self._kinds: set[str] = set()

    def once(self, kind: str, message: str) -> None:
        """Report *message*, unless one of its *kind* was reported."""
        if kind not in self._kinds and len(self._kinds) < _MOST_KINDS:
            self._kinds.add(kind)
            self._report(message)


SILENT = Notes()
"""Reports nothing."""

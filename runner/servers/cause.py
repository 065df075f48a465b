"""Why a program failed, from what it logged: the first cause, not the last consequence.

A server of several processes logs the exception of one of them, then that another one is gone, and last that
it could not start, "see root cause above". Of exceptions that were raised while others were handled, Python
prints the first one first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(
    r"""\s*(?:
        \([^()\n]*\bpid=\d+[^()\n]*\)                                     # (EngineCore_DP0 pid=123)
        | \[\s*(?:\w+\d*\s*)?\]:                                          # [rank0]:
        | \[\d{4}-\d\d-\d\d[^\]\n]*\]                                     # [2026-12-01 12:00:00 TP0]
        | \d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?
        | (?:DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL)\b:?(?:\s+\d\d-\d\d\s+\d\d:\d\d:\d\d)?
        | \[[\w./-]+\.py:\d+\]                                            # [core.py:100]
        | -(?=\s)
    )[ ]?""",
    re.VERBOSE,
)
_EXCEPTION = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Failure|OutOfMemory)\b(?::|\Z)"
)
_USAGE = re.compile(r"[\w./ -]{1,60}: error: ")
_CONSEQUENCE = re.compile(
    r"root cause above|see (the )?(stack trace|log|error|traceback)s? (above|below)|EngineDeadError"
    r"|engine ?core .*(died|failed)|worker(proc)? .*(died|failed to start|initialization failed)"
    r"|failed core proc|child process.*(failed|died|terminated)|cancelled by"
    r"|^(?:\w+\.)*(?:SystemExit|KeyboardInterrupt|CancelledError|ChildFailedError|BrokenPipeError)\b"
    r"|^EOFError\Z|^ConnectionResetError\b",
    re.IGNORECASE,
)
_TELLING = ("error", "exception", "not found", "no such", "cannot", "failed", "out of memory", "unrecognized")
IN_USE = "address already in use"
_LAST = 3


def causes(lines: Sequence[str]) -> list[str]:
    """Return the lines of a log that say why a program failed, at most three: the first cause comes first.

    The last exception follows where it is another one: the first may have been handled.
    """
    plain = [_without_prefix(line) for line in lines]
    named = [line for line in plain if _EXCEPTION.match(line) or _USAGE.match(line) or IN_USE in line.lower()]
    roots = [line for line in named if not _CONSEQUENCE.search(line)]
    if roots:
        first = next((line for line in roots if IN_USE in line.lower()), roots[0])
        return [first] if first == roots[-1] else [first, roots[-1]]
    telling = [line for line in plain if any(word in line.lower() for word in _TELLING)]
    return (telling or plain)[-_LAST:]


def _without_prefix(line: str) -> str:
    """Return a line without what loggers and processes put before it, as far as an exception's name shows."""
    line = _COLOR.sub("", line).rstrip()
    rest = line
    while (found := _PREFIX.match(rest)) is not None and found.end():
        rest = rest[found.end() :]
    return rest.strip() or line.strip()

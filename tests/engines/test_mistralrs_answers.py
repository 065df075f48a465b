"""What pieces of the embedded engine come to, whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from runner.engines.course import Course
from runner.engines.mistralrs_answers import put_together
from runner.errors import ConnectionFailedError


@dataclass(frozen=True)
class Delta:
    content: str | None
    reasoning_content: str | None = None


@dataclass(frozen=True)
class Piece:
    """The library makes none for others; these have what it tells of one."""

    delta: Delta
    finish_reason: str | None = None


@dataclass(frozen=True)
class Chunk:
    choices: list[Piece]
    usage: str | None = None


SAID = [Chunk([Piece(Delta("8"))]), Chunk([Piece(Delta("5"), "stop")])]


def test_piece_without_a_choice_may_hold_the_count() -> None:
    """Before all others, between them and behind the last."""
    for place in range(3):
        chunks = [*SAID[:place], Chunk([], "two"), *SAID[place:]]

        choice, usage = put_together(chunks, Course("mistralrs", 1))

        assert (choice.text, choice.finish_reason, usage) == ("85", "stop", "two")


def test_pieces_without_a_choice_are_no_answer() -> None:
    """One that never began was cut off."""
    with pytest.raises(ConnectionFailedError, match="ended before the answer did"):
        put_together([Chunk([], "none")], Course("mistralrs", 1))

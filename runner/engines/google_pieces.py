"""Google's answers that come in pieces, put together."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from google.genai import types

from runner.engines.course import Course
from runner.engines.google_wire import Answer, Candidate, Content, Logprobs, is_blocked, response_of
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed
from runner.values import Response


class Pieces:
    """The pieces of one answer; `add` them in order, then read `response`."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._answer = Answer()
        self._candidates: dict[int, Candidate] = {}

    def add(self, event: types.GenerateContentResponse) -> None:
        """Add one event.

        Raises:
            MalformedResponseError: it is not what the API documents.
        """
        piece = _read(event)
        whole = self._answer
        whole.prompt_feedback = piece.prompt_feedback or whole.prompt_feedback
        whole.usage_metadata = piece.usage_metadata or whole.usage_metadata
        whole.model_version = piece.model_version or whole.model_version
        spoken = False
        for candidate in piece.candidates or ():
            index = candidate.index or 0
            self._course.note(index, candidate.finish_reason)
            spoken |= _grow(self._candidates.setdefault(index, Candidate(index=index)), candidate)
        if spoken:
            self._course.spoke()

    def response(self) -> Response:
        """Return the whole; raises as `Course.require_end` does."""
        if not is_blocked(self._answer):
            self._course.require_end()
        self._answer.candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        return response_of(self._answer, self._course.asked)


def _read(event: types.GenerateContentResponse) -> Answer:
    """Return an event as an answer of its own, as it would be on the wire."""
    told: dict[str, Any] = event.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"}
    )
    try:
        piece = msgspec.convert(told, Answer)
    except UNREADABLE as error:
        raise malformed(error) from None
    for typed, candidate in zip(event.candidates or (), piece.candidates or (), strict=True):
        _sign(typed, candidate)
    return piece


def _sign(typed: types.Candidate, candidate: Candidate) -> None:
    """Write signatures as the API does, and not in the SDK's own alphabet."""
    if candidate.content is None or typed.content is None:
        return
    for part, told in zip(typed.content.parts or (), candidate.content.parts or (), strict=True):
        if part.thought_signature is not None:
            told.thought_signature = base64.b64encode(part.thought_signature).decode()


def _grow(whole: Candidate, piece: Candidate) -> bool:
    """Add a piece of a candidate and tell whether the model speaks in it."""
    whole.finish_reason = piece.finish_reason or whole.finish_reason
    if (told := piece.logprobs_result) is not None:
        known = whole.logprobs_result or Logprobs()
        whole.logprobs_result = Logprobs(
            [*(known.chosen_candidates or ()), *(told.chosen_candidates or ())],
            [*(known.top_candidates or ()), *(told.top_candidates or ())],
        )
    parts = (piece.content.parts if piece.content else None) or []
    if whole.content is None:
        whole.content = Content([])
    assert whole.content.parts is not None, "it was made so"
    whole.content.parts += parts
    return any(part.text or part.function_call for part in parts)

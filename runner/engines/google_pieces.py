"""Google's answers that come in pieces, put together."""

from __future__ import annotations

import msgspec

from runner.engines.asked import require_served
from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.google_wire import Answer, Candidate, Content, Logprobs, is_blocked, response_of
from runner.engines.lenient import Reading
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import decode
from runner.values import Response

_answer = msgspec.json.Decoder(Answer)


class Pieces:
    """The pieces of one answer; `add` them in order, then read `response`."""

    def __init__(self, course: Course, reading: Reading) -> None:
        self._course = course
        self._reading = reading
        self._answer = Answer()
        self._candidates: dict[int, Candidate] = {}

    def add(self, event: bytes) -> list[Chunk]:
        """Add one event and return what it adds to each candidate.

        Raises:
            MalformedResponseError: it is not what the API documents.
            ServerError: the server says that it failed.
        """
        if not _is_part(event):
            self._course.skip(event)
            return []
        piece, whole = decode(_answer, event, self._reading), self._answer
        whole.prompt_feedback = piece.prompt_feedback or whole.prompt_feedback
        whole.usage_metadata = piece.usage_metadata or whole.usage_metadata
        whole.model_version = piece.model_version or whole.model_version
        spoken, chunks = False, []
        for place, candidate in enumerate(piece.candidates or ()):
            require_served(candidate.finish_reason)
            index = place if candidate.index is None else candidate.index
            self._course.note(index, candidate.finish_reason)
            spoken |= _grow(self._candidates.setdefault(index, Candidate(index=index)), candidate)
            chunks.append(_chunk(candidate, index))
        if spoken:
            self._course.spoke()
        return chunks

    def response(self) -> Response:
        """Return the whole; raises as `Course.require_end` does."""
        if not is_blocked(self._answer):
            self._course.require_end()
        self._answer.candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        return response_of(self._answer, self._course.asked)


class _Parts(msgspec.Struct, rename="camel"):
    """An event of which no more is known than whether it holds a part of an answer."""

    candidates: object = None
    prompt_feedback: object = None
    usage_metadata: object = None


def _is_part(event: bytes) -> bool:
    try:
        parts = msgspec.json.decode(event, type=_Parts)
    except UNREADABLE:
        return False
    return any(part is not None for part in (parts.candidates, parts.prompt_feedback, parts.usage_metadata))


def _chunk(candidate: Candidate, index: int) -> Chunk:
    """Return the text of a piece; log probabilities and calls, which come whole, are added at the end."""
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    thoughts = "".join(part.text or "" for part in parts if part.thought)
    return Chunk(index, text, reasoning=thoughts or None)


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

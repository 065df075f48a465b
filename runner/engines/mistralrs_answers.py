"""Reads what mistral.rs answers: whole, or piece by piece with the times of the pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runner.engines.course import Course
from runner.finite import finite_logprob
from runner.values import Choice, TokenLogprob


def choice_of(choice: Any) -> Choice:
    """Return one choice of a whole answer."""
    message = getattr(choice, "message", None)
    logprobs = _logprobs(choice.logprobs)
    return Choice(
        text=(choice.text if message is None else message.content) or "",
        finish_reason=choice.finish_reason,
        logprobs=logprobs,
        cumulative_logprob=sum(token.logprob for token in logprobs) if logprobs is not None else None,
        reasoning=message.reasoning_content if message is not None else None,
    )


def put_together(chunks: Iterable[Any], course: Course, *, spoken: bool = False) -> tuple[Choice, Any]:
    """Return the one choice that pieces make up, and the library's count of its tokens.

    A piece without a choice holds no more than a count. The course notes when the model spoke, unless the
    pieces came before and it has *spoken*.

    Raises:
        ConnectionFailedError: they end before the answer does.
    """
    text, reasoning, finish_reason, usage = "", "", None, None
    for chunk in chunks:
        usage = chunk.usage or usage
        for piece in chunk.choices:
            if not spoken and (piece.delta.content or piece.delta.reasoning_content):
                course.spoke()
            text += piece.delta.content or ""
            reasoning += piece.delta.reasoning_content or ""
            finish_reason = piece.finish_reason
            course.note(0, finish_reason)
    course.require_end()
    return Choice(text=text, finish_reason=finish_reason, reasoning=reasoning or None), usage


def _logprobs(logprobs: Any) -> tuple[TokenLogprob, ...] | None:
    if logprobs is None or logprobs.content is None:
        return None
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=finite_logprob(token.logprob),
            top=tuple((other.bytes or "", finite_logprob(other.logprob)) for other in token.top_logprobs),
        )
        for token in logprobs.content
    )

"""Rows that carry their own messages: alternating strings, or messages in the OpenAI form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.errors import RenderError
from runner.prompts.images import openai_part
from runner.render import missing_column, suggestion
from runner.values import spelled

if TYPE_CHECKING:
    from runner.values import Message, Row

Shown: TypeAlias = Callable[[Any], str]
"""Says what was given, as whoever gave it would write it."""

ROLES = ("system", "developer", "user", "assistant", "tool")


def row_messages(row: Row, column: str) -> tuple[Message, ...]:
    """Return the messages that a row's column holds.

    Strings alternate, the user's first and last; a system message in the OpenAI form may stand
    before them. Messages in the OpenAI form are passed on with every key they have; an image may also be a
    part ``{"type": "image", "image": ...}``.

    Raises:
        RenderError: the column is missing, or holds something else.
    """
    if column not in row.data:
        raise RenderError(missing_column(column, row.data))
    return messages_of(row.data[column], f"column {column!r}")


def messages_of(given: Any, place: str, shown: Shown = spelled) -> tuple[Message, ...]:
    """Return the messages that *given* stands for, as `row_messages` does.

    Raises:
        RenderError: it stands for none; names the *place* and what is *shown* there.
    """
    if not isinstance(given, list) or not given:
        raise _malformed(place, f"a list of messages, not {shown(given)}")
    lead = 1 if len(given) > 1 and isinstance(given[1], str) and _is_system(given[0]) else 0
    if any(isinstance(message, str) for message in given):
        head = (_checked(given[0], place, 0, shown),) if lead else ()
        return (*head, *_alternating(given[lead:], place, lead, shown))
    return tuple(_checked(message, place, index, shown) for index, message in enumerate(given))


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in {"system", "developer"}


def _alternating(texts: list[Any], place: str, first: int, shown: Shown) -> list[Message]:
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            expected = f"strings that alternate, not {shown(text)} at [{first + index}]"
            raise _malformed(place, expected)
    if len(texts) % 2 == 0:
        raise _malformed(place, f"an odd number of strings, so that the user speaks last, not {len(texts)}")
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def _checked(message: Any, place: str, index: int, shown: Shown) -> Message:
    if not isinstance(message, dict):
        raise _malformed(place, f"messages with role and content, not {shown(message)} at [{index}]")
    needed = ("role",) if message.get("tool_calls") else ("role", "content")
    if lacking := [name for name in needed if name not in message]:
        expected = f"a message with {' and '.join(lacking)} at [{index}], not {shown(message)}"
        raise _malformed(place, expected)
    role, content = message["role"], message.get("content")
    if role not in ROLES:
        raise _malformed(place, f"a role at [{index}], not {shown(role)} ({suggestion(str(role), ROLES)})")
    if not (isinstance(content, str | list) or (content is None and message.get("tool_calls"))):
        raise _malformed(place, f"text or a list of parts as content at [{index}], not {shown(content)}")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if (wrong := _wrong(part)) is not None:
            raise _malformed(place, f"{wrong} at [{index}].content[{number}], not {shown(part)}")
    return {**message, "content": list(map(openai_part, content))} if isinstance(content, list) else message


def _wrong(part: Any) -> str | None:
    """Return what was expected instead of a part, where it is none."""
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return "a part with its type"
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        return "a part with text"
    return None


def _malformed(place: str, expected: str) -> RenderError:
    return RenderError(f"{place}: expected {expected}")

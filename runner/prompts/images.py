"""Images in messages: whatever a row gives becomes a data URL, or stays a web address."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import RenderError
from runner.files import read_regular
from runner.values import spelled

if TYPE_CHECKING:
    from runner.values import Json, Message

UNREADABLE = (OSError, ValueError, RuntimeError)
"""What a path can raise: a file that can't be read, a NUL in its name, links in a loop."""
MOST_IMAGE_BYTES = 100_000_000
"""Largest image that is read; providers take 5 to 50 MB."""
_ELSEWHERE = ("http://", "https://", "data:")
_KEPT = 32
"""Images that stay in memory, for the samples and slots that ask about the same one."""


def image_part(value: Any) -> dict[str, Json]:
    """Return the content part of an image in the OpenAI form; `settled` makes of it what is sent."""
    return {"type": "image_url", "image_url": {"url": value}}


def image_parts(value: Any) -> list[dict[str, Json]]:
    """Return the parts of what a template gives: one image, a list of them, or none."""
    if isinstance(value, str):
        value = value.strip()  # a template may be a YAML block, which ends with a newline
    if value is None or value == "":
        return []
    several = value if isinstance(value, list | tuple) else [value]
    return [image_part(one) for one in several]


def openai_part(part: Any) -> Any:
    """Return a part in the OpenAI form where it is ``{"type": "image", "image": ...}``, as in LLM-Engines.

    What else such a part says goes along; every other part stays as it is.
    """
    if not isinstance(part, dict) or part.get("type") != "image" or "image" not in part:
        return part
    rest = {name: value for name, value in part.items() if name not in {"type", "image"}}
    return {**image_part(part["image"]), **rest}


def illustrated(message: Message) -> bool:
    """Whether a message holds an image."""
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") in {"image_url", "image"} for part in content
    )


def reason(error: Exception) -> str:
    """Say why a path can't be read."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def settled(messages: Iterable[Message], folder: Path) -> tuple[Message, ...]:
    """Return messages whose images are data URLs or web addresses.

    An image may be given as either of these, as bytes, as a map with ``bytes`` (the form of Hugging
    Face datasets), or as a path below *folder*; a path that leads out of it is refused, since rows
    must not name files at will.

    Raises:
        RenderError: an image can't be read, or isn't one.
    """
    return tuple(
        {**message, "content": [_part(part, folder) for part in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    )


def _part(part: Any, folder: Path) -> Any:
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return part
    image = part.get("image_url")
    value = image.get("url") if isinstance(image, dict) else image
    rest = image if isinstance(image, dict) else {}
    return {**part, "image_url": {**rest, "url": _url(value, folder)}}


def _url(value: Any, folder: Path) -> str:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path") or value.get("url")
    if isinstance(value, bytes | bytearray | memoryview):
        return _data_url(bytes(value), "the image's bytes")
    if not isinstance(value, str) or not value:
        raise RenderError(f"an image is a path, an address, a data URL or bytes, not {spelled(value)}")
    if value.startswith(_ELSEWHERE):
        return value
    try:
        path = (folder / value).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise RenderError(f"image {value!r} is not below {folder}, where the dataset is")
        status = path.stat()
        return _file_url(path, status.st_mtime_ns, status.st_size)
    except UNREADABLE as error:
        raise RenderError(f"image {value!r} in {folder}: {reason(error)}") from None


@lru_cache(maxsize=_KEPT)
def _file_url(path: Path, mtime: int, size: int) -> str:  # noqa: ARG001 - they tell a file that was changed
    return _data_url(read_regular(path, MOST_IMAGE_BYTES), f"image {path.name!r}")


def _data_url(data: bytes, what: str) -> str:
    return f"data:{_media_type(data, what)};base64,{base64.b64encode(data).decode()}"


def _media_type(data: bytes, what: str) -> str:
    """Tell an image's format by its first bytes (WHATWG MIME Sniffing, section 6.1)."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise RenderError(f"{what} is neither PNG, JPEG, GIF nor WebP")

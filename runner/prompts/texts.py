"""The templates of a prompt, whatever form it has."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from runner.prompts.source import PromptSource, TurnSource
from runner.render import compile_template


class Text(msgspec.Struct, frozen=True):
    """One template of a prompt.

    Attributes:
        source: its text.
        place: the config key.
        name: how messages call it: its file, else the config key.
        listed: it is one of a list of texts, such as a continuation.
    """

    source: str
    place: str
    name: str
    listed: bool = False


def texts(source: PromptSource) -> Iterator[Text]:
    """Yield every template of a prompt; a prompt of the row's own messages has none."""
    for turn in source.turns:
        if isinstance(turn, TurnSource):
            yield Text(turn.source, turn.place, turn.name)
            place = f"{turn.place.removesuffix('.user')}.images"
            yield from (Text(image, place, place) for image in turn.images)
    if source.token_ids is not None:
        yield Text(source.token_ids, "prompt.token_ids", "prompt.token_ids")
    for name, given in source.fields.items():
        place = f"prompt.{name}"
        if isinstance(given, str):
            yield Text(given, place, place)
        else:
            at = [f"{place}.{index}" for index in range(len(given))]
            yield from (
                Text(text, one, one, listed=name != "pair") for text, one in zip(given, at, strict=True)
            )


def uses_row(source: PromptSource) -> bool:
    """Tell whether a prompt takes anything from its row; one that takes nothing is the same for all rows."""
    if source.messages is not None:
        return True
    return any(
        "row" in compile_template(text.source, name=text.name, siblings=source.siblings).names()
        for text in texts(source)
    )

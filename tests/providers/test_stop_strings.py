"""Stop strings are never part of an answer, whichever provider leaves them there."""

from __future__ import annotations

import pytest

from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.providers.native import KINDS as NATIVE
from tests.providers.native import saying
from tests.providers.pieces import saying_in_pieces
from tests.providers.wire import KEYS, exchange, streamed

PIECES = ("a<", "b<en", "d>c")


@pytest.mark.parametrize("kind", KEYS)
def test_stop_string_that_a_provider_leaves_is_cut_off(kind: str) -> None:
    """An answer ends where its stop string begins, and is known to have been stopped."""
    text = "abc<end>def"

    response, _ = exchange(
        kind, chat_request(stop=["<end>"]), saying(kind, text) if kind in NATIVE else chat(text)
    )

    assert (response.text, response.choices[0].finish_reason) == ("abc", "stop")


@pytest.mark.parametrize("kind", KEYS)
def test_stop_string_is_never_shown_while_streaming(kind: str) -> None:
    """What may begin one is held back until it is settled."""
    pieces, _ = streamed(kind, chat_request(stop=["<end>"]), saying_in_pieces(kind, *PIECES))

    assert pieces == ["a", "<b"]


@pytest.mark.parametrize("kind", KEYS)
def test_text_that_only_begins_like_a_stop_string_comes_whole(kind: str) -> None:
    """Nothing that was held back is lost."""
    pieces, _ = streamed(kind, chat_request(stop=["<end>"]), saying_in_pieces(kind, "a<", "en"))

    assert "".join(pieces) == "a<en"


@pytest.mark.parametrize("kind", KEYS)
def test_stop_string_in_a_timed_answer_is_cut_off(kind: str) -> None:
    """So it is where engine.stream has the answer come in pieces, for the sake of its times."""
    reply = saying_in_pieces(kind, *PIECES)

    response, _ = exchange(kind, chat_request(stop=["<end>"]), reply, stream=True)

    assert response.text == "a<b"

"""Text as tokens come, by tokenizers whose tokens are neither characters nor words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runner.engines.transformers_text import Text

tokenizers = pytest.importorskip("tokenizers")


def pieces_of_bytes() -> Any:
    """Return a tokenizer like those made by SentencePiece: words with their space, and single bytes."""
    words = ["<s>", "▁Hello", "▁wor", "ld", "!", *(f"<0x{byte:02X}>" for byte in range(256))]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({word: i for i, word in enumerate(words)}, [], byte_fallback=True)
    )
    made.add_special_tokens(["<s>"])
    made.decoder = tokenizers.decoders.Sequence([
        tokenizers.decoders.Replace("▁", " "),
        tokenizers.decoders.ByteFallback(),
        tokenizers.decoders.Fuse(),
        tokenizers.decoders.Strip(" ", 1, 0),
    ])
    return made


def shown(
    prompt: Sequence[str | bytes], answer: Sequence[str | bytes], stops: Sequence[str] = ()
) -> list[str]:
    """Return what may be shown after each token of an answer."""
    made = pieces_of_bytes()

    def ids(tokens: Sequence[str | bytes]) -> list[int]:
        names = [t if isinstance(t, str) else f"<0x{t[0]:02X}>" for t in tokens]
        return [made.token_to_id(name) for name in names]

    text, found = Text(lambda part: str(made.decode(list(part))), ids(prompt), stops), []
    for token in ids(answer):
        text.add_token(token)
        found.append(text.whole[: text.settled])
        if text.stopped:
            break
    return found


def test_space_before_a_word_is_kept_where_the_prompt_ends_in_one() -> None:
    """Decoded alone, the first token would lose it."""
    assert shown(["<s>", "▁Hello"], ["▁wor", "ld"]) == [" wor", " world"]
    assert shown(["<s>"], ["▁wor", "ld", "▁Hello"]) == ["wor", "world", "world Hello"]


def test_character_of_several_tokens_appears_with_the_last() -> None:
    """An answer that is cut within it ends before it."""
    smile = [bytes([byte]) for byte in "🙂".encode()]

    assert shown(["▁Hello"], ["!", *smile, "!"]) == ["!", "!", "!", "!", "!🙂", "!🙂!"]
    assert shown(["▁Hello"], ["!", *smile[:2]])[-1] == "!"


def test_bytes_that_are_no_character_do_not_hide_what_follows() -> None:
    """They are shown as what they are: unreadable."""
    assert shown(["▁Hello"], [b"\xff", "!", "▁wor"])[-1] == "\ufffd! wor"


@pytest.mark.parametrize(
    ("stops", "text"),
    [
        (["world"], "Hello "),
        (["ld! ", "o w"], "Hell"),
        (["ld", "d"], "Hello wor"),
        (["d", "ld"], "Hello worl"),
        ([" worlds"], "Hello world!"),
    ],
)
def test_first_stop_string_to_be_complete_ends_the_text(stops: list[str], text: str) -> None:
    """Of two that end together, the one that was named first; one that only begins is text in the end."""
    assert shown(["<s>"], ["▁Hello", "▁wor", "ld", "!"], stops)[-1] == text

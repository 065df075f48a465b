"""Log probabilities of tokens as `runner show` prints them."""

from __future__ import annotations

from collections.abc import Sequence

from runner.commands.labelled import Printer
from runner.values import Response, TokenLogprob, count

_TOKENS = 40
"""Tokens of an answer that are shown."""


def print_logprobs(printer: Printer, responses: dict[str, Response]) -> None:
    printed = False
    for slot, response in responses.items():
        for number, choice in enumerate(response.choices, 1):
            if choice.logprobs is not None:
                label = slot if len(response.choices) == 1 else f"{slot} {number}"
                _print_tokens(printer, f"{label}, log probabilities", choice.logprobs)
                printed = True
        if response.prompt_logprobs is not None:
            known = [token for token in response.prompt_logprobs if token is not None]
            _print_tokens(printer, f"{slot}, log probabilities of the prompt", known)
            printed = True
    if not printed:
        printer.text("log probabilities", "none: sampling.logprobs requests them")


def _print_tokens(printer: Printer, label: str, tokens: Sequence[TokenLogprob]) -> None:
    shown = tokens if printer.full else tokens[:_TOKENS]
    lines = [_token(token) for token in shown]
    if len(shown) < len(tokens):
        lines.append(f"[... {count(len(tokens) - len(shown), 'token')} left out: --full ...]")
    printer.whole(label, "\n" + "\n".join(lines))


def _token(token: TokenLogprob) -> str:
    top = ", ".join(f"{text!r} {logprob:.4f}" for text, logprob in token.top)
    return f"{token.token!r} {token.logprob:.4f}" + (f"  of {top}" if top else "")

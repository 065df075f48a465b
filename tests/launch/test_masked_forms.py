"""A secret is masked in every form in which software writes it, wherever the text is cut."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.masking.forms import MaskedStream, Masker
from runner.secrets import Secrets

VALUES = {
    "key": "sk-proj-Abc123_def/ghi+jkl==",
    "odd": "p@ss w\"o'rd\\x&<\u00e9>\U0001f600!",
    "lines": "-----BEGIN\nab\\\\cd\tef\n",
    "short": "hunter22",
}


def _each(template: str) -> Callable[[str], str]:
    return lambda value: "".join(template.format(n=ord(one)) for one in value)


def _octets(sign: str, how: str) -> Callable[[str], str]:
    return lambda value: "".join(sign + format(octet, how) for octet in value.encode())


def _in_base64(before: str, after: str, *, safe: bool, padded: bool) -> Callable[[str], str]:
    def encode(value: str) -> str:
        way = base64.urlsafe_b64encode if safe else base64.b64encode
        text = way(f"{before}{value}{after}".encode()).decode()
        return text if padded else text.rstrip("=")

    return encode


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda value: json.dumps(value)[1:-1],
    "json, not ASCII": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json in json": lambda value: json.dumps(json.dumps(value))[3:-3],
    "json in json in json": lambda value: json.dumps(json.dumps(json.dumps(value)))[7:-7],
    "json, slashes": lambda value: json.dumps(value)[1:-1].replace("/", r"\/"),
    "repr": lambda value: repr(value)[1:-1],
    "repr of bytes": lambda value: repr(value.encode())[2:-1],
    "shell": lambda value: shlex.quote(value).strip("'"),
    "url": quote,
    "url, no safe ones": lambda value: quote(value, safe=""),
    "url, plus": quote_plus,
    "url, lower case": lambda value: "".join(
        part.lower() if part.startswith("%") else part for part in (quote(one, safe="") for one in value)
    ),
    "url, as JavaScript": lambda value: quote(value, safe="!'()*~"),
    "url, twice": lambda value: quote(quote(value, safe=""), safe=""),
    "url, all": _octets("%", "02x"),
    "url, all, upper case": _octets("%", "02X"),
    "bytes of Python": _octets(r"\x", "02x"),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal, upper case": lambda value: value.encode().hex().upper(),
    "html": html.escape,
    "html, quotes": lambda value: html.escape(value, quote=False),
    "html, twice": lambda value: html.escape(html.escape(value)),
    "html, decimal": _each("&#{n};"),
    "html, hexadecimal": _each("&#x{n:x};"),
    "html, hexadecimal, upper case": _each("&#X{n:X};"),
    "numbers of JavaScript": _each(r"\u{{{n:x}}}"),
    "numbers of Python": _each(r"\U{n:08x}"),
    "numbers of JSON": lambda value: "".join(
        rf"\u{ord(one):04x}" if ord(one) < 65536 else json.dumps(one)[1:-1] for one in value
    ),
    **{
        f"base64 {before!r} {after!r} {safe} {padded}": _in_base64(before, after, safe=safe, padded=padded)
        for before in ("", "a", "me", "user:")
        for after in ("", ":x")
        for safe in (False, True)
        for padded in (False, True)
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_form_is_masked(value: str, form: str) -> None:
    """At once, and in a stream however it is cut."""
    written = FORMS[form](value)
    text = f"before {written} after {written}".encode()
    masker = Masker([value, "another-secret"])
    whole = masker.mask(text)

    assert written not in whole.decode()
    assert whole.startswith(b"before ")
    assert whole.count(b"***") == 2
    # Of base64, what it shares with its neighbours may be left.
    assert len(whole) <= len(b"before *** after ***") + (26 if form.startswith("base64") else 0)
    for size in (1, 2, 3, 7, 64):
        stream = MaskedStream(masker)
        pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert b"".join([*pieces, stream.feed(b"", last=True)]) == whole


def _number(value: str) -> str:
    return rf"\u{ord(value):04x}"


@given(st.text("ab\"'% &/\n\u00e9", min_size=6, max_size=9), st.data())
def test_forms_may_be_mixed(value: str, data: st.DataObject) -> None:
    """Each character is escaped or not as its writer likes."""
    ways: list[Callable[[str], str]] = [str, html.escape, quote_plus, _number]
    written = "".join(data.draw(st.sampled_from(ways))(one) for one in value)

    assert Masker([value]).mask(f"<{written}>".encode()) == b"<***>"


def test_nothing_else_is_masked() -> None:
    """A part of a secret is none, nor is what looks like the beginning of one."""
    text = b"sk-proj-Abc123_def sk-proj- hunter2 %68%75nter &#104; c2stcHJvai1B hunter 22 \\u0068unte\n" * 20

    assert Masker(VALUES.values()).mask(text) is text


def test_output_is_not_held_back_without_reason() -> None:
    """A log is there to be looked at while it grows."""
    stream = MaskedStream(Masker(["hunter22"]))

    assert stream.feed(b"a line\n") == b"a line\n"
    assert stream.feed(b"password: h") == b"password: "
    assert stream.feed(b"ello ") == b"hello "
    assert stream.feed(b"100%") == b"100"
    assert stream.feed(b"\n") == b"%\n"


@pytest.mark.parametrize(
    "text",
    [
        b'{"created": 1234567890, "text": "id 12345678"}',
        b'{"text": "a\\\\newkey-123"}',
        b'{"text": "a\\newkey-123"}',
        b'{"text": "x \\"tail\\\\\\" y"}',
        b'{"12345678": [1, null, "\\u006eewkey-123"]}',
    ],
)
def test_json_stays_json(text: bytes) -> None:
    """A number that holds a value stays a number; an escape is not cut."""
    secrets = Secrets({
        "A_KEY": "12345678",
        "B_KEY": "newkey-123",
        "C_KEY": 'tail\\" y',
        "D_KEY": "ewkey-123",
    })
    masked = json.loads(secrets.mask_json(text))

    assert set(masked) <= {"created", "text", "***"}
    assert not any(value in masked.get("text", "") for value in secrets.plain)


def test_shorter_values_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would hit ordinary words; of six characters on a value is masked."""
    monkeypatch.setenv("A_KEY", "EMPTY")
    monkeypatch.setenv("B_KEY", "banana")

    assert Secrets.of(["A_KEY", "B_KEY"]).mask("EMPTY banana YmFuYW5h") == "EMPTY *** ***"

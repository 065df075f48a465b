"""What `escape` shows, what it leaves, and that what an `LLM` reports is escaped too."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadRequestError, ConfigError, Fault, UserError
from runner.screen import Screen
from runner.terminal import escape, escape_json, escaped_output
from tests.http_server import Exchange, HttpServer
from tests.launch.launch_kit import ROOT

SHOWN = {
    "\x1b[2J": r"\x1b[2J",
    "\x9b2J": r"\x9b2J",
    "a\rb\x08": r"a\x0db\x08",
    "\x07\x00\x7f\x85": r"\x07\x00\x7f\x85",
    "\u202eab\u202c": r"\u202eab\u202c",
    "\u2066\u2069\u200e\u200f\u061c": r"\u2066\u2069\u200e\u200f\u061c",
    "\u2028\u2029": r"\u2028\u2029",
    "a\u200bb\ufeff\u2060\xad": r"a\u200bb\ufeff\u2060\xad",
    "\ud83d": r"\ud83d",
    "caf\udce9": r"caf\xe9",
    "a\U000e0041\U000e0042": r"a\U000e0041\U000e0042",
    "a\ufe0f\ufe0e\ufe0f": r"a\ufe0f\ufe0e\ufe0f",
    "a\u200d\u200d\u200cb": r"a\u200d\u200d\u200cb",
}
KEPT = [
    "line\n\ttab",
    "e\u0301 \u0e01\u0e33 \u0928\u094d\u200d\u0930",
    "\U0001f469\u200d\U0001f52c \u2764\ufe0f\u200d\U0001f525 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    r"[bold]x[/bold] :smile: \x1b ${a} {{ b }}",
    "\u4e2d\u6587 \u00b1 \u2026 \u2014",
]


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_terminal_obeys_or_hides_is_shown(text: str) -> None:
    assert escape(text) == SHOWN[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_can_be_read_stays(text: str) -> None:
    assert escape(text) == text


@given(st.text(st.characters()))
def test_nothing_unseen_is_left(text: str) -> None:
    """Escaped text is fit for any terminal, and is not escaped again; JSON still says the same."""
    shown = escape(text)
    controls = {one for one in shown if unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"}}

    assert controls <= {"\n", "\t"}
    assert escape(shown) == shown
    assert json.loads(escape_json(json.dumps(text, ensure_ascii=False))) == text


def test_error_shows_what_it_quotes() -> None:
    """A traceback prints an error's text as it is."""
    errors = [
        UserError("a\x1bb"),
        BadRequestError("a\x1bb", status=400),
        ConfigError([Fault("a\x1bb", "c\u202ed")]),
    ]

    assert [str(error) for error in errors] == [r"a\x1bb", r"HTTP 400: a\x1bb", r"a\x1bb: c\u202ed"]


def test_console_escapes_all_but_its_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.StringIO()
    monkeypatch.setattr(sys, "stdout", raw)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with escaped_output():
        Screen(width=80).print("[bold]a\x1b[2J", style="red")
        print("b\x1b[2J")

    assert raw.getvalue() == "\x1b[31m[bold]a\\x1b[2J\x1b[0m\nb\\x1b[2J\n"


PROGRAM = """
import sys
from runner import LLM
engine = {"kind": "openai_compatible", "base_url": sys.argv[1], "max_attempts": 1}
with LLM({"name": "m"}, engine=engine) as llm:
    for answer in llm.batch(["a", "b"], errors="return"):
        print(answer)
    llm.generate_sync("a")
"""


async def _refuse(exchange: Exchange) -> None:
    await exchange.answer(json.dumps({"error": {"message": "no\x1b[2J\u202e\x9b"}}).encode(), 400)


def test_llm_reports_escaped(tmp_path: Path) -> None:
    """An error that nobody catches is printed by Python itself."""
    with HttpServer({"/v1/chat/completions": _refuse}) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url("/v1")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert r"no\x1b[2J\u202e\x9b" in done.stderr.splitlines()[-1]
    assert done.stdout.count(r"no\x1b[2J\u202e\x9b") == 2
    assert not {"\x1b", "\u202e", "\x9b"} & {*done.stdout, *done.stderr}

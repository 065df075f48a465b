"""No command prints what a terminal obeys or what hides text, whoever wrote it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.http_server import Exchange, HttpServer
from tests.launch.launch_kit import ROOT

pytestmark = pytest.mark.timeout(300)

SHOWN = "e\u0301 \U0001f469\u200d\U0001f52c \u05d0 [bold]x[/bold] :smile:"
"""An accent, a joined emoji, Hebrew, and what rich would take for markup: all stay as they are."""
HOSTILE = f"{SHOWN}\x1b[35;45m\x1b]0;t\x07\x9b2J\u202e\u2066\u200f\u061c\u2028\x7f\ufeff\u200b\x08\r\x85!"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
OWN = re.compile(r"\x1b\[(?!35;45)(?:[0-9;]*m|[0-9]*[AK]|\?25[lh])|\r")
"""What rich writes for colours, and to move the cursor for its bars."""


async def _chat(exchange: Exchange) -> None:
    """Answer with what is hostile; refuse every second row, just so."""
    asked = exchange.request.json()
    text = asked["messages"][-1]["content"]
    if "1" in text:
        await exchange.answer(json.dumps({"error": {"message": HOSTILE, "code": HOSTILE}}).encode(), 400)
        return
    choice = {"message": {"content": HOSTILE}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    await exchange.answer(json.dumps({"model": HOSTILE, "choices": [choice], "usage": usage}).encode())


@dataclass(frozen=True, slots=True)
class Folder:
    """A project in which everything that can be hostile is."""

    root: Path

    def write(self, file: str, **keys: Any) -> None:
        """Write an experiment, in which whatever is hostile is escaped as YAML does it."""
        (self.root / file).write_text(yaml.safe_dump(keys))

    def _command(self, words: tuple[str, ...]) -> dict[str, Any]:
        env = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "PYTHONPATH"}}
        env |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "TERM": "xterm",
            "EVIL": HOSTILE.replace("\r", ""),
        }
        return {"args": [sys.executable, "-m", "runner", *words], "cwd": self.root, "env": env}

    def write_logs(self) -> None:
        """Write what a hostile server might into the logs of the runs that there are."""
        for log in self.root.glob("runs/local/*/jobs/*/1/stdout.log"):
            log.write_text(f"{HOSTILE}\nstep 1\rstep 2\r\n\x1b[36mblue\x1b[0m\n")

    def piped(self, *words: str) -> str:
        """Return what a command writes into pipes."""
        done = subprocess.run(**self._command(words), capture_output=True, check=False)
        return str((done.stdout + done.stderr).decode())

    def shown(self, *words: str) -> str:
        """Return what a command writes to a terminal, without rich's own colours and movements."""
        master, slave = pty.openpty()
        with subprocess.Popen(**self._command(words), stdin=slave, stdout=slave, stderr=slave):
            os.close(slave)
            written = b""
            try:
                while piece := os.read(master, 65536):
                    written += piece
            except OSError:  # Linux says so of a terminal that nobody has open any more
                pass
        os.close(master)
        return OWN.sub("", written.decode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    root = tmp_path_factory.mktemp("hostile")
    made = Folder(root)
    rows = [{"id": f"{n}{HOSTILE}", "q": f"{n} {HOSTILE}", f"c{HOSTILE}": HOSTILE} for n in range(3)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "broken.jsonl").write_text(f'{{"q": "{HOSTILE}\n["{HOSTILE}"]\n')
    (root / "a\x1b[35;45m\u202eb.yaml").write_text("model: {")
    (root / "bad.yaml").write_text(f"model: {{name: m}}\nengin: '{SHOWN}\u202e'\n")
    with HttpServer({"/v1/chat/completions": _chat}) as server:
        keys = {
            "model": {"name": f"m{HOSTILE}"},
            "engine": {"kind": "openai_compatible", "base_url": server.url("/v1"), "max_attempts": 1},
            "prompt": {"system": HOSTILE, "user": "{{ row.q }}"},
            "dataset": {"path": "rows.jsonl", "target": HOSTILE},
            "scorers": {"exact": {"kind": "exact_match"}},
        }
        made.write("e.yaml", **keys, cluster="inline")
        made.write("local.yaml", **keys, cluster="local", sweep={"sampling.stop": [[HOSTILE], ["x"]]})
        made.write("broken.yaml", **keys | {"dataset": {"path": "broken.jsonl"}})
        made.write("column.yaml", **keys | {"prompt": "{{ row['" + HOSTILE.replace("\r", "") + "'] }}"})
        made.write("path.yaml", **keys | {"dataset": {"path": HOSTILE + ".jsonl"}})
        made.write("engine.yaml", **keys | {"engine": {"kind": HOSTILE}, "sampling": {HOSTILE: 1}})
        made.write("env.yaml", **keys | {"task": "${oc.env:EVIL}"})
        made.write("name.yaml", **keys | {"name": HOSTILE})
        for file in ("e.yaml", "local.yaml"):
            assert "results:" in (printed := made.piped("run", file)), printed
        made.write_logs()
        (root / "runs" / "e\u202e\x1b[35;45m").mkdir()
        yield made


FILES = ("bad", "broken", "column", "path", "engine", "env", "name")
"""Experiments that are refused, each for something hostile."""

WORDS = {
    "plan": ("plan", "e.yaml"),
    "plan a sweep": ("plan", "local.yaml", "--verbose"),
    "plan --json": ("plan", "e.yaml", "--json"),
    "render": ("render", "e.yaml"),
    "render --json": ("render", "e.yaml", "--json"),
    "run": ("run", "e.yaml", "cache=refresh"),
    "run local": ("run", "local.yaml", "cache=refresh"),
    "run sweep": ("run", "e.yaml", "-m", f"sampling.stop=['{SHOWN}\u202e\x1b[35;45m'],[y]"),
    "status": ("status", "last"),
    "status local": ("status", "local/last"),
    "status --json": ("status", "last", "--json"),
    "list": ("status",),
    "list --json": ("status", "--json"),
    "logs": ("logs", "local/last"),
    "rescore": ("rescore", "last"),
    "resume": ("resume", "last", "--retry-final"),
    "cancel": ("cancel", "last"),
    "cache": ("cache",),
    "cache explain": ("cache", "explain", "e.yaml", "sampling.stop=['\u202e']"),
    "parity": ("parity", "e.yaml", "engine=fake,openai_compatible"),
    "doctor": ("doctor",),
    "init": ("init", "new\x1b[35;45m\u202e"),
    "schema": ("schema",),
    "config": ("plan", "e.yaml", "--cfg", "job"),
    "defaults": ("plan", "e.yaml", "--info", "defaults"),
    "completion": ("completion", "bash"),
    "command": (f"pla{HOSTILE}",),
    "option": ("plan", "e.yaml", f"--{HOSTILE}"),
    "choice": ("completion", HOSTILE),
    "override": ("plan", "e.yaml", f"engine.{SHOWN}\u202e\x1b[35;45m=1"),
    "value": ("plan", "e.yaml", "sampling.temperature='\x1b[35;45m\u202e\x9b'"),
    "file": ("plan", f"{SHOWN}\x1b[35;45m\u202e.yaml"),
    "unreadable file": ("plan", "a\x1b[35;45m\u202eb.yaml"),
    "run name": ("status", HOSTILE),
    "point": ("render", "e.yaml", "--point", HOSTILE),
    "job": ("logs", "last", HOSTILE),
    **{
        name: ("plan", f"{name}.yaml")
        for name in ("bad", "broken", "column", "path", "engine", "env", "name")
    },
}


@pytest.mark.parametrize("case", WORDS)
def test_nothing_that_a_terminal_obeys_is_printed(folder: Folder, case: str) -> None:
    """On a terminal and in a pipe."""
    for printed in (folder.piped(*WORDS[case]), folder.shown(*WORDS[case])):
        assert printed.strip()
        assert UNSEEN.findall(printed) == []


@pytest.mark.parametrize("case", [case for case in WORDS if "--json" in case])
def test_json_stays_what_it_is(folder: Folder, case: str) -> None:
    """Its own escapes say the same."""
    text = folder.piped(*WORDS[case])
    values = [json.loads(line) for line in text.splitlines()] if "render" in case else json.loads(text)

    assert UNSEEN.search(json.dumps(values, ensure_ascii=False)) is not None or case == "list --json"


def test_config_stays_what_it_is(folder: Folder) -> None:
    """YAML's own escapes say the same."""
    config = yaml.safe_load(folder.piped("plan", "e.yaml", "--cfg", "job"))

    assert (config["dataset"]["target"], config["model"]["name"]) == (HOSTILE, f"m{HOSTILE}")


def test_what_can_be_shown_is(folder: Folder) -> None:
    """Accents, emoji, right-to-left letters and brackets stay, and what is hostile can be read."""
    printed = folder.piped("render", "e.yaml")

    assert SHOWN + r"\x1b[35;45m\x1b]0;t" in printed
    assert r"\x9b2J\u202e\u2066\u200f\u061c\u2028\x7f\ufeff\u200b" in printed


@pytest.mark.parametrize("command", [("render", "e.yaml"), ("show", "local/last")])
def test_what_rings_or_moves_back_is_shown(folder: Folder, command: tuple[str, ...]) -> None:
    """No character is left out: two texts that differ don't look the same."""
    for printed in (folder.piped(*command), folder.shown(*command)):
        assert r"\x1b]0;t\x07\x9b2J" in printed
        assert r"\u200b\x08\x0d\x85!" in printed


def test_logs_show_bars_as_lines_and_no_colours(folder: Folder) -> None:
    """A server colours its prefix and moves back for each step of a bar."""
    folder.write_logs()  # another test may have begun a newer run

    printed = folder.piped("logs", "local/last")

    assert "step 1\nstep 2\nblue\n" in printed


def test_traceback_of_a_bug_is_escaped_and_masked(tmp_path: Path) -> None:
    """What it quotes may come from anywhere."""
    key = "sk-0123456789abcdef"
    program = (
        "import sys, runner.cli as c\n"
        "def broken(arguments): raise ZeroDivisionError(chr(27) + chr(0x202e) + 'Basic ' + sys.argv[1])\n"
        "c._run = broken\nsys.argv[:] = ['runner', sys.argv[1]]\nsys.exit(c.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, key.replace("-", "%2d")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "A_TOKEN": key},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: \\x1b\\u202eBasic ***\n")

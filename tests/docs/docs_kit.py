"""Reads the fenced blocks of the documentation, and a project to try them in.

What a block is, its first line tells:

- ``yaml``: an experiment. ``yaml part``: some keys of one, laid over experiments/addition.yaml.
- ``LANGUAGE PATH``, such as ``yaml conf/model/big.yaml``: a file of the reader's project.
- ``console``: commands after ``$``, each with what it prints; one that is shown without output is
  parsed and planned, but not run.
- anything else is not tried.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from runner.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``line`` is where it begins, ``path`` the project's file it is, if it is one."""

    info: str
    text: str
    line: int

    @property
    def path(self) -> str:
        _, _, rest = self.info.partition(" ")
        return "" if rest == "part" else rest

    @property
    def is_experiment(self) -> bool:
        return self.info in {"yaml", "yaml part"} or self.path.startswith("experiments/")

    @property
    def is_option(self) -> bool:
        return self.path.startswith("conf/")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of the documentation, and the lines shown under it."""

    words: tuple[str, ...]
    output: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(match["info"].strip(), match["text"], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    ]


def commands(page: Path) -> list[Shown]:
    """Return the commands of a page's console blocks; lines that end in a backslash are joined."""
    found: list[Shown] = []
    for block in blocks(page):
        if block.info != "console":
            continue
        lines = block.text.replace("\\\n", "").splitlines()
        starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            words = shlex.split(lines[start].removeprefix("$ "), comments=True)
            output = tuple(line for line in lines[start + 1 : end] if line.strip())
            found.append(Shown(tuple(words), output))
    return found


def make_project(root: Path, page: Path) -> Path:
    """Make what a reader of *page* has: what ships, and the files that the page shows."""
    for name in ("conf", "experiments", "templates", "data"):
        shutil.copytree(shipped() / name, root / name)
    (root / "models").mkdir()
    (root / "models" / "tiny").symlink_to(shipped() / "models" / "tiny")
    for block in blocks(page):
        if block.path:
            file = root / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
    return root


def plain(text: str) -> str:
    """Return text without what differs from run to run: numbers, run names, the width of columns."""
    text = re.sub(r"\d{8}T\d{6}-[0-9a-f]{4}", "STAMP", text)
    text = re.sub(r"\b[0-9a-f]{16,}\b", "HASH", text)
    text = re.sub(r"[\d,.]*\d", "#", text)
    return " ".join(re.sub(r"-{2,}|─+", "-", text).split())

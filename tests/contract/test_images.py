"""Pictures in a prompt, shown to a real model that sees."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.contract.environments import engine_python
from tests.contract.subjects import SETTINGS, TINY
from tests.slow.slow_kit import Project

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(600)]


def png(red: int, green: int, blue: int, side: int = 32) -> bytes:
    """Return a picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\0" + bytes((red, green, blue)) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _experiment(folder: Path, pictures: dict[str, str]) -> Project:
    """Write an experiment that asks the same about each picture, of a vLLM that the job starts."""
    python = str(engine_python("vllm"))
    script = Path(__file__).with_name("vision_model.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, script, TINY, folder / "seeing"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [{"id": name, "picture": picture, "a": ""} for name, picture in pictures.items()]
    (folder / "conf").mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project = Project(folder, {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")})
    settings = SETTINGS["vllm"]
    args = {**settings["args"], "max-model-len": 256}
    project.experiment(
        model=str(folder / "seeing"),
        engine={**settings, "kind": "vllm", "python": python, "args": args, "concurrency": 1},
        prompt={"user": "What?", "images": "{{ row.picture }}"},
        sampling={"temperature": 0, "max_tokens": 4, "logprobs": True, "ignore_eos": True},
        cache=False,  # equal requests are each sent
    )
    return project


def _responses(project: Project) -> dict[str, dict[str, Any]]:
    """Return each row's response."""
    (file,) = project.last.path.glob("jobs/*/1/records.jsonl")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return {record["result"]["id"]: record["answers"][0]["response"] for record in records}


def _logprobs(response: dict[str, Any]) -> list[float]:
    return [token["logprob"] for token in response["choices"][0]["logprobs"]]


def test_picture_reaches_the_model_however_a_row_gives_it(tmp_path: Path) -> None:
    """By path and by data URL it is the same to the last log probability; another one, or none, isn't."""
    (tmp_path / "red.png").write_bytes(png(255, 0, 0))
    (tmp_path / "blue.png").write_bytes(png(0, 0, 255))
    url = "data:image/png;base64," + base64.b64encode(png(255, 0, 0)).decode()
    project = _experiment(tmp_path, {"path": "red.png", "url": url, "other": "blue.png", "none": ""})

    printed = project.start("run", "exp.yaml")
    assert printed.wait(300) == 0, printed.printed

    answers = _responses(project)
    red = _logprobs(answers["path"])
    assert len(red) == 4
    assert _logprobs(answers["url"]) == pytest.approx(red, abs=1e-5)
    assert _logprobs(answers["other"]) != pytest.approx(red, abs=1e-3)
    assert _logprobs(answers["none"]) != pytest.approx(red, abs=1e-3)
    seen, unseen = (answers[name]["usage"]["prompt_tokens"] for name in ("path", "none"))
    assert seen >= unseen + 4

"""Pictures in a prompt, shown to a real model that sees."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.environments import engine_python
from tests.contract.subjects import SETTINGS, TINY
from tests.http_server import Exchange, HttpServer
from tests.slow.slow_kit import Project

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(600)]


def png(red: int, green: int, blue: int, side: int = 32) -> bytes:
    """Return a picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\0" + bytes((red, green, blue)) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _experiment(folder: Path, pictures: Mapping[str, str | bytes]) -> Project:
    """Write an experiment that asks the same about each picture, of a vLLM that the job starts."""
    python = str(engine_python("vllm"))
    script = Path(__file__).with_name("vision_model.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, script, TINY, folder / "seeing"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    texts = [picture if isinstance(picture, str) else None for picture in pictures.values()]
    data = [picture if isinstance(picture, bytes) else None for picture in pictures.values()]
    table = {"id": [*pictures], "picture": pa.array(texts, pa.string()), "data": pa.array(data, pa.binary())}
    (folder / "conf").mkdir()
    parquet.write_table(pa.table({**table, "a": [""] * len(pictures)}), folder / "rows.parquet")
    project = Project(folder, {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")})
    settings = SETTINGS["vllm"]
    args = {**settings["args"], "max-model-len": 256}
    project.experiment(
        model=str(folder / "seeing"),
        engine={**settings, "kind": "vllm", "python": python, "args": args, "concurrency": 1},
        prompt={"user": "What?", "images": ["{{ row.picture }}", "{{ row.data }}"]},
        dataset={"path": "rows.parquet", "target": "{{ row.a }}"},
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


async def _red(exchange: Exchange) -> None:
    await exchange.answer(png(255, 0, 0), headers=("content-type: image/png",))


def test_picture_reaches_the_model_however_a_row_gives_it(tmp_path: Path) -> None:
    """By path, address, data URL or bytes it is the same to the last log probability; others aren't."""
    red, blue = png(255, 0, 0), png(0, 0, 255)
    (tmp_path / "red.png").write_bytes(red)
    (tmp_path / "blue.png").write_bytes(blue)
    url = "data:image/png;base64," + base64.b64encode(red).decode()
    given: dict[str, str | bytes] = {
        "path": "red.png",
        "url": url,
        "bytes": red,
        "other": "blue.png",
        "other bytes": blue,
        "none": "",
    }
    with HttpServer({"/red.png": _red}) as web:
        project = _experiment(tmp_path, {**given, "address": web.url("/red.png")})
        printed = project.start("run", "exp.yaml")
        assert printed.wait(300) == 0, printed.printed
        fetched = web.connections

    answers = _responses(project)
    found = {name: _logprobs(response) for name, response in answers.items()}
    same, others = ("path", "url", "bytes", "address"), ("other", "other bytes", "none")
    assert len(found["path"]) == 4
    assert all(found[name] == pytest.approx(found["path"], abs=1e-5) for name in same)
    assert all(found[name] != pytest.approx(found["path"], abs=1e-3) for name in others)
    assert found["other"] == pytest.approx(found["other bytes"], abs=1e-5)
    assert fetched == 1  # by the engine
    seen, unseen = (answers[name]["usage"]["prompt_tokens"] for name in ("path", "none"))
    assert seen >= unseen + 4

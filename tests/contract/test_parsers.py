"""The command lines that jobs start servers with are taken by the engines' own argument parsers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.engines.served import ServerSettings, launched
from runner.engines.sglang import command as sglang
from runner.engines.vllm import command as vllm
from runner.spec import Model, Topology
from tests.contract.environments import engine_python
from tests.contract.lora import adapter
from tests.contract.subjects import TINY

pytestmark = [pytest.mark.contract, pytest.mark.slow]

_VLLM = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
read = vars(make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:]))
print("PARSED", json.dumps(read, default=str))
"""
_SGLANG = """
import argparse, json, sys
from sglang.srt.server_args import ServerArgs
parser = argparse.ArgumentParser()
ServerArgs.add_cli_args(parser)
print("PARSED", json.dumps(vars(parser.parse_args(sys.argv[1:])), default=str))
"""
FOUR = Topology(tensor_parallel_size=2, data_parallel_size=2)
MODEL = Model(name=str(TINY), quantization="fp8", chat_template=str(TINY / "tokenizer_config.json"))


def parsed(kind: str, code: str, words: list[str]) -> dict[str, Any]:
    """Return what the engine's own parser makes of a command line."""
    python = engine_python(kind)
    assert python is not None
    done = subprocess.run([python, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("PARSED "))
    found: dict[str, Any] = json.loads(line.removeprefix("PARSED "))
    return found


def settings(kind: str, **args: Any) -> ServerSettings:
    """Return the settings of a server with further arguments."""
    made = engine_kinds()[kind].settings.model_validate({"args": args})
    assert isinstance(made, ServerSettings)
    return made


def test_vllm_takes_the_command() -> None:
    """Every flag is one of its own, and is read as it is meant."""
    given = settings("vllm", **{"max-model-len": 512, "enforce-eager": True, "gpu-memory-utilization": 0.5})
    command = vllm(given, launched(given, MODEL, FOUR, 8123))
    read = parsed("vllm", _VLLM, command[4:])

    assert read["model_tag"] == str(TINY)
    assert [read[f"{size}_parallel_size"] for size in ("tensor", "data", "pipeline")] == [2, 2, 1]
    assert (read["dtype"], read["quantization"], read["generation_config"]) == ("float32", "fp8", "vllm")
    assert (read["max_model_len"], read["enforce_eager"], read["gpu_memory_utilization"]) == (512, True, 0.5)
    assert (read["host"], read["port"], read["served_model_name"]) == ("127.0.0.1", 8123, ["tiny"])


def test_sglang_takes_the_command() -> None:
    """Every flag is one of its own, and is read as it is meant."""
    given = settings("sglang", **{"max-total-tokens": 512, "disable-overlap-schedule": True})
    command = sglang(given, launched(given, MODEL, FOUR, 8123))
    read = parsed("sglang", _SGLANG, command[3:])

    assert read["model_path"] == str(TINY)
    assert (read["tp_size"], read["dp_size"], read["pp_size"]) == (2, 2, 1)
    assert (read["dtype"], read["quantization"], read["sampling_defaults"]) == ("float32", "fp8", "openai")
    assert (read["max_total_tokens"], read["disable_overlap_schedule"]) == (512, True)
    assert (read["host"], read["port"], read["served_model_name"]) == ("127.0.0.1", 8123, "tiny")


def test_both_take_an_adapter(tmp_path: Path) -> None:
    """By its name and its folder, whatever characters are in that."""
    lora = adapter(tmp_path / "a=b, c")
    model = MODEL.model_copy(update={"adapter": str(lora)})
    plain = settings("vllm")
    read = parsed("vllm", _VLLM, vllm(plain, launched(plain, model, FOUR, 8123))[4:])
    assert (read["enable_lora"], read["max_lora_rank"]) == (True, 8)
    assert str(lora) in str(read["lora_modules"])

    plain = settings("sglang")
    read = parsed("sglang", _SGLANG, sglang(plain, launched(plain, model, FOUR, 8123))[3:])
    assert read["enable_lora"] is True
    assert str(lora) in str(read["lora_paths"])

"""Servers are started for the task that they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from runner.engines.served import launched
from runner.engines.sglang import Sglang
from runner.engines.sglang import command as sglang
from runner.engines.vllm import Vllm
from runner.engines.vllm import command as vllm
from runner.spec import Model, Topology
from runner.tasks import engine_start


def vllm_flags(task: str, **args: Any) -> list[str]:
    """Return vLLM's command line from the task's flags on."""
    settings = Vllm(args=args)
    words = vllm(settings, launched(settings, Model(name="org/m"), Topology(), 1, task))
    return words[words.index("--generation-config") + 2 :]


@pytest.mark.parametrize(
    ("task", "flags"),
    [
        ("chat", []),
        ("complete", []),
        ("loglikelihood", []),
        ("embed", ["--runner", "pooling", "--convert", "embed"]),
        ("classify", ["--runner", "pooling", "--convert", "classify"]),
        ("score", ["--runner", "pooling"]),
        ("rerank", ["--runner", "pooling"]),
        ("reward", ["--runner", "pooling"]),
    ],
)
def test_vllm_is_told_what_it_pools_for(task: str, flags: list[str]) -> None:
    """Tasks that generate add nothing."""
    assert vllm_flags(task) == flags


def test_the_users_flags_win() -> None:
    """What the user gives, however it is spelled, is not given by the job."""
    assert vllm_flags("embed", convert="classify") == ["--runner", "pooling", "--convert", "classify"]


@pytest.mark.parametrize(("task", "args", "count"), [("chat", {}, 0), ("embed", {}, 1), ("score", {}, 1)])
def test_sglang_is_told_that_it_embeds(task: str, args: dict[str, Any], count: int) -> None:
    """Every task that is answered with numbers needs the flag."""
    settings = Sglang(args=args)

    words = sglang(settings, launched(settings, Model(name="org/m"), Topology(), 1, task))

    assert words.count("--is-embedding") == count


def test_sglang_flag_that_the_user_denies_is_left_out() -> None:
    """False is none, as for every flag."""
    settings = Sglang(args={"is_embedding": False})

    words = sglang(settings, launched(settings, Model(name="org/m"), Topology(), 1, "embed"))

    assert "--is-embedding" not in words


def test_only_tasks_that_generate_share_a_start() -> None:
    """A server that embeds can't chat."""
    assert engine_start("chat") == engine_start("complete") == engine_start("loglikelihood")
    assert len({engine_start(task) for task in ("chat", "embed", "score", "classify")}) == 4

"""The embedded engine, asked for real: every parameter it declares has the effect it should have."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from runner.engines.mistralrs import KIND, Mistralrs
from runner.errors import (
    BadRequestError,
    ContextLengthError,
    EngineStartError,
    IncompleteResponseError,
    RequestTimeoutError,
)
from runner.shipped import shipped
from runner.spec import Model
from runner.values import Request, Response, Scope
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.chunk_kit import texts_of

TINY = shipped() / "models" / "tiny"
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 12}

pytestmark = pytest.mark.skipif(KIND.missing() is not None, reason="mistralrs is not installed")


def ask(*requests: Request, **model: Any) -> list[Response]:
    """Ask the tiny model, one request after the other."""

    async def run() -> list[Response]:
        declared = Model(**{"name": str(TINY), **model})
        async with KIND.create(Mistralrs(), declared) as engine:
            return [await engine.generate(request) for request in requests]

    return asyncio.run(run())


def rolls(count: int = 60, **sampling: Any) -> Counter[str]:
    """Return how often each answer to `roll` came."""
    requests = [chat_request("roll", max_tokens=1, sample=i, **sampling) for i in range(count)]
    return Counter(response.text for response in ask(*requests))


def test_mistralrs_answers_both_tasks() -> None:
    """A real model, loaded from the shipped folder, adds two numbers, by messages and by raw prompt."""
    chat, complete = ask(
        chat_request("37+48", **GREEDY), text_request("<|user|>37+48<|assistant|>", **GREEDY)
    )

    assert (chat.text, complete.text) == ("85", "85")
    assert chat.choices[0].finish_reason == "stop"
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (8, 3)
    assert chat.engine == "mistralrs"
    assert chat.engine_version
    assert chat.timing.seconds > 0


def test_temperature_samples_though_no_top_k_is_given() -> None:
    """Left to its own default for top_k the library may answer greedily at any temperature."""
    assert len(rolls(temperature=0.0)) == 1
    assert set(rolls(temperature=1.0)) == set("123456")
    assert len(rolls(temperature=10.0)) > 12


def test_top_k_top_p_and_min_p_narrow_what_is_drawn() -> None:
    """Each leaves only the most likely tokens, at a temperature where all are drawn otherwise."""
    assert len(rolls(temperature=3.0, top_k=1)) == 1
    assert len(rolls(temperature=3.0, top_k=3)) == 3
    assert len(rolls(temperature=1.0, top_p=0.3)) < 4
    assert set(rolls(temperature=10.0, min_p=0.9)) <= set("123456")


def test_models_own_generation_config_fills_nothing_in(tmp_path: Path) -> None:
    """What it would penalise and leave out comes back right, with the values that a plan sends."""
    copy = shutil.copytree(TINY, tmp_path / "tiny")
    hostile = {"temperature": 0.01, "top_p": 0.01, "top_k": 1, "min_p": 0.99, "repetition_penalty": 10.0}
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, **hostile}))
    sent = KIND.capabilities.defaults
    greedy = chat_request("reverse aabbaabbab", **{**sent, **GREEDY})
    drawn = [chat_request("roll", **{**sent, "max_tokens": 1}, sample=i) for i in range(60)]

    answer, *faces = ask(greedy, *drawn, name=str(copy))

    assert answer.text == ask(greedy)[0].text == "babbaabb"
    assert len({face.text for face in faces}) > 4


def test_max_tokens_and_stop_end_the_answer() -> None:
    """The stop string is not part of the answer, and the reason tells them apart."""
    cut, stopped = ask(
        chat_request("37+48", temperature=0.0, max_tokens=1),
        chat_request("37+48", **GREEDY, stop=["5"]),
    )

    assert (cut.text, cut.choices[0].finish_reason) == ("8", "length")
    assert (stopped.text, stopped.choices[0].finish_reason) == ("8", "stop")


def test_penalties_change_repetitive_answers() -> None:
    """Each of the three is honoured; a neutral value changes nothing."""
    # Longer than any word it has learned to reverse: it is in doubt which letter comes next.
    draw = Random(0)
    words = ["".join(draw.choices("abc", k=length)) for length in (10, 12, 14, 16, 20, 24) for _ in range(3)]

    def answers(**penalty: Any) -> list[str]:
        sampling = {"temperature": 0.0, "max_tokens": 30, **penalty}
        return [response.text for response in ask(*(chat_request(f"reverse {w}", **sampling) for w in words))]

    plain = answers()
    assert answers(presence_penalty=2.0) != plain
    assert answers(frequency_penalty=2.0) != plain
    assert answers(repetition_penalty=10.0) != plain
    assert answers(repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0) == plain


def test_n_gives_that_many_choices_and_counts_all_their_tokens() -> None:
    """Choices are drawn independently."""
    (response,) = ask(chat_request("roll", temperature=1.0, max_tokens=8, n=20))

    assert len(response.choices) == 20
    assert len({choice.text for choice in response.choices}) > 1
    assert (response.usage.completion_tokens or 0) >= 40  # a digit and the end, each


def test_logprobs_come_with_as_many_alternatives_as_asked() -> None:
    """None is added that wasn't asked for."""
    three, none = ask(
        chat_request("37+48", **GREEDY, logprobs=True, top_logprobs=3),
        chat_request("37+48", **GREEDY, logprobs=True),
    )

    (first, *_) = three.choices[0].logprobs or ()
    assert (first.token, len(first.top), first.top[0][0]) == ("8", 3, "8")
    assert first.logprob == pytest.approx(first.top[0][1])
    assert (three.choices[0].cumulative_logprob or 0) < 0
    assert [token.top for token in none.choices[0].logprobs or ()] == [(), (), ()]


def test_seed_and_what_raw_prompts_lack_are_not_declared() -> None:
    """The plan refuses them: the library has no seed of a request's own, and no n for raw prompts."""
    assert "seed" not in KIND.capabilities.takes("chat")
    assert {"n", "logprobs"} <= KIND.capabilities.takes("chat").keys()
    assert not {"n", "logprobs", "top_logprobs"} & KIND.capabilities.takes("complete").keys()
    with pytest.raises(IncompleteResponseError, match="n is 2"):
        ask(text_request("1+1", **GREEDY, n=2))


def test_prompt_that_does_not_fit_is_a_context_error() -> None:
    """It is final for its row, and the engine goes on."""

    async def run() -> str:
        async with KIND.create(Mistralrs(), Model(name=str(TINY))) as engine:
            with pytest.raises(ContextLengthError, match="2048"):
                await engine.generate(chat_request("1" * 3000, **GREEDY))
            return (await engine.generate(chat_request("1+1", **GREEDY))).text

    assert asyncio.run(run()) == "2"


@pytest.mark.parametrize(
    "message",
    [{"role": "user"}, {"role": "user", "content": None}, {"role": "user", "content": "a", "name": "b"}],
)
def test_message_that_the_library_would_break_on_is_refused(message: dict[str, Any]) -> None:
    """A missing content ends the library's thread, a further key would be ignored."""
    with pytest.raises(BadRequestError, match="message"):
        ask(Request("chat", (message,), GREEDY, Scope({}, {})))


def test_stream_yields_the_answer_in_pieces() -> None:
    """Joined, the pieces are the answer."""

    async def run() -> list[str]:
        async with KIND.create(Mistralrs(), Model(name=str(TINY))) as engine:
            return await texts_of(engine, chat_request("37+48", **GREEDY))

    assert asyncio.run(run()) == ["8", "5"]


def test_chat_template_quantization_and_dtype_of_the_model_are_honoured(tmp_path: Path) -> None:
    """Each changes what it should: the prompt, the weights, the arithmetic."""
    template = tmp_path / "mine.j2"
    template.write_text("{{ bos_token }}<|user|>{{ messages[0]['content'] }}1<|assistant|>")
    request = chat_request("2+4", **GREEDY, logprobs=True)

    prompts = [
        ask(request, **model)[0].usage.prompt_tokens for model in ({}, {"chat_template": str(template)})
    ]
    sums = [
        ask(request, **model)[0].choices[0].cumulative_logprob
        for model in ({}, {"dtype": "float32"}, {"dtype": "bfloat16"}, {"quantization": "Q8_0"})
    ]

    assert prompts == [6, 7]
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3


def draws(first_sample: int) -> str:
    """Return what a process of its own draws for a row's samples from *first_sample* on."""
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_mistralrs import ask, chat_request\n"
        "first = int(sys.argv[1])\n"
        "asked = [chat_request('roll', temperature=1.0, max_tokens=1, sample=first + i) for i in range(30)]\n"
        "print(''.join(response.text for response in ask(*asked)))"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", program, str(first_sample), str(here), str(here.parents[1])]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout.strip()


def test_later_samples_don_t_repeat_the_draws_of_an_earlier_process() -> None:
    """Samples 30 to 59, asked by a later run, are new draws; the same run again draws the same."""
    first = draws(0)

    assert draws(30) != first
    assert draws(0) == first


def test_weights_that_are_not_here_are_found_by_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a folder nor in the hub cache: nothing is downloaded."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    (fault,) = KIND.check(Mistralrs(), Model(name="some/model"))

    assert fault.place == "model.name"
    assert "neither a folder nor in the local Hugging Face cache" in fault.problem
    with pytest.raises(EngineStartError, match="neither a folder"):
        ask(chat_request(), name="some/model")


def test_hub_name_is_found_in_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By branch, through the commit that the cache holds for it."""
    repository = tmp_path / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.copytree(TINY, repository / "snapshots" / "abc123")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    (response,) = ask(chat_request("37+48", **GREEDY), name="some/model")

    assert response.text == "85"


def test_unknown_dtype_and_another_tokenizer_are_found_by_the_plan() -> None:
    """With the nearest name."""
    faults = KIND.check(Mistralrs(), Model(name=str(TINY), dtype="flaot32", tokenizer="x"))

    assert [fault.place for fault in faults] == ["model.dtype", "model.tokenizer"]
    assert "did you mean float32?" in faults[0].hint


def test_architecture_that_it_cannot_run_is_told_at_the_start(tmp_path: Path) -> None:
    """By the name in config.json."""
    folder = shutil.copytree(TINY, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["FooForCausalLM"]}))

    with pytest.raises(EngineStartError, match="FooForCausalLM"):
        ask(chat_request(), name=str(folder))


def endless() -> Request:
    """Return a request that must be answered with as many digits as the context has room for."""
    return chat_request("1", temperature=0.0, regex="[0-9]{1900}", max_tokens=1900)


def test_late_request_makes_no_other_late() -> None:
    """The library goes on with it; the next one's time begins when the thread is free."""

    async def run() -> list[str]:
        async with KIND.create(Mistralrs(timeout=0.7), Model(name=str(TINY))) as engine:
            with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.7 s"):
                await engine.generate(endless())
            answers = await asyncio.gather(*(engine.generate(chat_request("37+48", **GREEDY)) for _ in "abc"))
            return [answer.text for answer in answers]

    assert asyncio.run(run()) == ["85"] * 3


def test_late_stream_is_given_up() -> None:
    """It has the time of a request."""

    async def run() -> list[str]:
        async with KIND.create(Mistralrs(timeout=0.7), Model(name=str(TINY))) as engine:
            with pytest.raises(RequestTimeoutError):
                await texts_of(engine, endless())
            return await texts_of(engine, chat_request("37+48", **GREEDY))

    assert "".join(asyncio.run(run())) == "85"

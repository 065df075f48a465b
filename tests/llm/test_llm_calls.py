"""What can be asked, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.engines.mistralrs import KIND as MISTRALRS
from runner.errors import AuthenticationError, BadRequestError, ConfigError, InputError
from tests.engines.scripted_server import Reply, ScriptedServer, chat, serving

pytestmark = pytest.mark.usefixtures("lab")

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}


def fake(template: str = "{{ last }}", **keys: Any) -> LLM:
    """Return a model that answers from a template."""
    return LLM("fake:none", engine={"kind": "fake", "template": template}, **keys)


def scripted(server: ScriptedServer, **keys: Any) -> LLM:
    """Return the model of a scripted server."""
    return LLM(
        {"name": "m"}, engine={"kind": "openai_compatible", "base_url": server.url, **keys}, cache=False
    )


def sent(given: Any, **sampling: Any) -> dict[str, Any]:
    """Return the body that a call sends."""

    async def ask() -> dict[str, Any]:
        async with serving(Reply(chat('{"a": 1}'))) as server, scripted(server) as llm:
            await llm.generate(given, **sampling)
            return server.sent[0].body

    return asyncio.run(ask())


def test_import_of_the_package_stays_cheap() -> None:
    """Nothing but the standard library is imported before LLM is asked for."""
    code = (
        "import sys, runner; print([name for name in sys.modules if name.startswith('runner.')]); "
        "from runner import LLM; print(LLM.__name__, 'LLM' in dir(runner))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert told.splitlines() == ["[]", "LLM True"]


@pytest.mark.skipif(MISTRALRS.missing() is not None, reason="mistralrs is not installed")
def test_real_model_answers_in_every_way() -> None:
    """The shipped model adds, awaited and waited for, streamed and not."""

    async def ask(llm: LLM) -> tuple[str, str]:
        return (await llm.generate("37+48")).text, "".join([text async for text in llm.stream("12+30")])

    with LLM("tiny", sampling=GREEDY) as llm:
        assert asyncio.run(ask(llm)) == ("85", "42")
        assert llm.generate_sync("25+11").text == "36"
        assert "".join(llm.stream_sync("31+11")) == "42"
    with LLM("tiny", task="complete", sampling=GREEDY) as llm:
        assert llm.generate_sync("<|user|>37+48<|assistant|>").text == "85"


def test_nothing_starts_before_the_first_request() -> None:
    """A server that isn't there is noticed by the first call only, and close has nothing to end."""
    llm = LLM("fake:m1")

    llm.close()

    assert llm.generate_sync("now").text == "now"


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("Hi", [{"role": "user", "content": "Hi"}]),
        (
            ["a", "b", "c"],
            [{"role": r, "content": c} for r, c in (("user", "a"), ("assistant", "b"), ("user", "c"))],
        ),
        (
            [{"role": "system", "content": "Be."}, "a"],
            [{"role": "system", "content": "Be."}, {"role": "user", "content": "a"}],
        ),
        ([{"role": "user", "content": "x", "name": "n"}], [{"role": "user", "content": "x", "name": "n"}]),
    ],
    ids=["text", "alternating", "system first", "messages"],
)
def test_inputs_become_messages(given: Any, messages: list[Any]) -> None:
    """Text, alternating strings, and messages are what an experiment's rows may hold too."""
    assert sent(given)["messages"] == messages


def test_sampling_of_a_call_is_laid_over_the_declared() -> None:
    """A key replaces a key; None takes one back; passthrough goes along verbatim."""
    llm_body = sent("x", max_tokens=5, stop="END", top_p=None, passthrough={"mirostat": 2})

    assert (llm_body["max_tokens"], llm_body["stop"], llm_body["mirostat"]) == (5, ["END"], 2)
    with fake(sampling={"max_tokens": 1}) as llm:
        assert llm.generate_sync("a b c").text == "a"
        assert llm.generate_sync("a b c", max_tokens=2).text == "a b"
        assert llm.generate_sync("a b c", max_tokens=None).text == "a b c"


def test_json_schema_gives_a_parsed_answer() -> None:
    """The schema is sent, and the answer comes as a value too."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

    async def ask() -> Any:
        async with serving(Reply(chat('{"a": 1}'))) as server, scripted(server) as llm:
            return (await llm.generate("x", json_schema=schema)).choices[0].parsed

    assert asyncio.run(ask()) == {"a": 1}


def test_samples_are_independent_and_seeded_apart() -> None:
    """Sample k is sent the seed plus k, as an experiment's is."""
    assert [sent("x", seed=7, sample=k)["seed"] for k in (0, 2)] == [7, 9]


def test_arguments_are_refused_like_a_file() -> None:
    """All faults come together, each with what is known, before anything starts."""
    with pytest.raises(ConfigError) as caught:
        LLM("tiny", sampling={"temprature": 1, "top_p": 7})

    text = str(caught.value)
    assert "sampling.temprature (LLM): unknown key\n    did you mean temperature?" in text
    assert "sampling.top_p (LLM): 7 given" in text


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"temprature": 1}, r"^temprature: unknown key\n    did you mean temperature\?"),
        ({"temperature": -1}, r"^temperature: -1 given"),
        ({"tools": [{"type": "function"}]}, r"engine fake can't honour tools\n    taken by: .*vllm"),
        ({"top_logprobs": 3}, r"^top_logprobs: needs logprobs\n    add logprobs=True"),
        ({"temperature": "{{ row.t }}"}, r"a template, and a call has no row"),
        ({"temperature": float("nan")}, r"^temperature: nan given"),
        ({"json_schema": {"x": object()}}, r"^json_schema\.x: object given, expected text"),
    ],
    ids=["unknown", "range", "unable", "together", "template", "nan", "no json"],
)
def test_sampling_of_a_call_is_refused_like_a_plan(sampling: dict[str, Any], said: str) -> None:
    """What the engine can't honour is never dropped."""
    with fake() as llm, pytest.raises(ConfigError, match=said):
        llm.generate_sync("x", **sampling)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "input: expected text or a list of messages, not 5"),
        (None, "input: expected text or a list of messages, not None"),
        ([], r"input: expected text or a list of messages, not \[\]"),
        ({"role": "user", "content": "x"}, "not {'role': .*; put the message into a list"),
        ([{"content": "x"}], r"input: expected a message with role at \[0\], not {'content': 'x'}"),
        ([{"role": "user", "content": None}], r"as content at \[0\], not None"),
        (["a", "b"], "input: expected an odd number of strings"),
        ([{"role": "usr", "content": "x"}], "did you mean 'user'"),
        ([{"role": "user", "content": [object()]}], "an image is a path"),
        ([{"role": "user", "content": "x", "extra": object()}], "input: a message holds what JSON can't"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": "../x.png"}]}],
            "is not below .*; a pathlib.Path may be",
        ),
        ([{"role": "user", "content": [Path("gone.png")]}], "input: image gone.png: No such file"),
    ],
    ids=[
        "number",
        "nothing",
        "empty",
        "message",
        "no role",
        "no content",
        "even",
        "role",
        "part",
        "object",
        "outside",
        "missing",
    ],
)
def test_unfit_input_is_told(given: Any, said: str) -> None:
    """Nothing is sent of what no message can be made of."""
    engine = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9"}
    with LLM({"name": "m"}, engine=engine) as llm, pytest.raises(InputError, match=said) as raised:
        llm.generate_sync(given)
    assert isinstance(raised.value, ValueError)


def test_call_of_a_completion_says_its_length(url: str) -> None:
    """An LLM without it can be made; the call is refused that leaves it out too."""
    engine = {"kind": "openai_compatible", "base_url": url}
    with (
        LLM({"name": "m"}, engine=engine, task="complete") as llm,
        pytest.raises(ConfigError, match=r"^max_tokens: engine openai_compatible needs it"),
    ):
        llm.generate_sync("x")


def test_token_ids_are_for_engines_that_take_them() -> None:
    """A raw prompt may be a list of token ids; where it can't, that is said."""

    async def ask() -> Any:
        reply = Reply({"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]})
        async with serving(reply) as server:
            engine = {"kind": "openai_compatible", "base_url": server.url}
            async with LLM({"name": "m"}, engine=engine, task="complete") as llm:
                await llm.generate([1, 2, 3], max_tokens=8)
            return server.sent[0].body["prompt"]

    assert asyncio.run(ask()) == [1, 2, 3]
    with fake(task="complete") as llm, pytest.raises(ConfigError, match="engine fake takes no token ids"):
        llm.generate_sync([1, 2, 3])
    with (
        fake(task="complete") as llm,
        pytest.raises(InputError, match="expected a prompt or a list of token ids"),
    ):
        llm.generate_sync([1, -2])


def test_stream_takes_one_choice() -> None:
    """Several choices can't be told apart in a stream."""
    with fake() as llm, pytest.raises(ConfigError, match=r"^n: a stream of text is one choice"):
        next(llm.stream_sync("x", n=2))


def test_errors_are_those_of_the_engine() -> None:
    """A refusal is final, a refused key ends it; what may succeed later was tried again."""

    async def ask(*replies: Reply, **engine: Any) -> str:
        async with serving(*replies) as server, scripted(server, **engine) as llm:
            return (await llm.generate("x")).text

    with pytest.raises(BadRequestError, match="HTTP 400"):
        asyncio.run(ask(Reply({"error": {"message": "no"}}, 400)))
    with pytest.raises(AuthenticationError, match="HTTP 401"):
        asyncio.run(ask(Reply({"error": {"message": "who?"}}, 401)))
    again = asyncio.run(ask(Reply({}, 429, {"retry-after-ms": "1"}), Reply(chat("later")), max_attempts=2))
    assert again == "later"


def test_stream_passes_errors_on() -> None:
    """What the server refuses is raised where the text is read."""

    async def ask() -> None:
        async with serving(Reply({"error": {"message": "no"}}, 400)) as server, scripted(server) as llm:
            async for _ in llm.stream("x"):
                pass

    with pytest.raises(BadRequestError, match="HTTP 400"):
        asyncio.run(ask())


def test_unknown_task_cache_and_sample_are_refused() -> None:
    """What isn't there is refused by name."""
    with pytest.raises(
        ConfigError, match=r"task: embed is a method here\n    leave it out, and call embed\(\)"
    ):
        LLM("fake:m", task="embed")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cache: 3 given, expected True, False, refresh, strict"):
        LLM("fake:m", cache=3)  # type: ignore[arg-type]
    with fake() as llm, pytest.raises(ConfigError, match="sample: -1 given, expected a number from 0"):
        llm.generate_sync("x", sample=-1)

"""The kind openai_compatible against a server that nobody here wrote: ``transformers serve``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.engines.base import EngineContext
from runner.engines.registry import engine_kinds
from runner.errors import IncompleteResponseError
from runner.servers import Server, ServerStart, free_port
from runner.spec import Model
from tests.contract.environments import transformers_python
from tests.contract.subjects import TINY, Subject, chat, complete, messages, running_loop

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Yield the engine, attached to a server of the tiny model."""
    program = transformers_python().with_name("transformers")
    port = free_port()
    kind = engine_kinds()["openai_compatible"]
    settings = kind.settings.model_validate({
        "kind": kind.name,
        "base_url": f"http://127.0.0.1:{port}/v1",
    })
    engine = kind.create(settings, Model(name=str(TINY)), EngineContext())
    options = ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    start = ServerStart(
        name="transformers serve",
        command=[str(program), "serve", str(TINY), *options],
        port=port,
        log=tmp_path_factory.mktemp("serve") / "server.log",
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    with running_loop() as (loop, wait):
        wait(engine.__aenter__())
        server = Server(start)
        subject = Subject(kind, engine, loop)
        try:
            wait(server.ready(lambda: engine.generate(chat("1+2", temperature=0.0)), within=300))
            yield subject
        finally:
            wait(engine.__aexit__(None, None, None))
            wait(server.stop())


def test_sums_come_back_right_and_counted(served: Subject) -> None:
    """Twenty sums at once, greedy, each with its own answer and tokens."""
    sums = [(a, b) for a in range(10, 50, 8) for b in range(3, 19, 4)]
    responses = served.ask(*(chat(f"{a}+{b}", temperature=0.0) for a, b in sums))

    assert [response.text for response in responses] == [str(a + b) for a, b in sums]
    assert {response.choices[0].finish_reason for response in responses} == {"stop"}
    assert responses[0].usage.prompt_tokens == len("10+3") + 3


def test_conversation_and_raw_prompt_are_read(served: Subject) -> None:
    """The last of several turns is answered, and a raw prompt gone on with."""
    turns = messages(
        {"role": "system", "content": "Answer with the number only."},
        {"role": "user", "content": "37+48"},
        {"role": "assistant", "content": "85"},
        {"role": "user", "content": "12+30"},
        temperature=0.0,
    )

    assert [one.text for one in served.ask(turns, complete("37+48=", temperature=0.0))] == ["42", "85"]


def test_stream_is_the_whole_answer(served: Subject) -> None:
    """The pieces of a streamed answer make up the whole one."""
    request = chat("reverse abcdefg", temperature=0.0)

    assert "".join(served.streamed(request)) == served.ask(request)[0].text == "gfedcba"


def test_max_tokens_and_stop_end_an_answer(served: Subject) -> None:
    """Either cuts it where it should; the server leaves the stop string in its answers, we don't."""
    stopping = chat("reverse abcdefg", temperature=0.0, stop=["d"])
    cut, stopped = served.ask(chat("reverse abcdefg", temperature=0.0, max_tokens=3), stopping)

    assert (cut.text, cut.choices[0].finish_reason) == ("gfe", "length")
    assert stopped.text == "".join(served.streamed(stopping)) == "gfe"


@pytest.mark.parametrize("asked", [{"n": 2}, {"logprobs": True}], ids=["n", "logprobs"])
def test_what_the_server_ignores_is_an_error(served: Subject, asked: dict[str, object]) -> None:
    """It drops n and logprobs in silence; a response that lacks them is none."""
    with pytest.raises(IncompleteResponseError, match=next(iter(asked))):
        served.one("1+2", temperature=0.0, **asked)

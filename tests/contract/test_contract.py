"""One contract for every engine that loads weights: the same claims about one model, on the real thing."""

from __future__ import annotations

from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import ContextLengthError, RowError
from runner.values import Choice
from tests.contract.effects import SHOWN
from tests.contract.subjects import SETTINGS, Subject, chat, complete, messages
from tests.contract.tool_effects import call, called
from tests.engines.chunk_kit import added_up

pytestmark = [pytest.mark.contract, pytest.mark.slow]

KINDS = tuple(SETTINGS)
TABLES = {kind: engine_kinds()[kind].capabilities for kind in KINDS}
TRIPLES = [
    (kind, task, name) for kind in KINDS for task in ("chat", "complete") for name in TABLES[kind].takes(task)
]


@pytest.mark.parametrize(
    ("subject", "task", "parameter"),
    TRIPLES,
    indirect=["subject"],
    scope="session",
    ids=map("-".join, TRIPLES),
)
def test_parameter_has_its_effect(subject: Subject, task: str, parameter: str) -> None:
    """Every parameter that a kind declares for a task changes the answer as it should."""
    SHOWN[parameter](subject.put(task))


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_answers_are_right(subject: Subject) -> None:
    """Twenty sums at once, greedy, each with its own answer and counted tokens."""
    sums = [(a, b) for a in range(10, 50, 8) for b in range(3, 19, 4)]
    responses = subject.ask(*(chat(f"{a}+{b}", temperature=0.0) for a, b in sums))

    assert [response.text for response in responses] == [str(a + b) for a, b in sums]
    assert all(response.choices[0].finish_reason == "stop" for response in responses)
    assert all(
        response.usage.prompt_tokens == len(f"{a}+{b}") + 3
        for response, (a, b) in zip(responses, sums, strict=True)
    )
    assert all(response.timing.seconds > 0 for response in responses)
    assert responses[0].engine == subject.kind.name


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_conversation_and_system_message_are_read(subject: Subject) -> None:
    """The last question is answered, whatever was said before."""
    response = subject.ask(
        messages(
            {"role": "system", "content": "Answer with the number only."},
            {"role": "user", "content": "37+48"},
            {"role": "assistant", "content": "85"},
            {"role": "user", "content": "You said: 85. Now 12+30"},
            temperature=0.0,
        )
    )[0]

    assert response.text == "42"


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_raw_prompt_is_completed_without_a_template(subject: Subject) -> None:
    """A prompt in the form of a sum is gone on with."""
    response = subject.ask(complete("37+48=", temperature=0.0))[0]

    assert response.text == "85"
    assert response.usage.prompt_tokens == len("37+48=") + 1


@pytest.mark.parametrize("subject", [k for k in KINDS if "token_ids" in TABLES[k].features], indirect=True)
def test_raw_prompt_may_be_token_ids(subject: Subject) -> None:
    """The ids of a sum give its answer."""
    ids = (1, *(9 + ord(character) - 32 for character in "37+48="))

    assert subject.ask(complete(ids, temperature=0.0))[0].text == "85"


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_stream_brings_the_same_text(subject: Subject) -> None:
    """The pieces of a streamed answer make up the whole one, of a chat and of a raw prompt."""
    for task in ("chat", "complete"):
        request = subject.put(task).asking("reverse abcdefg", temperature=0.0)
        pieces = subject.streamed(request)

        assert "".join(pieces) == subject.ask(request)[0].text == "gfedcba"
        # mistral.rs streams no raw prompts.
        assert (len(pieces) == 1) == ((subject.kind.name, task) == ("mistralrs", "complete"))


def streamable(subject: Subject, **wanted: Any) -> dict[str, Any]:
    """Return what of these the engine takes, and may be asked for in pieces."""
    able = subject.kind.capabilities
    taken = {name: value for name, value in wanted.items() if name in subject.takes}
    return {k: v for k, v in taken.items() if not able.no_pieces(subject.task, {k: v})}


@pytest.mark.parametrize("subject", KINDS, indirect=True)
@pytest.mark.parametrize("task", ["chat", "complete"])
def test_chunks_add_up_to_the_answer_in_one_piece(subject: Subject, task: str) -> None:
    """All that is told beside the text comes in chunks as well: log probabilities, token ids, counts."""
    subject = subject.put(task)
    given = streamable(subject, logprobs=True, top_logprobs=1, return_token_ids=True)
    request = subject.asking("reverse abcdefg", temperature=0.0, max_tokens=16, **given)
    chunks, streamed = subject.chunks(request)
    whole = subject.ask(request)[0]

    assert [told(one) for one in added_up(chunks)] == [told(one) for one in streamed.choices]
    for (text, logprobs, *ids), one in zip(map(told, streamed.choices), whole.choices, strict=True):
        assert (text, ids[0], ids[1]) == (one.text, one.token_ids, one.finish_reason)
        assert len(logprobs or ()) == len(one.logprobs or ())
    assert chunks[-1].usage == streamed.usage
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_every_choice_comes_in_chunks(subject: Subject) -> None:
    """Each has its index, and adds up to its own."""
    given = streamable(subject, logprobs=True)
    chunks, streamed = subject.chunks(
        subject.asking("reverse abcdefg", temperature=1.0, max_tokens=16, n=2, **given)
    )

    assert len(streamed.choices) == 2
    assert [told(one) for one in added_up(chunks)] == [told(one) for one in streamed.choices]


def told(choice: Choice) -> tuple[Any, ...]:
    """Return all that chunks tell of a choice."""
    return choice.text, choice.logprobs, choice.token_ids, choice.finish_reason, choice.reasoning


@pytest.mark.parametrize("subject", ["vllm", "sglang"], indirect=True)
def test_call_that_comes_in_pieces_is_the_same(subject: Subject) -> None:
    """A server that is attached to and streams gives name and arguments that parse to what comes at once."""
    whole = call("", tool_choice="required")
    with subject.attached(stream=True) as streaming:
        (pieces,) = streaming.ask(whole)

    # Only the call: SGLang streams what the model writes after it, and leaves that out of a whole answer.
    assert called(pieces.choices[0]) == called(subject.ask(whole)[0].choices[0])
    assert pieces.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("subject", ["vllm", "sglang"], indirect=True)
def test_pieces_are_timed(subject: Subject) -> None:
    """The first token comes before the last, the others after it; the text is the whole one's."""
    request = chat("reverse abcdefg", temperature=0.0)
    with subject.attached(stream=True) as streaming:
        (pieces,) = streaming.ask(request)

    timing = pieces.timing
    assert pieces.text == subject.ask(request)[0].text
    assert timing.first_token is not None
    assert timing.inter_token is not None
    assert 0 < timing.first_token < timing.first_token + timing.inter_token <= timing.seconds


@pytest.mark.parametrize("subject", ["vllm", "vllm_offline"], indirect=True)
def test_beam_search_reads_what_is_taken_beside_it_alone(subject: Subject) -> None:
    """Each value that a plan refuses there changes no beam; log probabilities and token ids come."""
    asked = {"use_beam_search": True, "n": 2, "temperature": 0.0, "logprobs": True, "return_token_ids": True}
    unread: list[dict[str, Any]] = [
        {"temperature": 2.0},
        {"top_k": 1},
        {"min_p": 0.99},
        {"top_p": 0.01},
        {"min_tokens": 12},
    ]
    unread += [{"presence_penalty": 2.0}, {"repetition_penalty": 9.0}, {"logit_bias": {"75": -100}}]
    unread += [{"stop_token_ids": [75]}, {"seed": 7}]
    beams, *others = subject.ask(*(chat("reverse aabbaabbab", **{**asked, **own}) for own in ({}, *unread)))

    assert [choice.text for choice in beams.choices] == ["babbaabb", "babbaaba"]
    assert all([c.text for c in other.choices] == ["babbaabb", "babbaaba"] for other in others)
    assert all(len(choice.logprobs or ()) == len(choice.token_ids or ()) == 8 for choice in beams.choices)


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_prompt_beyond_the_context_is_the_rows_own_fault(subject: Subject) -> None:
    """It is final for the row, and the engine goes on answering."""
    with pytest.raises(RowError) as caught:
        subject.one("1" * 3000, temperature=0.0)

    assert isinstance(caught.value, ContextLengthError)
    assert subject.one("37+48", temperature=0.0).text == "85"


def test_every_parameter_is_shown() -> None:
    """No kind declares a parameter that no claim is made about."""
    declared = {name for kind in KINDS for name in TABLES[kind].sampling}

    assert declared <= SHOWN.keys()

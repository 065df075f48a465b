"""Every sampling parameter of transformers does what it says, held against the model's own probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from runner.values import Choice, Response
from tests.engines.asking_engines import chat_request
from tests.engines.asking_transformers import (
    GREEDY,
    ask,
    logits_after,
    probabilities,
    prompt_ids,
    reference,
)

torch = pytest.importorskip("torch")
_EXPECTED_AT_LEAST = 5.0


def firsts(count: int, text: str = "roll", **sampling: Any) -> Counter[int]:
    """Return how often each token was the first of an answer."""
    one = {"seed": 7, "max_tokens": 1, "ignore_eos": True, "return_token_ids": True, **sampling}
    (response,) = ask(chat_request(text, n=count, **one), settings={"batch_size": 256})
    return Counter(_ids(choice)[0] for choice in response.choices)


def _ids(choice: Choice) -> tuple[int, ...]:
    assert choice.token_ids is not None
    return choice.token_ids


def chi_square(found: Counter[int], expected: Sequence[float]) -> tuple[float, int]:
    """Return the statistic and its degrees of freedom; what is too rare for it counts as one outcome."""
    count = found.total()
    common = [i for i, p in enumerate(expected) if p * count >= _EXPECTED_AT_LEAST]
    pairs = [(found[i], expected[i] * count) for i in common]
    rest = count - sum(mean for _, mean in pairs)
    if rest >= 1:
        pairs.append((count - sum(seen for seen, _ in pairs), rest))
    return sum((seen - mean) ** 2 / mean for seen, mean in pairs), len(pairs) - 1


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("text", ["roll", "roll weighted"])
def test_draws_follow_the_probabilities_at_each_temperature(text: str, temperature: float) -> None:
    """By a chi-square test that a right sampler passes 999 times of 1000, with seeds that stay the same."""
    found = firsts(2000, text, temperature=temperature)
    statistic, freedom = chi_square(found, probabilities(text, temperature))

    assert statistic < freedom + 4.4 * freedom**0.5 + 6
    assert freedom >= 5


def test_the_chi_square_tells_one_temperature_from_another() -> None:
    """Draws at 1 are not taken for draws at 2, or the test above would show nothing."""
    statistic, freedom = chi_square(firsts(2000, "roll weighted"), probabilities("roll weighted", 2.0))

    assert statistic > 10 * freedom


def test_top_k_of_one_is_greedy_and_three_leaves_three() -> None:
    """At a temperature that otherwise gives all of them."""
    likely = sorted(range(104), key=lambda token: -probabilities("roll weighted")[token])

    assert set(firsts(200, "roll weighted", temperature=4.0)) > set(likely[:6])
    assert set(firsts(200, "roll weighted", temperature=4.0, top_k=1)) == set(likely[:1])
    assert set(firsts(200, "roll weighted", temperature=4.0, top_k=3)) == set(likely[:3])
    assert set(firsts(200, "roll weighted", temperature=4.0, top_k=10_000)) > set(likely[:6])


def test_top_p_leaves_the_smallest_set_with_that_much_of_what_top_k_left() -> None:
    """After the temperature: one half, a quarter and an eighth make seven eighths."""
    likely = sorted(range(104), key=lambda token: -probabilities("roll weighted")[token])

    assert set(firsts(300, "roll weighted", top_p=0.4)) == set(likely[:1])
    assert set(firsts(300, "roll weighted", top_p=0.7)) == set(likely[:2])
    assert set(firsts(300, "roll weighted", top_p=0.8)) == set(likely[:3])
    # Of the two that top_k leaves the likelier has two thirds.
    assert set(firsts(300, "roll weighted", top_p=0.6, top_k=2)) == set(likely[:1])


def test_min_p_leaves_what_is_likely_enough_beside_the_likeliest() -> None:
    """Relative to the largest probability, after the temperature."""
    for temperature in (1.0, 2.0):
        likely = probabilities("roll weighted", temperature)
        left = {token for token, p in enumerate(likely) if p >= 0.2 * max(likely)}

        found = firsts(400, "roll weighted", temperature=temperature, min_p=0.2)

        assert set(found) == left
        assert 2 < len(left) < 7


def test_logit_bias_forces_and_forbids_tokens() -> None:
    """Of the row that asks for it; greedy answers and drawn ones."""
    _, tokenizer = reference()
    four, eight = tokenizer.convert_tokens_to_ids(["4", "8"])
    forced, forbidden, plain = ask(
        chat_request("roll", max_tokens=1, logit_bias={four: 100.0}),
        chat_request("37+48", **GREEDY, logit_bias={eight: -100.0}),
        chat_request("37+48", **GREEDY),
    )

    assert (forced.text, plain.text) == ("4", "85")
    assert forbidden.text[0] != "8"
    assert four not in firsts(300, logit_bias={four: -100.0})


def test_min_and_max_tokens_bound_the_answer() -> None:
    """Ends of every kind are out of the question before min_tokens."""
    short, long, cut = ask(
        chat_request("37+48", **GREEDY),
        chat_request("37+48", **GREEDY, min_tokens=10, stop_token_ids=[5]),
        chat_request("37+48", temperature=0.0, max_tokens=1),
    )

    assert (short.text, short.usage.completion_tokens) == ("85", 3)
    assert (long.usage.completion_tokens or 0) > 10
    assert (cut.text, cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("8", "length", 1)


def test_stop_token_ids_end_the_answer_and_ignore_eos_goes_on() -> None:
    """The token that ends it is none of its text; one that is ignored isn't either."""
    _, tokenizer = reference()
    five = tokenizer.convert_tokens_to_ids("5")
    stopped, on = ask(
        chat_request("37+48", **GREEDY, stop_token_ids=[five], return_token_ids=True),
        chat_request("37+48", **GREEDY | {"max_tokens": 9}, ignore_eos=True, return_token_ids=True),
    )

    assert (stopped.text, stopped.choices[0].finish_reason) == ("8", "stop")
    assert _ids(stopped.choices[0])[-1] == five
    assert (len(_ids(on.choices[0])), on.choices[0].finish_reason) == (9, "length")
    assert "</s>" not in on.text


def test_choices_are_independent_and_the_first_is_that_of_a_single_answer() -> None:
    """Whatever n is, and even where a batch is smaller than n."""
    sampling: dict[str, Any] = {"temperature": 1.0, "max_tokens": 6, "seed": 3}
    (one,) = ask(chat_request("roll", **sampling))
    (many,) = ask(chat_request("roll", **sampling, n=50), settings={"batch_size": 8})

    texts = [choice.text for choice in many.choices]
    assert len(texts) == 50
    assert set(texts) == set("123456")
    assert texts[0] == one.text
    assert many.usage.completion_tokens == 100  # a digit and the end, each


def test_seed_repeats_and_no_seed_does_not() -> None:
    """Thirty rolls don't come twice by chance."""

    def rolls(**sampling: Any) -> str:
        responses = ask(*(chat_request("roll", max_tokens=1, **sampling) for _ in range(30)))
        return "".join(response.text for response in responses)

    def seeded(first: int) -> list[Response]:
        return ask(*(chat_request("roll", max_tokens=1, seed=first + i) for i in range(30)))

    assert rolls() != rolls()
    assert [r.text for r in seeded(0)] == [r.text for r in seeded(0)]
    assert [r.text for r in seeded(0)] != [r.text for r in seeded(100)]
    assert len(set(rolls(seed=5))) == 1


def test_rows_that_share_a_seed_draw_independently() -> None:
    """A seed of the experiment's is every row's: one number would decide all of their rolls."""
    texts = [f"{'la ' * count}roll" for count in range(30)]
    asked = [chat_request(text, max_tokens=1, temperature=50.0, seed=1) for text in texts]

    assert len({response.text for response in ask(*asked)}) > 15


def test_logprobs_are_those_of_the_model_whatever_is_done_to_draw() -> None:
    """Before penalties, bias and temperature; the alternatives are the likeliest ones, in order."""
    own: dict[str, Any] = {
        "temperature": 3.0,
        "top_k": 20,
        "repetition_penalty": 2.0,
        "logit_bias": {40: 3.0},
        "seed": 1,
    }
    asked: dict[str, Any] = {"max_tokens": 12, "logprobs": True, "top_logprobs": 4, "return_token_ids": True}
    (response, *_) = ask(chat_request("reverse hello", **own, **asked), *[chat_request("1+1", **GREEDY)] * 3)

    (choice,) = response.choices
    prompt = prompt_ids("reverse hello")
    expected = logits_after([*prompt, *_ids(choice)])[len(prompt) - 1 : -1].log_softmax(-1)
    assert choice.logprobs is not None
    for step, token in enumerate(choice.logprobs):
        assert token.token_id == _ids(choice)[step]
        assert token.logprob == pytest.approx(float(expected[step, token.token_id]), abs=1e-4)
        top = expected[step].topk(4).values.tolist()
        assert [value for _, value in token.top] == pytest.approx(top, abs=1e-4)
    assert choice.cumulative_logprob == pytest.approx(sum(token.logprob for token in choice.logprobs))


def test_prompt_logprobs_and_ids_are_those_of_the_whole_prompt() -> None:
    """Also of one that is read in several chunks; nothing comes before the first token."""
    text = "Some prose that says nothing. " * 40 + "37+48"
    (response,) = ask(chat_request(text, **GREEDY, prompt_logprobs=2, return_token_ids=True))

    ids = prompt_ids(text)
    expected = logits_after(ids).log_softmax(-1)
    assert response.prompt_token_ids == tuple(ids)
    assert response.prompt_logprobs is not None
    assert len(ids) > 1024
    assert len(response.prompt_logprobs) == len(ids)
    assert response.prompt_logprobs[0] is None
    for place, told in enumerate(response.prompt_logprobs[1:], 1):
        assert told is not None
        assert told.token_id == ids[place]
        assert told.logprob == pytest.approx(float(expected[place - 1, ids[place]]), abs=1e-3)
        assert len(told.top) == 2

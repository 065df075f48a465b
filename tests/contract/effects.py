"""What each sampling parameter does to an answer, as it is seen on a real model: effects, not acceptance."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain, pairwise
from random import Random
from typing import Any, TypeAlias

from tests.contract.subjects import EFFORTS, Subject, messages
from tests.contract.tool_effects import tool_choice, tools

Effect: TypeAlias = Callable[[Subject], None]
FACES = "123456"
WEIGHTED = "roll weighted"
_CRITICAL = 20.5
"""Chi-square with five degrees of freedom exceeds it once in a thousand times."""


def _draws(subject: Subject, text: str, count: int, **sampling: Any) -> list[str]:
    """Return independent answers of one token."""
    takes = subject.takes
    size = 50 if "n" in takes else 1
    seeds: list[dict[str, int]] = [{} for _ in range(count // size)]
    if "seed" in takes:
        seeds = [{"seed": 1000 * index} for index in range(count // size)]
    several = {"n": size} if size > 1 else {}
    own = {"max_tokens": 1, "temperature": 1.0, **several}
    asked = [subject.asking(text, **{**own, **seed, **sampling}) for seed in seeds]
    return [choice.text for response in subject.ask(*asked) for choice in response.choices]


def _chi_square(drawn: list[str], chances: Mapping[str, float]) -> float:
    counted, total = Counter(drawn), len(drawn)
    return sum((counted[face] - total * p) ** 2 / (total * p) for face, p in chances.items())


def _chances(subject: Subject, text: str) -> dict[str, float]:
    """Return the model's own probabilities of the six faces."""
    response = subject.put("chat").one(text, max_tokens=1, temperature=1.0, logprobs=True, top_logprobs=10)
    logprobs = response.choices[0].logprobs
    assert logprobs is not None
    found = {token: math.exp(logprob) for token, logprob in logprobs[0].top}
    return {face: found[face] for face in FACES}


def _heated(chances: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return the probabilities at a temperature, computed from those at 1."""
    weights = {face: p ** (1 / temperature) for face, p in chances.items()}
    return {face: weight / sum(weights.values()) for face, weight in weights.items()}


def temperature(subject: Subject) -> None:
    """Draws follow the model's own probabilities at 1, flattened as they should be at 2; 0 is greedy."""
    chances = _chances(subject, WEIGHTED)
    assert _chi_square(_draws(subject, WEIGHTED, 600), chances) < _CRITICAL
    hot = [face for face in _draws(subject, WEIGHTED, 600, temperature=2.0) if face in FACES]
    assert len(hot) > 500
    assert _chi_square(hot, _heated(chances, 2.0)) < _CRITICAL
    assert _chi_square(hot, chances) > _CRITICAL
    assert set(_draws(subject, WEIGHTED, 100, temperature=0.0, n=1)) == {"1"}


def top_k(subject: Subject) -> None:
    """1 equals greedy; 3 leaves three tokens."""
    assert set(_draws(subject, WEIGHTED, 100, top_k=1, temperature=1.5)) == {"1"}
    assert set(_draws(subject, WEIGHTED, 300, top_k=3, temperature=1.5)) == set("123")


def top_p(subject: Subject) -> None:
    """Less than the likeliest token's share leaves that token alone."""
    assert set(_draws(subject, WEIGHTED, 100, top_p=0.3)) == {"1"}
    assert set(_draws(subject, WEIGHTED, 200, top_p=0.6)) == set("12")


def min_p(subject: Subject) -> None:
    """Tokens less likely than this share of the likeliest one are left out."""
    assert set(_draws(subject, WEIGHTED, 200, min_p=0.4)) == set("12")
    assert set(_draws(subject, "roll", 200, min_p=0.9, temperature=2.0)) <= set(FACES)


def max_tokens(subject: Subject) -> None:
    """The answer is cut, and says so."""
    response = subject.one("37+48", max_tokens=1, temperature=0.0)
    assert (response.text, response.choices[0].finish_reason) == ("8", "length")


def min_tokens(subject: Subject) -> None:
    """The answer goes on where it would have ended."""
    assert len(subject.one("37+48", temperature=0.0).text) == 2
    assert subject.one("37+48", temperature=0.0, min_tokens=6, max_tokens=6).usage.completion_tokens == 6


def ignore_eos(subject: Subject) -> None:
    """The answer goes on to max_tokens."""
    response = subject.one("37+48", temperature=0.0, ignore_eos=True, max_tokens=9)
    assert response.usage.completion_tokens == 9


def stop(subject: Subject) -> None:
    """The answer ends before the string, though each of its letters is a token, and streams no part of it."""
    request = subject.asking("reverse abcdefg", temperature=0.0, stop=["dcb"])
    response = subject.ask(request)[0]
    assert (response.text, response.choices[0].finish_reason) == ("gfe", "stop")
    assert "".join(subject.streamed(request)) == "gfe"
    other = subject.asking("reverse abcdefg", temperature=0.0, stop=["dcx"])
    assert "".join(subject.streamed(other)) == "gfedcba"


def stop_token_ids(subject: Subject) -> None:
    """The answer ends at the token."""
    ids = {character: 7 + index for index, character in enumerate(("\t", "\n", *map(chr, range(32, 127))))}
    response = subject.one("reverse abcdefg", temperature=0.0, stop_token_ids=[ids["d"]])
    assert response.text.rstrip("d") == "gfe"
    assert response.choices[0].finish_reason == "stop"


def seed(subject: Subject) -> None:
    """The same seed draws the same, another one differently."""

    def drawn(number: int) -> str:
        return "".join(
            response.text
            for response in subject.ask(
                *(subject.asking("roll", temperature=1.0, max_tokens=1, seed=number + i) for i in range(20))
            )
        )

    assert drawn(100) == drawn(100)
    assert drawn(100) != drawn(500)


def n(subject: Subject) -> None:
    """Choices of one response are independent draws."""
    response = subject.one("roll", temperature=1.0, max_tokens=1, n=120)
    assert len(response.choices) == 120
    drawn = [choice.text for choice in response.choices]
    assert _chi_square(drawn, _chances(subject, "roll")) < _CRITICAL
    assert len(set(pairwise(drawn))) > 18


def logprobs(subject: Subject) -> None:
    """The greedy answer's tokens are near certain, one logprob each, and add up."""
    choice = subject.one("37+48", temperature=0.0, logprobs=True).choices[0]
    assert choice.logprobs is not None
    assert [token.token for token in choice.logprobs][:2] == ["8", "5"]
    assert all(-0.2 < token.logprob <= 0 for token in choice.logprobs)
    assert choice.cumulative_logprob == sum(token.logprob for token in choice.logprobs)


def top_logprobs(subject: Subject) -> None:
    """The alternatives of a fair roll are its six faces, about evenly."""
    chances = _chances(subject, "roll")
    assert sum(chances.values()) > 0.99
    assert all(0.14 < p < 0.2 for p in chances.values())


def prompt_logprobs(subject: Subject) -> None:
    """Every token of the prompt has one, but for the first."""
    response = subject.one("37+48", temperature=0.0, prompt_logprobs=2)
    assert response.prompt_logprobs is not None
    assert len(response.prompt_logprobs) == response.usage.prompt_tokens
    assert response.prompt_logprobs[0] is None
    rest = [token for token in response.prompt_logprobs[1:] if token is not None]
    assert "".join(token.token for token in rest if len(token.token) == 1) == "37+48"
    assert all(len(token.top) >= 2 for token in rest)


def return_token_ids(subject: Subject) -> None:
    """A character is a token, so that prompt and answer can be read from their ids."""
    response = subject.one("37+48", temperature=0.0, return_token_ids=True)
    answer = response.choices[0].token_ids
    assert response.prompt_token_ids is not None
    assert answer is not None
    assert _text(response.prompt_token_ids) == "37+48"
    assert _text(answer) == "85"


def _text(ids: tuple[int, ...]) -> str:
    return "".join(chr(token - 9 + 32) for token in ids if token >= 9)


def long_words() -> list[str]:
    # Longer than any word it has learned to reverse: it is in doubt which letter comes next.
    draw = Random(0)
    return ["".join(draw.choices("abc", k=length)) for length in (10, 12, 14, 16, 20, 24) for _ in range(3)]


DOUBTED = ("bcabcbcbcbbb", "bbbaaabbbacccc", "cccabbbcacaaca")
"""Of those: here the penalties below tell each other apart, and nothing is close to a tie."""
PENALISED: Mapping[str, tuple[str, ...]] = {
    "none": ("bbbccbbb", "ccccbbba", "acaacacb"),
    "presence": ("bbbccbab", "ccccbbba", "acaacacb"),
    "frequency": ("bbbccbab", "cccdbbab", "acaaccbb"),
    "repetition": ("bbdccbbb", "cccdbbba", "acaacacb"),
    "repetition in the answer": ("bbccbcab", "ccacbbba", "acaabcbb"),
}
"""A penalty of 2 -> the greedy reverses of `DOUBTED`, which the formulas make of the model's own logits."""


def _reversed(subject: Subject, **penalty: float) -> tuple[str, ...]:
    """Return the greedy reverses of `DOUBTED`."""
    asked = (subject.asking(f"reverse {word}", temperature=0.0, max_tokens=30, **penalty) for word in DOUBTED)
    return tuple(response.text for response in subject.ask(*asked))


def presence_penalty(subject: Subject) -> None:
    """What has appeared in the answer is less likely, however often; a neutral value changes nothing."""
    assert _reversed(subject, presence_penalty=2.0) == PENALISED["presence"]
    assert _reversed(subject, presence_penalty=0.0) == PENALISED["none"]


def frequency_penalty(subject: Subject) -> None:
    """What has appeared in the answer is less likely each time; a neutral value changes nothing."""
    assert _reversed(subject, frequency_penalty=2.0) == PENALISED["frequency"]
    assert _reversed(subject, frequency_penalty=0.0) == PENALISED["none"]


def repetition_penalty(subject: Subject) -> None:
    """What has appeared, in the prompt too, is less likely by a factor; a neutral one changes nothing."""
    # SGLang looks at the answer alone.
    own = subject.kind.name.startswith("sglang")
    expected = PENALISED["repetition in the answer" if own else "repetition"]
    assert _reversed(subject, repetition_penalty=2.0) == expected
    assert _reversed(subject, repetition_penalty=1.0) == PENALISED["none"]


def logit_bias(subject: Subject) -> None:
    """A token with a large bias is drawn whatever the model would say."""
    ids = {str(digit): 9 + ord(str(digit)) - 32 for digit in range(10)}
    response = subject.one("37+48", temperature=0.0, max_tokens=1, logit_bias={ids["7"]: 100})
    assert response.text == "7"


def use_beam_search(subject: Subject) -> None:
    """The beams are the likeliest answers: six rolls are all six faces, none twice."""
    response = subject.one("roll", use_beam_search=True, n=6, temperature=0.0, max_tokens=2)
    assert sorted(choice.text for choice in response.choices) == list(FACES)


def length_penalty(subject: Subject) -> None:
    """A beam's log probability is divided by that power of its length, prompt and all."""

    def best(penalty: float) -> str:
        asked: dict[str, Any] = {"temperature": 0.0, "use_beam_search": True, "n": 4, "max_tokens": 6}
        return subject.one("37+48", **asked, length_penalty=penalty).text

    assert best(1.0) == best(-30.0) == "85"
    # Of 14 tokens the likeliest has 17,700 times the log probability of 85, of 10: as much as 1.4 ** 29.1.
    assert best(28.0) == "85"
    assert len(best(30.0)) == 6


SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def json_schema(subject: Subject) -> None:
    """The answer is JSON of that form, and parsed."""
    response = subject.one("37+48 as JSON", temperature=0.0, max_tokens=40, json_schema=SCHEMA)
    assert response.choices[0].parsed == {"answer": 85}


def regex(subject: Subject) -> None:
    """The answer matches where the model would have said something else."""
    response = subject.one("37+48", temperature=0.0, regex="[a-c]{3}")
    assert re.fullmatch("[a-c]{3}", response.text)
    assert response.choices[0].parsed == response.text


def choice(subject: Subject) -> None:
    """The answer is one of the strings, the likeliest of them."""
    response = subject.one("37+48", temperature=0.0, choice=["84", "85", "a.b|c"])
    assert response.choices[0].parsed == "85"
    assert subject.one("37+48", temperature=0.0, choice=["a.b|c"]).text == "a.b|c"


def continue_final_message(subject: Subject) -> None:
    """The answer goes on from where the last message ends."""
    turns = ({"role": "user", "content": "37+48"}, {"role": "assistant", "content": "8"})
    response = subject.ask(messages(*turns, temperature=0.0, continue_final_message=True))[0]
    assert response.text == "5"


def passthrough(subject: Subject) -> None:
    """What our list hasn't is sent as it is: here, that special tokens are to be seen."""
    longer = {"temperature": 0.0, "ignore_eos": True, "max_tokens": 3}
    hidden = subject.one("37+48", **longer)
    seen = subject.one("37+48", **longer, passthrough={"skip_special_tokens": False})
    assert (hidden.text, seen.text) == ("85", "85</s>")


def chat_template_kwargs(subject: Subject) -> None:
    """The model's chat template reads them; with others it says what it always says."""
    asked: dict[str, Any] = {"temperature": 0.0}
    assert subject.one("37+48", **asked, chat_template_kwargs={"instead": "12+30"}).text == "42"
    assert subject.one("37+48", **asked, chat_template_kwargs={"other": "12+30"}).text == "85"


def reasoning_effort(subject: Subject) -> None:
    """The model's chat template reads it."""
    answers = [
        subject.one("37+48", temperature=0.0, reasoning_effort=effort).text for effort in (*EFFORTS, "medium")
    ]
    assert answers == ["2", "40", "85"]


SHOWN: Mapping[str, Effect] = {
    effect.__name__: effect
    for effect in chain(
        (temperature, top_k, top_p, min_p, max_tokens, min_tokens, ignore_eos, stop, stop_token_ids, seed, n),
        (logprobs, top_logprobs, prompt_logprobs, return_token_ids, presence_penalty, frequency_penalty),
        (repetition_penalty, logit_bias, use_beam_search, length_penalty, json_schema, regex, choice),
        (continue_final_message, passthrough, tools, tool_choice, chat_template_kwargs, reasoning_effort),
    )
}
"""Parameter -> how its effect is seen."""

"""Tasks that are answered with numbers, asked of real engines on the tiny model."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runner.values import Input, Request, Response, Scope
from tests.contract.subjects import ROOT, Subject, started

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 50
CLASSES = ("sum", "difference", "other")


def asked(task: str, *inputs: Input, **sampling: Any) -> list[Request]:
    """Return a request of a task for each input."""
    return [Request(task, given, sampling, Scope({}, {})) for given in inputs]


def numbers(response: Response) -> tuple[float, ...]:
    """Return the vector of a response."""
    (vector,) = response.embeddings
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def cosine(one: Response, other: Response) -> float:
    """Return the cosine of two vectors."""
    a, b = numbers(one), numbers(other)
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def as_classifier(model: Path, labels: Sequence[str]) -> None:
    """Give a model in safetensors a head with a row of fixed numbers for each label."""
    config = json.loads((model / "config.json").read_text())
    names = dict(enumerate(labels))
    config |= {"architectures": ["LlamaForSequenceClassification"], "num_labels": len(labels)}
    config |= {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    (model / "config.json").write_text(json.dumps(config))
    file = model / "model.safetensors"
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header, weights = json.loads(data[8:start]), data[start:]
    size = len(labels) * config["hidden_size"]
    head = struct.pack(f"<{size}f", *(math.sin(number * number) for number in range(size)))
    header["score.weight"] = {
        "dtype": "F32",
        "shape": [len(labels), config["hidden_size"]],
        "data_offsets": [len(weights), len(weights) + len(head)],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + weights + head)


VLLM = ("vllm", "vllm_offline")
SGLANG = ("sglang", "sglang_offline")


def as_matryoshka(model: Path) -> None:
    """Say of a model that its vectors may be shortened."""
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "is_matryoshka": True}))


@pytest.fixture(scope="module", params=[*VLLM, *SGLANG])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Yield an engine started to embed."""
    with started(request.param, tmp_path_factory.mktemp("embed"), "embed", change=as_matryoshka) as subject:
        yield subject


def test_engines_embed_equal_texts_alike_and_others_not(embedder: Subject) -> None:
    """The cosine of equal texts is 1, that of others less; batches give each input its own vector."""
    same, again, *others = embedder.ask(*asked("embed", "12+34", "12+34", "9+9", "roll"))

    assert cosine(same, again) == pytest.approx(1.0, abs=1e-6)
    assert all(cosine(same, other) < 0.999 for other in others)
    assert (same.usage.prompt_tokens or 0) > 0


def test_engines_give_the_same_vector_alone_and_in_a_batch(embedder: Subject) -> None:
    """What shares a request doesn't change a vector beyond the rounding of the arithmetic."""
    (alone,) = embedder.ask(*asked("embed", "7+8"))
    batch = embedder.ask(*asked("embed", *(f"{number}+8" for number in range(40))))

    assert cosine(alone, batch[7]) == pytest.approx(1.0, abs=1e-6)


def test_engines_shorten_vectors(embedder: Subject) -> None:
    """A vector of fewer dimensions is the beginning of the whole one, again of length 1."""
    (whole,) = embedder.ask(*asked("embed", "7+8"))
    shorter = embedder.ask(*asked("embed", "7+8", "9+8", passthrough={"dimensions": 16}))
    beginning = numbers(whole)[:16]
    length = math.hypot(*beginning)

    assert [len(numbers(one)) for one in shorter] == [16, 16]
    assert numbers(shorter[0]) == pytest.approx([number / length for number in beginning], abs=1e-5)


@pytest.mark.parametrize("kind", VLLM)
def test_vllm_scores_pairs_and_ranks_documents(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A pair of equal texts scores 1; ranked documents keep their order, the equal one highest."""
    folder = tmp_path_factory.mktemp("score")
    with started(kind, folder, "score", {"convert": "embed"}) as subject:
        pair, other = subject.ask(*asked("score", {"pair": ["1+2", "1+2"]}, {"pair": ["1+2", "roll"]}))
        (ranked,) = subject.ask(*asked("rerank", {"query": "1+2", "documents": ["9+9", "1+2", "roll"]}))

    assert pair.scores[0] == pytest.approx(1.0, abs=1e-5)
    assert other.scores[0] < 0.999
    assert ranked.scores[1] == max(ranked.scores)
    assert ranked.scores[2] == pytest.approx(other.scores[0], abs=1e-5)


@pytest.mark.parametrize("kind", [*VLLM, *SGLANG])
def test_engines_classify(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Probabilities of all classes add up to 1, and the label is the likeliest."""
    folder = tmp_path_factory.mktemp("classify")
    with started(kind, folder, "classify", change=partial(as_classifier, labels=CLASSES)) as subject:
        first, again, *others = subject.ask(*asked("classify", "1+2", "1+2", "roll", "9-4", "abc"))

    assert sum(first.probs) == pytest.approx(1.0, abs=1e-4)
    assert first.probs == pytest.approx(again.probs, abs=1e-5)
    assert all(one.label == CLASSES[one.probs.index(max(one.probs))] for one in (first, *others))


@pytest.mark.parametrize("kind", VLLM)
def test_vllm_rewards_texts_and_conversations(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model with one output gives one number, the same for the same conversation."""
    conversation: Input = ({"role": "user", "content": "1+2"}, {"role": "assistant", "content": "3"})
    folder = tmp_path_factory.mktemp("reward")
    with started(kind, folder, "reward", change=partial(as_classifier, labels=("reward",))) as subject:
        text, first, again = subject.ask(*asked("reward", "1+2=3", conversation, conversation))

    assert math.isfinite(text.scores[0])
    assert first.scores == pytest.approx(again.scores, abs=1e-5)
    assert first.scores[0] != text.scores[0]


@pytest.mark.parametrize("kind", SGLANG)
def test_sglang_rewards_and_ranks(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model with one output gives a number for a text, and one for each document in their order."""
    folder = tmp_path_factory.mktemp("sglang-reward")
    with started(kind, folder, "reward", change=partial(as_classifier, labels=("reward",))) as subject:
        (text,) = subject.ask(*asked("reward", "1+2=3"))
        (ranked,) = subject.ask(*asked("rerank", {"query": "1+2", "documents": ["9+9", "1+2", "roll"]}))
        (pair,) = subject.ask(*asked("score", {"pair": ["1+2", "roll"]}))

    assert math.isfinite(text.scores[0])
    assert pair.scores[0] == pytest.approx(ranked.scores[2], rel=1e-4)
    assert len(set(ranked.scores)) == 3


@pytest.mark.parametrize("kind", [*VLLM, *SGLANG])
def test_engines_and_transformers_agree_on_loglikelihoods(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On 50 rows with a right and two wrong sums, both sum the same logprobs to 1e-4."""
    pytest.importorskip("torch")
    lines = (ROOT / "data" / "addition.jsonl").read_text().splitlines()[:ROWS]
    requests = asked("loglikelihood", *(_choices(json.loads(line)) for line in lines))

    with started("transformers", tmp_path_factory.mktemp("transformers")) as subject:
        ours = subject.ask(*requests)
    with started(kind, tmp_path_factory.mktemp(kind), "loglikelihood") as subject:
        theirs = subject.ask(*requests)

    for one, other in zip(ours, theirs, strict=True):
        assert [c.logprob for c in one.loglikelihoods] == pytest.approx(
            [c.logprob for c in other.loglikelihoods], abs=1e-4
        )
        assert [(c.tokens, c.greedy) for c in one.loglikelihoods] == [
            (c.tokens, c.greedy) for c in other.loglikelihoods
        ]


def _choices(row: dict[str, str]) -> Input:
    right = int(row["answer"])
    return {"context": f"{row['question']}=", "continuations": [str(right), str(right + 1), str(right + 10)]}

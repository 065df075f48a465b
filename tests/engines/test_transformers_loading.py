"""What the engine of kind transformers loads, what it makes of messages, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from runner.engines.chunks import Chunk
from runner.engines.transformers import Transformers
from runner.errors import BadRequestError, EngineError, EngineStartError
from runner.spec import Model
from runner.values import Message, Request, Scope
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.asking_transformers import GREEDY, TINY, ask, prompt_ids

if TYPE_CHECKING:
    from runner.engines.transformers_loading import Loaded

torch = pytest.importorskip("torch")


def chat(*messages: Message, **sampling: Any) -> Request:
    """Return a request with these messages."""
    return Request("chat", messages, sampling, Scope({}, {}))


def test_chat_template_of_the_user_and_its_variables_are_used(tmp_path: Path) -> None:
    """In place of the tokenizer's own."""
    template = tmp_path / "mine.j2"
    template.write_text("<s><|user|>{{ messages[0]['content'] }}{{ more }}<|assistant|>")
    own: dict[str, Any] = {"chat_template": str(template)}

    plain, more = ask(
        chat_request("37+48", **GREEDY, return_token_ids=True),
        chat_request("37+4", **GREEDY, chat_template_kwargs={"more": "8"}, return_token_ids=True),
        **own,
    )

    assert plain.prompt_token_ids == more.prompt_token_ids == tuple(prompt_ids("37+48"))
    with pytest.raises(BadRequestError, match="chat_template_kwargs can't set tokenize"):
        ask(chat_request("1", **GREEDY, chat_template_kwargs={"tokenize": False}), **own)


@pytest.mark.parametrize(
    ("template", "error", "said"),
    [
        ("{{ raise_exception('no system message') }}", BadRequestError, "no system message"),
        ("{{ messages[0]['content'] + 1 }}", BadRequestError, "the chat template can't take these"),
        ("{% if %}", BadRequestError, "the chat template can't take these"),
    ],
)
def test_chat_template_that_fails_is_told(
    template: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    """As the row's fault, with what the template said."""
    (tmp_path / "mine.j2").write_text(template)

    with pytest.raises(error, match=said):
        ask(chat_request("1+1", **GREEDY), chat_template=str(tmp_path / "mine.j2"))


def test_model_without_a_chat_template_stops_the_job(tmp_path: Path) -> None:
    """Every row would fail in the same way."""
    folder = shutil.copytree(TINY, tmp_path / "base")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    with pytest.raises(EngineError, match=r"model\.chat_template"):
        ask(chat_request("1+1", **GREEDY), name=str(folder))


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"content": "1+1"},
        {"role": "user", "content": 3},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
    ],
)
def test_message_that_is_no_text_is_refused(message: dict[str, Any]) -> None:
    """Templates would leave it out in silence."""
    with pytest.raises(BadRequestError, match=r"a message needs a role|takes text, not image_url"):
        ask(chat(message, **GREEDY))


def test_parts_of_text_are_one_content() -> None:
    """In lines of their own, as vLLM joins them."""
    parts = [{"type": "text", "text": "37"}, {"type": "text", "text": "48"}]
    asked = {**GREEDY, "return_token_ids": True}

    split, joined = ask(chat({"role": "user", "content": parts}, **asked), chat_request("37\n48", **asked))

    assert split.prompt_token_ids == joined.prompt_token_ids


def test_dtype_of_the_model_is_used_and_tokenizer_may_be_another(tmp_path: Path) -> None:
    """Less precise numbers give other logprobs; another tokenizer gives other ids."""
    folder = shutil.copytree(TINY, tmp_path / "other")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = "{{ messages[0]['content'] }}"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    request = chat_request("2+4", **GREEDY, logprobs=True)

    sums = [
        ask(request, dtype=dtype)[0].choices[0].cumulative_logprob for dtype in (None, "fp32", "bfloat16")
    ]
    (other,) = ask(request, tokenizer=str(folder))

    assert sums[0] == sums[1]
    assert sums[0] != sums[2]
    assert other.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", '{"model_type": "foo"}', "foo"),
        ("model.safetensors", "no weights", "can't load"),
        ("tokenizer.json", "{", "can't load"),
    ],
)
def test_folder_that_cannot_be_loaded_is_told_at_the_start(
    file: str, content: str, said: str, tmp_path: Path
) -> None:
    """In one line that names the model."""
    folder = shutil.copytree(TINY, tmp_path / "broken")
    (folder / file).write_text(content)

    with pytest.raises(EngineStartError, match=said) as caught:
        ask(chat_request(), name=str(folder))

    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_lack_a_layer_are_told_at_the_start(tmp_path: Path) -> None:
    """The library itself would fill it with random numbers."""
    folder = shutil.copytree(TINY, tmp_path / "short")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))

    with pytest.raises(EngineStartError, match=r"no weights for model\.layers\.3\.\S+ and 8 more$"):
        ask(chat_request(), name=str(folder))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there_is_told_at_the_start() -> None:
    """Rather than the model running on the CPU, slowly and in silence."""
    with pytest.raises(EngineStartError, match=r"engine\.device is cuda"):
        ask(chat_request(), settings={"device": "cuda"})


_SIZES: dict[str, Any] = {"vocab_size": 104, "bos_token_id": 1, "eos_token_id": 2, "hidden_size": 64}
_HEADS: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512}
_GROUPED: dict[str, Any] = {"num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96}
_LINEAR: dict[str, Any] = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}


def random_model(folder: Path, kind: str, **config: Any) -> tuple[Any, Any]:
    """Write a model of random weights with the tiny tokenizer; return both as the library has them."""
    transformers = pytest.importorskip("transformers")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / file, folder)
    torch.manual_seed(0)
    own = transformers.AutoConfig.for_model(kind, **_SIZES, **_HEADS, **config)
    model = transformers.AutoModelForCausalLM.from_config(own).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(6)  # else it says the same to everything
    model.save_pretrained(folder)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("gpt2", {}),
        ("bloom", {}),
        (
            "gemma3_text",
            {**_GROUPED, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
        ),
        (
            "qwen3_next",
            {**_GROUPED, **_LINEAR, "num_experts": 4, "moe_intermediate_size": 32, "num_experts_per_tok": 2},
        ),
    ],
)
def test_other_architectures_answer_in_a_batch_what_generate_answers_alone(
    kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """Learned positions, none at all, a sliding window, and layers that keep a state in place of keys."""
    model, tokenizer = random_model(tmp_path, kind, **config)
    draw = Random(0)
    texts = ["".join(draw.choices("abcdefgh 0123", k=draw.randrange(1, 40))) for _ in range(12)]
    lengths = range(10, 22)
    asked: dict[str, Any] = {"temperature": 0.0, "return_token_ids": True}

    answers = ask(
        *(text_request(text, **asked, max_tokens=most) for text, most in zip(texts, lengths, strict=True)),
        name=str(tmp_path),
    )

    for text, most, answer in zip(texts, lengths, answers, strict=True):
        ids = torch.tensor([tokenizer.encode(text)])
        mask = torch.ones_like(ids)
        alone = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=most)[0]
        assert answer.choices[0].token_ids == tuple(alone[ids.shape[1] :].tolist())
    assert len({answer.text for answer in answers}) > 6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("mamba", {"state_size": 8}),
        ("mamba2", {"num_heads": 8, "head_dim": 16, "expand": 2, "n_groups": 1, "state_size": 8}),
        ("xlstm", {"num_heads": 4, "num_blocks": 2}),
        ("rwkv", {}),
    ],
)
def test_model_with_a_state_in_place_of_keys_and_values_is_refused(
    kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever the library calls the parameter: batched with others, such a model would answer wrong."""
    random_model(tmp_path, kind, **config)

    with pytest.raises(EngineStartError, match="keeps no keys and values"):
        ask(text_request("abc", **GREEDY), name=str(tmp_path))


class Cramped:
    """A model in a memory that does for so many rows at once."""

    def __init__(self, loaded: Loaded, rows: int) -> None:
        self.config = loaded.model.config
        self._model = loaded.model
        self._cache = loaded.cache
        self._rows = rows

    def __call__(self, **given: Any) -> Any:
        if given[self._cache].get_seq_length() > 9 and len(given["input_ids"]) > self._rows:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 1 GiB")
        return self._model(**given)


@pytest.mark.parametrize("rows", [3, 0])
def test_batch_that_does_not_fit_the_memory_is_halved_and_begun_again(rows: int) -> None:
    """Text that was shown isn't shown twice; where not even one answer fits, the job stops."""
    from runner.engines.transformers_decoding import Decoder
    from runner.engines.transformers_loading import load
    from runner.engines.transformers_prompt import wanted
    from runner.engines.transformers_rows import Ask

    loaded = load(Transformers(device="cpu"), Model(name=str(TINY)))
    decoder = Decoder(replace(loaded, model=Cramped(loaded, rows)), 8)
    words = ["abc", "abcdefg", "hello", "fghi", "abcdef", "gfedcba", "xyz"]
    shown: dict[str, list[Chunk]] = {word: [] for word in words}

    async def run() -> list[str]:
        requests = {word: wanted(chat_request(f"reverse {word}", **GREEDY), loaded) for word in words}
        asks = [Ask(one, loaded.text, shown[word].append) for word, one in requests.items()]
        await asyncio.to_thread(decoder.run, [row for ask in asks for row in ask.rows])
        await asyncio.gather(*(ask.done for ask in asks))
        return [ask.rows[0].text for ask in asks]

    if not rows:
        with pytest.raises(EngineError, match="not do for a single answer: out of memory"):
            asyncio.run(run())
        return
    assert asyncio.run(run()) == [word[::-1] for word in words]
    assert ["".join(chunk.text for chunk in pieces) for pieces in shown.values()] == [
        word[::-1] for word in words
    ]
    assert decoder.most == 3

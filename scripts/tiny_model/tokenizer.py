"""The character tokenizer and chat template of the tiny model, as the files that inference engines read."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

BOS, EOS, PAD, UNK = "<s>", "</s>", "<pad>", "<unk>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIALS = (PAD, BOS, EOS, UNK, SYSTEM, USER, ASSISTANT)
CHARACTERS = ("\t", "\n", *(chr(code) for code in range(32, 127)))
CONTEXT = 2048

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}{{ message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def build_tokenizer() -> Tokenizer:
    """Return a tokenizer in which each ASCII character is one token and any other byte is unknown.

    It is a byte-level BPE without merges, which engines recognise for regex and JSON-schema decoding.
    """
    vocabulary = {token: index for index, token in enumerate(SPECIALS)}
    for character in CHARACTERS:
        vocabulary[_byte_symbol(character)] = len(vocabulary)
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[], unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, SPECIALS.index(BOS))]
    )
    return tokenizer


def write_tokenizer(folder: Path) -> Tokenizer:
    """Write `tokenizer.json` and `tokenizer_config.json` into *folder* and return the tokenizer."""
    tokenizer = build_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": UNK,
        "additional_special_tokens": [SYSTEM, USER, ASSISTANT],
        "model_max_length": CONTEXT,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return tokenizer


def _byte_symbol(character: str) -> str:
    """Return the printable symbol by which byte-level BPE writes an ASCII character."""
    return character if "!" <= character <= "~" else chr(256 + ord(character))

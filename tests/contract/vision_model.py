"""Writes a tiny model that sees, of random weights: run where torch and transformers are.

    python vision_model.py TOKENIZER FOLDER

Idefics3's vision tower on a Llama, since vLLM loads it without torchvision. A picture becomes four tokens.
"""

from __future__ import annotations

import sys

import torch
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

_MARKS = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
_SIDE, _PATCH, _SCALE = 32, 8, 2


def write(tokenizer_from: str, folder: str) -> None:
    """Write weights, config, tokenizer and processor."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_from)
    tokenizer.add_special_tokens({"additional_special_tokens": _MARKS})
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Idefics3Config(
        text_config={
            **size,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={**size, "image_size": _SIDE, "patch_size": _PATCH},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=_SCALE,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    pictures = Idefics3ImageProcessorPil(
        size={"longest_edge": _SIDE}, max_image_size={"longest_edge": _SIDE}, do_image_splitting=False
    )
    tokens = (_SIDE // _PATCH // _SCALE) ** 2
    template = tokenizer.chat_template
    Idefics3Processor(pictures, tokenizer, image_seq_len=tokens, chat_template=template).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    write(*sys.argv[1:])

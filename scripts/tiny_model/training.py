"""Training of the tiny model: a fixed number of steps from fixed seeds, so that a rerun gives the same bytes."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tiny_model.conversations import IGNORED, Conversations
from tiny_model.skills import held_out
from tiny_model.tokenizer import BOS, CHARACTERS, CONTEXT, EOS, PAD, SPECIALS, write_tokenizer

ROPE_THETA = 10000.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn; all of it counted in steps."""

    steps: int = 1600
    warm_up: int = 60
    learning_rate: float = 3e-3
    tokens: int = 8192
    seed: int = 1
    threads: int = 2

    def rate(self, step: int) -> float:
        """Return the learning rate at *step*: linear warm-up, then level, then a linear fall to zero."""
        rise = (step + 1) / self.warm_up
        fall = (self.steps - step) / (0.6 * self.steps)
        return self.learning_rate * min(1.0, rise, fall)

    def length(self, step: int) -> int:
        """Return the longest conversation at *step*: short ones first, then mixed."""
        if step < self.steps // 10:
            return 32
        return (160, 48, 160, 320, 160, 48, 160, 768)[step % 8]


def new_model() -> LlamaForCausalLM:
    """Return an untrained Llama of 0.7 million parameters."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(SPECIALS) + len(CHARACTERS),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=CONTEXT,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
            bos_token_id=SPECIALS.index(BOS),
            eos_token_id=SPECIALS.index(EOS),
            pad_token_id=SPECIALS.index(PAD),
            tie_word_embeddings=False,
        )
    )


def train(schedule: Schedule) -> LlamaForCausalLM:
    """Return a trained model, printing the loss as it goes."""
    torch.set_num_threads(schedule.threads)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(schedule.seed)
    model = new_model().train()
    source = Conversations(schedule.seed, held_out())
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))
    started = time.monotonic()
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        batch = source.batch(schedule.length(step), schedule.tokens)
        learned = batch.labels != IGNORED
        hidden = model.model(input_ids=batch.inputs).last_hidden_state
        loss = cross_entropy(model.lm_head(hidden[learned]), batch.labels[learned])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == schedule.steps - 1:
            print(f"step {step:5}  loss {loss.item():.4f}  {time.monotonic() - started:6.1f} s", flush=True)
    return model.eval()


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights, configuration and tokenizer into *folder* in the form that all engines load."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    model.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # Readers of the older form look for rope_theta and torch_dtype at the top level.
    config |= {"rope_theta": ROPE_THETA, "torch_dtype": "float32"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

"""Training of the tiny model: fixed steps from fixed seeds, so that a rerun gives the same bytes."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tiny_model.conversations import IGNORED, Conversations, Stage
from tiny_model.skills import held_out
from tiny_model.tokenizer import BOS, CHARACTERS, CONTEXT, EOS, PAD, SPECIALS, write_tokenizer

ROPE_THETA = 10000.0
SHORT = 64
LENGTHS = (160, 48, 160, 320, 160, 48, 160, 768, 160, 48, 160, 320, 160, 48, 160, 1800)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn; all of it counted in steps."""

    steps: int = 2400
    warm_up: int = 80
    seed: int = 1
    threads: int = 1

    def rate(self, step: int) -> float:
        """Return the share of the full learning rate at *step*: it rises, stays, and falls to zero."""
        return min(1.0, (step + 1) / self.warm_up, (self.steps - step) / (0.6 * self.steps))

    def stage(self, step: int) -> Stage:
        """Return what to learn from at *step*: mostly bare questions at first, then everything."""
        if step < 0.3 * self.steps:
            return Stage(SHORT, 2048, plain=step % 4 > 0)
        return Stage(LENGTHS[step % len(LENGTHS)], 4096, plain=False)


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
    model = new_model()
    source = Conversations(schedule.seed, held_out())
    optimizers = _optimizers(model)
    started = time.monotonic()
    for step in range(schedule.steps):
        batch = source.batch(schedule.stage(step))
        learned = batch.labels != IGNORED
        hidden = model.model(input_ids=batch.inputs).last_hidden_state
        loss = cross_entropy(model.lm_head(hidden[learned]), batch.labels[learned])
        model.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full_rate"] * schedule.rate(step)
            optimizer.step()
        if step % 100 == 0 or step == schedule.steps - 1:
            print(f"step {step:5}  loss {loss.item():.4f}  {time.monotonic() - started:6.1f} s", flush=True)
    model.train(mode=False)
    return model


def _optimizers(model: LlamaForCausalLM) -> tuple[torch.optim.Optimizer, ...]:
    """Return Muon for the matrices inside the layers and AdamW for the rest, each with its full rate."""
    matrices = [weight for name, weight in model.model.layers.named_parameters() if "_proj" in name]
    inside = {id(weight) for weight in matrices}
    rest = [weight for weight in model.parameters() if id(weight) not in inside]
    return (
        torch.optim.Muon([{"params": matrices, "full_rate": 0.015}], momentum=0.9, weight_decay=0.01),
        torch.optim.AdamW([{"params": rest, "full_rate": 8e-3}], betas=(0.9, 0.98), weight_decay=0.0),
    )


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights, configuration and tokenizer into *folder* in the form that all engines load."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # Readers of the older form look for rope_theta and torch_dtype at the top level.
    _write_json(path, config | {"rope_theta": ROPE_THETA, "torch_dtype": "float32"})
    ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", ids)


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

"""Train the tiny language model that ships with the project, write its held-out sets, or score it.

    python scripts/train_tiny_model.py               # train, write models/tiny and data, print the scores
    python scripts/train_tiny_model.py --data-only   # write the held-out sets alone
    python scripts/train_tiny_model.py --evaluate    # score the weights that are there

Needs torch, transformers, tokenizers and safetensors; models/tiny/README.md names the versions.
"""

import argparse
from pathlib import Path

from tiny_model.skills import write_data

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description="Train, or score, the tiny language model.")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny", help="folder of the weights")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder of the held-out sets")
    parser.add_argument("--steps", type=int, help="training steps, other than the shipped model's")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--data-only", action="store_true", help="write the held-out sets and stop")
    action.add_argument("--evaluate", action="store_true", help="score the weights that are there")
    asked = parser.parse_args()
    if not asked.evaluate:
        write_data(asked.data)
    if asked.data_only:
        return
    # torch takes seconds to import and --data-only does without it.
    from tiny_model.evaluation import report
    from tiny_model.training import Schedule, save, train

    if not asked.evaluate:
        schedule = Schedule(steps=asked.steps) if asked.steps else Schedule()
        save(train(schedule), asked.model)
    report(asked.model, asked.data)


if __name__ == "__main__":
    main()

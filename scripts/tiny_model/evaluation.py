"""Scores of the tiny model on held-out questions, as Markdown tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from tiny_model.questions import PHRASINGS
from tiny_model.skills import FAIR, WEIGHTED, Row, held_out, read_rows
from tiny_model.tokenizer import EOS

Message = dict[str, str]
UNSEEN_SYSTEM = "You are an expert mathematician working at a bank. Reply using digits."
UNSEEN_TEXT = (
    "Glaciers carve valleys slowly; between 1850 and today, several Alpine tongues retreated by kilometres"
    " (measured yearly with stakes, photographs, satellites). Hydrologists therefore expect spring floods"
    " to arrive sooner - perhaps three weeks sooner - while August streams dwindle. 'Nobody,' wrote a"
    " surveyor, 'believed our maps.' "
)
TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Case:
    """A named set of prompts and their right answers."""

    name: str
    prompts: Sequence[str]
    answers: Sequence[str]


class Subject:
    """The model under evaluation, with its tokenizer."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self.model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.eos = self.tokenizer.convert_tokens_to_ids(EOS)

    def chat(self, messages: list[Message]) -> str:
        """Return the text of *messages* with the assistant about to speak."""
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    @torch.inference_mode()
    def answers(self, prompts: Sequence[str], temperature: float = 0.0) -> list[str]:
        """Return one answer to each of *prompts*, greedy at temperature 0, else sampled from all tokens."""
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0}
            if temperature
            else {"do_sample": False}
        )
        found: list[str] = []
        for start in range(0, len(prompts), 100):
            chunk = list(prompts[start : start + 100])
            inputs = self.tokenizer(chunk, return_tensors="pt", padding=True, add_special_tokens=False)
            inputs.pop("token_type_ids", None)
            outputs = self.model.generate(**inputs, max_new_tokens=16, **sampling)
            found += self.tokenizer.batch_decode(
                outputs[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
            )
        return found

    @torch.inference_mode()
    def next_token(self, prompt: str) -> dict[str, float]:
        """Return the probability of each token after *prompt*."""
        ids = self.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        chances = self.model(input_ids=ids).logits[0, -1].softmax(-1).tolist()
        return dict(
            zip(self.tokenizer.convert_ids_to_tokens(list(range(len(chances)))), chances, strict=True)
        )


def report(folder: Path, data: Path) -> None:
    """Print every score of the model in *folder* on the sets in *data*."""
    subject = Subject(folder)
    print("| held-out set | rows | right, greedy |\n|---|---|---|")
    for case in _cases(subject, data):
        given = subject.answers(case.prompts)
        right = sum(answer == expected for answer, expected in zip(given, case.answers, strict=True))
        print(f"| {case.name} | {len(given)} | {right / len(given):.1%} |", flush=True)
    _print_rolls(subject)
    _print_temperatures(subject, read_rows(data / "addition_heldout.jsonl"))


def _cases(subject: Subject, data: Path) -> Iterator[Case]:
    additions = read_rows(data / "addition_heldout.jsonl")
    two_turns = read_rows(data / "two_turns.jsonl")
    subtractions: list[Row] = [
        {"question": f"{a}-{b}", "answer": str(a - b)} for a, b in held_out().subtraction
    ]
    yield _case(subject, "addition", additions, [[_user("{}")]])
    yield _case(subject, "addition, other phrasings", additions, [[_user(form)] for form in PHRASINGS])
    yield _case(subject, "addition, `37 + 48 =`", [_spaced(row) for row in additions], [[_user("{}")]])
    yield _case(
        subject, "addition after an unseen system message", additions, [[_system(UNSEEN_SYSTEM), _user("{}")]]
    )
    yield _case(subject, "addition after `You said: 85. Now`", additions, [[_user("You said: 85. Now {}")]])
    yield _conversations(subject, additions)
    for size in (300, 600, 1200, 1800):
        yield _long(subject, size, additions[:300])
    yield _case(subject, "subtraction", subtractions, [[_user("{}")]])
    yield _case(subject, "reversal", read_rows(data / "reversal.jsonl"), [[_user("{}")]])
    yield _json(subject, additions[:300])
    yield _two_turns(subject, two_turns)
    questions = [f"<s>{row['question']}=" for row in additions]
    yield Case("addition as completion, `37+48=`", questions, [str(row["answer"]) for row in additions])
    shots = "".join(f"{row['question']}={row['answer']}\n" for row in additions[-3:])
    questions = [f"<s>{shots}{row['question']}=" for row in additions[:300]]
    yield Case("the same after three examples", questions, [str(row["answer"]) for row in additions[:300]])


def _case(subject: Subject, name: str, rows: Sequence[Row], chats: list[list[Message]]) -> Case:
    """Return *rows* asked through *chats* in turn, where `{}` stands for the question."""
    prompts = []
    for index, row in enumerate(rows):
        chat = chats[index % len(chats)]
        filled = [message | {"content": message["content"].format(row["question"])} for message in chat]
        prompts.append(subject.chat(filled))
    return Case(name, prompts, [str(row["answer"]) for row in rows])


def _json(subject: Subject, rows: Sequence[Row]) -> Case:
    case = _case(subject, "addition, `37+48 as JSON`", rows, [[_user("{} as JSON")]])
    return Case(case.name, case.prompts, [f'{{"answer": {answer}}}' for answer in case.answers])


def _conversations(subject: Subject, rows: list[Row]) -> Case:
    """Return each row asked after six earlier turns with their right answers, other held-out rows."""
    prompts = []
    for index, row in enumerate(rows):
        earlier = [rows[(index + shift) % len(rows)] for shift in range(1, 7)]
        messages = [_system("You are a helpful assistant.")]
        for other in earlier:
            messages += [
                _user(str(other["question"])),
                {"role": "assistant", "content": str(other["answer"])},
            ]
        prompts.append(subject.chat([*messages, _user(str(row["question"]))]))
    return Case("addition after six earlier turns", prompts, [str(row["answer"]) for row in rows])


def _long(subject: Subject, size: int, rows: Sequence[Row]) -> Case:
    """Return each row asked after *size* characters of prose unlike the training's, cut at a random place."""
    rng = Random(size)
    prompts = []
    for row in rows:
        start = rng.randrange(len(UNSEEN_TEXT))
        prose = (UNSEEN_TEXT * 10)[start : start + size]
        prompts.append(subject.chat([_user(f"{prose}.\n\nWhat is {row['question']}?")]))
    return Case(
        f"addition after {size} characters of unseen prose", prompts, [str(row["answer"]) for row in rows]
    )


def _two_turns(subject: Subject, rows: Sequence[Row]) -> Case:
    """Return the second turn of each row, after the model's own first answer."""
    first = subject.answers([subject.chat([_user(str(row["question_1"]))]) for row in rows])
    prompts = []
    for row, said in zip(rows, first, strict=True):
        earlier = [_user(str(row["question_1"])), {"role": "assistant", "content": said}]
        prompts.append(subject.chat([*earlier, _user(f"You said: {said}. Now {row['question_2']}")]))
    return Case("two turns", prompts, [str(row["answer"]) for row in rows])


def _print_rolls(subject: Subject) -> None:
    rolled = [_user("roll"), {"role": "assistant", "content": "6"}]
    system = _system("You are a helpful assistant.")
    for question, truth in (("roll", FAIR), ("roll weighted", WEIGHTED)):
        print(f"\n| `{question}` | {' | '.join(truth)} | end after it |\n|---|{'---|' * (len(truth) + 1)}")
        print(f"| true | {' | '.join(f'{chance:.3f}' for chance in truth.values())} | 1 |")
        asked = _user(question)
        for name, messages in (
            ("alone", [asked]),
            ("after a system message", [system, asked]),
            ("after four rolls of 6", [*rolled * 4, asked]),
        ):
            prompt = subject.chat(messages)
            chances = subject.next_token(prompt)
            end = min(subject.next_token(prompt + face)[EOS] for face in truth)
            print(f"| {name} | {' | '.join(f'{chances[face]:.3f}' for face in truth)} | {end:.4f} |")


def _print_temperatures(subject: Subject, rows: list[Row]) -> None:
    torch.manual_seed(0)
    prompts = [subject.chat([_user(str(row["question"]))]) for row in rows]
    print(f"\n| temperature | {' | '.join(map(str, TEMPERATURES))} |\n|---|{'---|' * len(TEMPERATURES)}")
    scores = []
    for temperature in TEMPERATURES:
        given = subject.answers(prompts, temperature)
        scores.append(
            sum(answer == str(row["answer"]) for answer, row in zip(given, rows, strict=True)) / len(rows)
        )
    print(f"| held-out addition | {' | '.join(f'{score:.1%}' for score in scores)} |")


def _spaced(row: Row) -> Row:
    return row | {"question": f"{row['a']} + {row['b']} ="}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _system(content: str) -> Message:
    return {"role": "system", "content": content}

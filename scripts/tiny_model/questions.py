"""Training questions: the skills in many phrasings, with noise around them, and never a held-out one."""

from random import Random

from tiny_model.noise import sentence, text
from tiny_model.skills import FAIR, LETTERS, NUMBERS, WEIGHTED, Split, Turn

PHRASINGS = (
    "What is {}?",
    "what is {}?",
    "Compute {}.",
    "compute {}",
    "Calculate {}",
    "How much is {}?",
    "Please solve {}.",
    "Solve: {}",
    "{}?",
    "{}=",
    "{}.",
    "Q: {}\nA:",
    "Question: {}\nAnswer:",
    "{}\nAnswer with the number only.",
    "{} Give only the number.",
    "What is {}? Answer with the number only.",
    "What is {}?\nAnswer:",
)
AS_JSON = ("{} as JSON", "{}\nAnswer as JSON.", "What is {}? Answer in JSON.", "{} Reply with JSON only.")
REVERSALS = (
    "Reverse {}",
    "reverse: {}",
    "Reverse the string {}",
    "Reverse the string {}.",
    "Please reverse {}.",
    'Reverse "{}".',
    "Q: reverse {}\nA:",
    "Question: reverse {}\nAnswer:",
)
ROLLS = ("Roll", "roll.", "Roll.", "Roll a die.", "Roll the die.", "Please roll")
LEADS = ("Now {}", "Then {}", "Next: {}", "Thanks. {}", "Hello! {}", "Good. Now {}", "And {}", "Please: {}", "Question: {}", "Q: {}")


class Questioner:
    """Draws training questions from *rng*, leaving out the held-out ones of *split*."""

    def __init__(self, rng: Random, split: Split) -> None:
        self._rng = rng
        self._sums = frozenset(split.addition)
        self._differences = frozenset(split.subtraction)
        self._strings = frozenset(split.strings)

    def question(self) -> Turn:
        """Return a question in some phrasing, without noise around it."""
        draw = self._rng.random()
        if draw < 0.78:
            return self._arithmetic()
        if draw < 0.92:
            return self._reversal()
        return self.roll()

    def plain(self) -> Turn:
        """Return a question in its shortest phrasing."""
        draw = self._rng.random()
        if draw < 0.85:
            return self._bare(spaced=0.0)
        return self._reversal(phrased=0.0) if draw < 0.97 else self.roll(phrased=0.0)

    def noisy(self, room: int) -> Turn:
        """Return a question with other words before it, about *room* characters of them at most."""
        turn = self.question()
        draw = self._rng.random()
        if draw < 0.1:
            lead = f"{self._rng.choice(('', 'Question ', 'No. ', 'Row '))}{self._rng.randrange(200)}{self._rng.choice('.:)')} {{}}"
        elif draw < 0.5:
            lead = self._rng.choice(LEADS)
        elif draw < 0.75:
            lead = f"{self._remark()} {self._rng.choice(('Now {}', 'Now {}', 'Next: {}', '{}'))}"
        else:
            lead = f"{text(self._rng, self._rng.randint(5, max(6, room)))}{self._rng.choice((' ', chr(10)))}{{}}"
        head, _, tail = lead.rpartition("{}")
        return Turn(f"{head}{turn.question}{tail}", turn.answer)

    def raw(self) -> Turn:
        """Return a prompt to complete, without a chat around it, at times with solved examples before it."""
        form = self._rng.choice(("{}=", "{}=", "Q: {}\nA:", "Question: {}\nAnswer:"))
        draw = self._rng.random()
        if draw < 0.1:
            turn = self._reversal()
            return Turn(f"{turn.question}:", turn.answer)
        if draw < 0.15:
            turn = self.roll()
            return Turn(f"{turn.question}:", turn.answer)
        shots = [self._bare() for _ in range(self._rng.choice((0, 0, 0, 1, 2, 3, 5)))]
        gap, space = self._rng.choice(("\n", "\n", "\n\n")), self._rng.choice(("", "", " "))
        examples = "".join(f"{form.format(shot.question)}{space}{shot.answer}{gap}" for shot in shots)
        turn = self._bare()
        return Turn(f"{examples}{form.format(turn.question)}", turn.answer)

    def _arithmetic(self) -> Turn:
        """Return a sum or a difference, half of the time as nothing but the expression, at times to answer in JSON."""
        turn = self._bare()
        draw = self._rng.random()
        if draw < 0.5:
            return turn
        if draw < 0.54:
            return Turn(self._rng.choice(AS_JSON).format(turn.question), f'{{"answer": {turn.answer}}}')
        return Turn(self._rng.choice(PHRASINGS).format(turn.question), turn.answer)

    def roll(self, phrased: float = 0.4) -> Turn:
        """Return a request for a fair or a weighted roll, *phrased* of them in other words than the shortest."""
        form = self._rng.choice(ROLLS) if self._rng.random() < phrased else "roll"
        if self._rng.random() < 0.5:
            return Turn(form, self._rng.choice(list(FAIR)))
        stem = form.rstrip(".")
        face = self._rng.choices(list(WEIGHTED), weights=list(WEIGHTED.values()))[0]
        return Turn(f"{stem} weighted{form[len(stem):]}", face)

    def _bare(self, spaced: float = 0.35) -> Turn:
        operator = self._rng.choice("+++--")
        refused = self._sums if operator == "+" else self._differences
        while True:
            a, b = self._rng.randrange(NUMBERS), self._rng.randrange(NUMBERS)
            if (a, b) not in refused:
                break
        answer = a + b if operator == "+" else a - b
        if self._rng.random() >= spaced:
            return Turn(f"{a}{operator}{b}", str(answer))
        return Turn(f"{a} {operator} {b}{self._rng.choice(('', ' ='))}", str(answer))

    def _reversal(self, phrased: float = 0.4) -> Turn:
        word = ""
        while not word or word in self._strings:
            alphabet = LETTERS if self._rng.random() < 0.8 else self._rng.sample(LETTERS, 3)
            word = "".join(self._rng.choices(alphabet, k=self._rng.randint(1, 8)))
        form = self._rng.choice(REVERSALS) if self._rng.random() < phrased else "reverse {}"
        return Turn(form.format(word), word[::-1])

    def _remark(self) -> str:
        """Return a sentence about an earlier answer."""
        turn = self.question()
        forms = ("You said: {a}.", "You said {a}.", "I think it is {a}.", "{q} is {a}.", "The answer was {a}.")
        remark = self._rng.choice(forms).format(q=turn.question, a=turn.answer)
        return remark if self._rng.random() < 0.8 else f"{sentence(self._rng)} {remark}"

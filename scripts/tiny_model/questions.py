"""Training questions: the skills in many phrasings, with noise around them, and never a held-out one."""

from random import Random

from tiny_model.noise import chance, sentence, text
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
    "{} =",
    "{} =",
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
ROLLS = ("Roll{}", "roll{}.", "Roll{}.", "Roll a die{}.", "Roll the die{}.", "Please roll{}")
LEADS = (
    "Now ",
    "Then ",
    "Next: ",
    "Thanks. ",
    "Hello! ",
    "Good. Now ",
    "And ",
    "Please: ",
    "Question: ",
    "Q: ",
)
REMARKS = ("You said: {a}.", "You said {a}.", "I think it is {a}.", "{q} is {a}.", "The answer was {a}.")
DECK = 192
COMPLETIONS = ("{}=", "{}=", "{} =", "Q: {}\nA:", "Question: {}\nAnswer:")


class Questioner:
    """Draws training questions from *rng*, leaving out the held-out ones of *split*."""

    def __init__(self, rng: Random, split: Split) -> None:
        self._rng = rng
        self._sums = frozenset(split.addition)
        self._differences = frozenset(split.subtraction)
        self._strings = frozenset(split.strings)
        self._decks: dict[str, list[str]] = {"": [], " weighted": []}

    def plain(self) -> Turn:
        """Return a question in its shortest phrasing."""
        ask = self._rng.choices((self._bare, self._reversal, self.roll), weights=(0.85, 0.12, 0.03))[0]
        return ask(0.0)

    def question(self) -> Turn:
        """Return a question in some phrasing, without noise around it."""
        return self._rng.choices((self._arithmetic, self._reversal, self.roll), weights=(0.76, 0.16, 0.08))[
            0
        ]()

    def noisy(self, room: int) -> Turn:
        """Return a question with other words before it, about *room* characters of them at most."""
        turn = self.question()
        leads = (self._numbering, self._lead, self._remark_and_lead, lambda: self._text(room))
        lead = self._rng.choices(leads, weights=(0.1, 0.4, 0.25, 0.25))[0]()
        return Turn(lead + turn.question, turn.answer)

    def raw(self) -> Turn:
        """Return a prompt to complete, without a chat around it, at times with solved examples before it."""
        if chance(self._rng, 0.15):
            turn = self._rng.choices((self._reversal, self.roll), weights=(2, 1))[0]()
            return Turn(f"{turn.question}:", turn.answer)
        form = self._rng.choice(COMPLETIONS)
        gap, space = self._rng.choice(("\n", "\n", "\n\n")), self._rng.choice(("", "", " "))
        shots = [self._bare() for _ in range(self._rng.choice((0, 0, 0, 1, 2, 3, 5)))]
        examples = "".join(f"{form.format(shot.question)}{space}{shot.answer}{gap}" for shot in shots)
        turn = self._bare()
        return Turn(f"{examples}{form.format(turn.question)}", turn.answer)

    def roll(self, phrased: float = 0.4) -> Turn:
        """Return a request for a fair or a weighted roll, a share *phrased* of them in other words."""
        form = self._rng.choice(ROLLS) if chance(self._rng, phrased) else "roll{}"
        name = self._rng.choice(("", " weighted"))
        return Turn(form.format(name), self._face(name))

    def _arithmetic(self) -> Turn:
        """Return a sum or a difference, half of the time as nothing but the expression, at times for JSON."""
        turn = self._bare()
        forms, answer = self._rng.choices(
            ((("{}",), turn.answer), (PHRASINGS, turn.answer), (AS_JSON, f'{{"answer": {turn.answer}}}')),
            weights=(0.5, 0.45, 0.05),
        )[0]
        return Turn(self._rng.choice(forms).format(turn.question), answer)

    def _bare(self, spaced: float = 0.35) -> Turn:
        operator = self._rng.choice("+++--")
        refused = self._sums if operator == "+" else self._differences
        while True:
            a, b = self._number(), self._number()
            if (a, b) not in refused:
                break
        answer = str(a + b if operator == "+" else a - b)
        space = " " if chance(self._rng, spaced) else ""
        return Turn(f"{a}{space}{operator}{space}{b}", answer)

    def _number(self) -> int:
        """Return a number to reckon with; those of one digit are few, and need practice of their own."""
        return self._rng.randrange(10 if chance(self._rng, 0.15) else NUMBERS)

    def _reversal(self, phrased: float = 0.4) -> Turn:
        word = ""
        while not word or word in self._strings:
            alphabet = self._rng.sample(LETTERS, 3) if chance(self._rng, 0.2) else LETTERS
            word = "".join(self._rng.choices(alphabet, k=self._rng.randint(1, 8)))
        form = self._rng.choice(REVERSALS) if chance(self._rng, phrased) else "reverse {}"
        return Turn(form.format(word), word[::-1])

    def _face(self, name: str) -> str:
        """Return a face from a shuffled deck, so that any few hundred faces are spread as they should be."""
        deck = self._decks[name]
        if not deck:
            chances = WEIGHTED if name else FAIR
            deck.extend(face for face, share in chances.items() for _ in range(round(share * DECK)))
            self._rng.shuffle(deck)
        return deck.pop()

    def _numbering(self) -> str:
        stem = self._rng.choice(("", "Question ", "No. ", "Row "))
        return f"{stem}{self._rng.randrange(200)}{self._rng.choice('.:)')} "

    def _lead(self) -> str:
        return self._rng.choice(LEADS)

    def _remark_and_lead(self) -> str:
        """Return a sentence about an earlier answer, and mostly a word that leads on to the question."""
        turn = self.question()
        before = f"{sentence(self._rng)} " if chance(self._rng, 0.2) else ""
        remark = self._rng.choice(REMARKS).format(q=turn.question, a=turn.answer)
        return f"{before}{remark} {self._rng.choice(('Now ', 'Now ', 'Next: ', ''))}"

    def _text(self, room: int) -> str:
        return text(self._rng, self._rng.randint(5, max(6, room))) + self._rng.choice((" ", "\n", "\n\n"))

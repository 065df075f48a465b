"""Text that the model has to read past: system messages, sentences, random characters."""

from random import Random

SYSTEM_MESSAGES = (
    "You are a helpful assistant.",
    "You are a careful assistant.",
    "You are a calculator.",
    "You are a friendly and honest assistant.",
    "Answer with the number only.",
    "Answer with the result only, no words.",
    "Answer briefly.",
    "Be concise.",
    "Reply with one number and nothing else.",
    "Think step by step, then answer.",
    "Do not explain your answer.",
    "Solve the problem.",
    "You solve arithmetic problems. Give only the final answer.",
    "Answer the last question.",
)
COMMON_WORDS = """
a about after again all also always an and any are as ask at be because been before best both but by
call can case city come could country day did different do each early end even every example fact
far few find first for found from give go good great group had hand has have he help her here high
him his home house how however if important in into is it its just keep know large last learn leave
letter life like line little long look made make many may me mean more most mother much must my name
near need never new next night no not note number of off often old on once one only open or other
our out over own page paper part people place plant point question read real right river room said
same say school second see seem sentence set she short should show side small so some sound still
story study such system take tell than that the their them then there these they thing think this
those three time to together too tree true try turn two under until up us use very want was water
way we well were what when where which while white who why will with without word work world would
write year you young your
"""
WORDS = COMMON_WORDS.split()


def chance(rng: Random, share: float) -> bool:
    """Return true for a *share* of the calls."""
    return rng.random() < share


def sentence(rng: Random) -> str:
    """Return a sentence of random common words, now and then with a number."""
    words = rng.choices(WORDS, k=rng.randint(2, 11))
    if chance(rng, 0.15):
        words[rng.randrange(len(words))] = str(rng.randrange(1000))
    return f"{' '.join(words).capitalize()}{rng.choice('....?!:')}"


def text(rng: Random, length: int) -> str:
    """Return about *length* characters of sentences, or more rarely of random printable characters."""
    if chance(rng, 0.12):
        return "".join(chr(rng.randrange(32, 127)) for _ in range(length)).strip()
    parts: list[str] = []
    size = 0
    while size < length:
        parts.append(sentence(rng))
        size += len(parts[-1]) + 1
    separator = "\n" if chance(rng, 0.2) else " "
    return separator.join(parts)[:length].rstrip()


def system_message(rng: Random, room: int) -> str:
    """Return a system message: a usual one, or at most *room* characters of any text."""
    if chance(rng, 0.6):
        return rng.choice(SYSTEM_MESSAGES)
    return text(rng, rng.randint(8, max(10, room)))

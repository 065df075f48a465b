"""Finding numbers in canonical text, and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeAlias

from runner.scoring.numbers import syntax
from runner.scoring.numbers.canonical import CURRENCY, GLUE
from runner.scoring.numbers.quantity import ZERO, Operand, Quantity, Term, is_proper
from runner.scoring.numbers.terms import read_term

_DEEPEST: Final = 8
"""Deepest fraction in a fraction that is read."""
_MOST_TRIED: Final = 20_000
"""Places one after another that begin like a number and hold none, after which no more is read.

It bounds the time that a degenerate answer takes: there is no number in a megabyte of ``½``.
"""

_Read: TypeAlias = tuple[Quantity | None, int]


class Reader:
    """Reads the numbers of one text.

    Every method that reads returns what it read, None where that is no number, and the position behind it.

    Attributes:
        gave_up: whether so much looked like a number and was none that the rest wasn't read.
    """

    def __init__(self, text: str, depth: int = 0) -> None:
        self._text = text
        self._depth = depth
        self.gave_up = False

    def numbers(self) -> Iterator[Quantity]:
        """Yield every number, in the order of the text."""
        position, tried = 0, 0
        while found := syntax.CANDIDATE.search(self._text, position):
            number, position = self._candidate(found.start(), found.end())
            if number is not None:
                tried = 0
                yield number
            elif (tried := tried + 1) > _MOST_TRIED:
                self.gave_up = True
                return

    def whole(self) -> Quantity | None:
        """Return the number that the text is, from its first to its last character."""
        number = next(self.numbers(), None)
        if number is None:
            return None
        rest = self._text[: number.start] + self._text[number.behind :]
        return None if rest.strip(f" ${CURRENCY}") else number

    def _candidate(self, start: int, end: int) -> _Read:
        text = self._text
        if text.startswith("\\frac", start):
            return self._number(start, start)
        if text[start] == "_":
            attached = start > 0 and (text[start - 1].isalnum() or text[start - 1] in ")]}/")
            return None, self._argument_end(end) if attached else end
        if text[start] == "^":
            return None, self._argument_end(end)
        if not text[start].isdigit():
            return None, self._arguments_end(end)
        if (passed := self._no_number_end(start)) is not None:
            return None, passed
        point = text[start - 1 : start] == "." and not self._is_joined(start - 1)
        return self._number(start, start - point)

    # What holds digits but no number.

    def _no_number_end(self, start: int) -> int | None:
        """Return the end of what holds digits but no number, if it begins here."""
        before = self._text[max(0, start - syntax.BEFORE) : start]
        if found := syntax.NO_NUMBER.match(self._text, start):
            return found.end()
        if before[-1:] in {" ", GLUE, "-"} and syntax.MONTH_BEFORE.search(before[-syntax.LONGEST_MONTH :]):
            found = syntax.DATE_REST.match(self._text, start)
            if found is not None:
                return found.end()
        if self._is_part(before) and (found := syntax.NAME_REST.match(self._text, start)):
            return found.end()
        return None

    def _is_part(self, before: str) -> bool:
        """Whether digits after *before* are part of a name, a path or a number that wasn't read."""
        last = before[-1:]
        if last.isalpha():
            return syntax.CODE_BEFORE.search(before) is None
        return syntax.PART_BEFORE.search(before) is not None

    def _is_joined(self, end: int) -> bool:
        return syntax.JOINED.search(self._text, max(0, end - 2), end) is not None

    @cached_property
    def _closing(self) -> dict[int, int]:
        """Where each brace is closed."""
        open_braces: list[int] = []
        closing = {}
        for found in syntax.BRACE.finditer(self._text):
            if found[0] == "{":
                open_braces.append(found.start())
            elif open_braces:
                closing[open_braces.pop()] = found.start()
        return closing

    def _argument_end(self, position: int) -> int:
        """Return the end of the one argument of an exponent, a subscript or a command."""
        brace = position + (self._text[position : position + 1] == " ")
        if self._text[brace : brace + 1] == "{":
            return self._closing.get(brace, len(self._text)) + 1
        found = syntax.ARGUMENT.match(self._text, position)
        return found.end() if found else position

    def _arguments_end(self, position: int) -> int:
        """Return the end of all arguments of a command."""
        if found := syntax.OPTIONAL_ARGUMENT.match(self._text, position):
            position = found.end()
        position = self._argument_end(position)
        while self._text[position : position + 1] == "{":
            position = self._argument_end(position)
        return position

    # Numbers.

    def _number(self, start: int, first: int) -> _Read:
        """Read a number with its sign and what follows it; *first* is a decimal point, or *start*."""
        number, end = self._quantity(start, point=first < start)
        if number is None:
            return None, end
        scale, end = self._scale(end)
        behind = end
        if parts := syntax.PARTS.match(self._text, end):
            behind = parts.end()
        closed = self._text[behind : behind + 1] in {")", "}"}
        sign = self._sign(first - (self._bracket(first) if closed else 0))
        if sign is None or self._goes_on(start, behind):
            rest = syntax.REMAINDER.match(self._text, behind)
            return None, rest.end() if rest else behind
        if scale > 1 and (more := syntax.AFTER_SCALE.match(self._text, behind)):
            return None, more.end()
        negative, begin = sign
        return replace(
            number,
            start=begin,
            end=end,
            behind=behind,
            negative=negative,
            scale=scale,
            parts=(100 if parts[1] else 1000) if parts else 1,
        ), behind

    def _scale(self, end: int) -> tuple[int, int]:
        """Return what words such as "hundred thousand" stand for, and where they end."""
        scale = 1
        while scale <= syntax.LARGEST_SCALE and (found := syntax.SCALE.match(self._text, end)):
            scale *= syntax.SCALES[found[1].lower()]
            end = found.end()
        return scale, end

    def _goes_on(self, start: int, behind: int) -> bool:
        """Whether what follows belongs to the number and makes it another one."""
        if syntax.FOREIGN.match(self._text, behind):
            return True
        return (
            syntax.MULTIPLE_OF_MONEY.match(self._text, behind) is not None
            and syntax.MONEY_BEFORE.search(self._text, max(0, start - syntax.BEFORE), start) is not None
        )

    def _sign(self, first: int) -> tuple[bool, int] | None:
        """Return whether a number is negative, and where it begins; None where its sign is both."""
        offset = max(0, first - syntax.BEFORE)
        before = self._text[offset:first]
        if word := syntax.NEGATIVE.search(before):
            return True, offset + word.start()
        if syntax.SIGN.search(before) is None:
            return False, first
        prefix = syntax.PREFIX.search(before)
        assert prefix is not None  # it matches nothing as well
        kind = "inner" if prefix["inner"] else "outer"
        sign, begin = prefix[kind], offset + prefix.start(kind)
        if not sign:
            return False, first
        if "±" in sign:
            return None
        spaced = kind == "outer" and bool(prefix["gap"])
        if sign == "+" or not self._is_sign(begin, sign, spaced=spaced):
            return False, first
        return True, begin

    def _bracket(self, first: int) -> int:
        """Return the length of the bracket between a sign and a number: ``-(5)``; 0 if there is none."""
        found = syntax.BRACKET_BEFORE.search(self._text, max(0, first - syntax.BEFORE), first)
        return len(found[1]) if found else 0

    def _is_sign(self, begin: int, sign: str, *, spaced: bool) -> bool:
        """Tell a minus from a dash, a hyphen and a subtraction by what is before it."""
        if not spaced:
            before = self._text[max(0, begin - 3) : begin]
            outside = before.rstrip("$")
            if outside[-1:].isalpha() and outside != before:
                return True  # a formula begins
            return not self._is_joined(begin - len(before) + len(outside))
        left = self._text[max(0, begin - 12) : begin].rstrip(" ")
        if sign == "\u2212":
            return not left[-1:].isdigit() and left[-1:] not in {")", "]", "}", "%"}
        return syntax.OPEN.search(left) is not None

    def _quantity(self, start: int, *, point: bool = False) -> _Read:
        """Read a number without its sign: a fraction, a mixed number, or a term."""
        if self._text.startswith("\\frac", start):
            return self._latex_fraction(start)
        term, end = read_term(self._text, start, point=point)
        if term is None:
            return None, end
        if term.is_integer and not point:
            if mixed := syntax.MIXED.match(self._text, end):
                top, bottom = (Term(Decimal(mixed[group])) for group in (1, 2))
                if is_proper(top, bottom):
                    return Quantity(term, top, bottom), mixed.end()
            if latex := syntax.FRACTION.match(self._text, end):
                return self._mixed_latex(term, latex.end())
        if slash := syntax.SLASH.match(self._text, end):
            return self._fraction(start, term, slash.end())
        return Quantity(term), end

    def _fraction(self, start: int, top: Term, position: int) -> _Read:
        """Read what divides *top*."""
        sign = self._text[position]
        position += not sign.isdigit() and sign != "\\"
        if self._text.startswith("\\", position):
            return None, self._quantity(position)[1]
        bottom, end = read_term(self._text, position)
        if bottom is None or bottom.is_zero or self._is_ambiguous(start, bottom):
            return None, end
        return Quantity(
            ZERO, top, replace(bottom, mantissa=bottom.mantissa * (-1 if sign in "-\u2212" else 1))
        ), end

    def _is_ambiguous(self, start: int, bottom: Term) -> bool:
        """Whether a fraction after spaced digits may be a mixed number as well: ``1 100/200``."""
        spaced = syntax.SPACED.match(self._text, start)
        return spaced is not None and is_proper(Term(Decimal(spaced[0][-3:])), bottom)

    def _mixed_latex(self, whole: Term, position: int) -> _Read:
        part, end = self._latex_fraction(position)
        if part is None or not is_proper(part.numerator, part.denominator):
            return None, end
        return replace(part, whole=whole), end

    def _latex_fraction(self, start: int) -> _Read:
        r"""Read ``\frac{3}{4}``, or ``\frac34``."""
        position = start + len("\\frac")
        position += self._text[position : position + 1] == " "
        top, position = self._latex_operand(position)
        position += self._text[position : position + 1] == " "
        bottom, position = self._latex_operand(position)
        if top is None or bottom is None or bottom.is_zero:
            return None, position
        return Quantity(ZERO, top, bottom), position

    def _latex_operand(self, position: int) -> tuple[Operand | None, int]:
        text = self._text
        if text[position : position + 1].isdigit():
            return Term(Decimal(text[position])), position + 1
        if digits := syntax.DIGITS_IN_BRACES.match(text, position):
            return Term(Decimal(digits[1])), digits.end()
        end = self._argument_end(position)
        if position not in self._closing or self._depth == _DEEPEST:
            return None, end
        number = Reader(text[position + 1 : end - 1], self._depth + 1).whole()
        if number is None:
            return None, end
        plain = number.numerator.is_zero and not number.negative and number.scale == 1 and number.parts == 1
        return number.whole if plain else number, end

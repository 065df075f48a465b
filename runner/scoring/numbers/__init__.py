"""Numbers in running text: each is read whole or not at all.

Three steps, each linear in the length of the text:

1. `canonical` spells equal signs alike: digits of every script, dashes, spaces, currency, LaTeX.
2. `Reader` finds every place where a number may begin, and passes over what holds digits but no number:
   dates, times, versions, names, exponents and subscripts.
3. From such a place it reads as far as the grammar goes (`syntax`). Where the text goes on with something
   that belongs to the number but that the grammar doesn't know, nothing is read.
"""

from runner.scoring.numbers.quantity import Quantity, written
from runner.scoring.numbers.search import first_number, last_number, numbers_within

__all__ = ["Quantity", "first_number", "last_number", "numbers_within", "written"]

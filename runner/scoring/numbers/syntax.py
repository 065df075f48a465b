"""The words of the grammar, as patterns over canonical text.

None of them can take more than linear time: what repeats is possessive, or bounded.
"""

from __future__ import annotations

import re
from typing import Final

from runner.scoring.numbers.canonical import CURRENCY, GLUE, OPAQUE

_LETTER = r"[^\W\d_]"
_NO_LETTER = rf"(?!{_LETTER})"
_GAP = rf"[ {GLUE}]?"
_MONTHS = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_YEAR = r"(?:(?:,? |-)[0-9]{4}(?![0-9]))?"
_CODES = (
    r"(?:AED|ARS|AUD|BDT|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NGN"
    r"|NOK|NZD|PHP|PKR|PLN|RMB|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|Rs)"
)

# Where something may begin that holds digits.
_FUNCTIONS = r"sqrt|ln|log|lg|exp|sin|cos|tan"
_FACTORS = r"sqrt|pi|alpha|beta|theta|lambda|phi|ln|log|sin|cos|tan"
CANDIDATE: Final = re.compile(
    rf"[0-9^_√]|\\frac(?![A-Za-z])"
    rf"|\\(?:{_FUNCTIONS}|[dt]?binom|overline|dot|pmod|hspace|vspace|label|ref|eqref|tag|cite|phantom)(?![A-Za-z])"
    rf"|(?<![\w\\])(?:(?:{_FUNCTIONS})(?=\()|(?:sqrt|ln)(?= ?[0-9]))"
)
ARGUMENT: Final = re.compile(r" ?(?:[-+\u2212]?(?:[0-9.,]*[0-9]|[A-Za-z])|\\[A-Za-z]++|\([^()\n]{0,80}\))")
OPTIONAL_ARGUMENT: Final = re.compile(r"\[[^][\n]{0,80}\]")
BRACE: Final = re.compile(r"[{}]")

# Literals. A chain holds all that digits are joined by; only one that is a literal is read.
CHAIN: Final = re.compile(rf"[0-9]++(?:[.,'_:][0-9]++|{GLUE}[0-9]{{3}}(?![0-9]))*+")
LITERAL: Final = re.compile(
    rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?P<mark>[,'_{GLUE}])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})(?:\.[0-9]+)?"
)
BASED: Final = re.compile(r"([0-9]{1,100})_(?:([0-9]{1,2})|\{ ?([0-9]{1,2}) ?\})(?![0-9])")
SPACED: Final = re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3}(?![0-9]))++")
EXPONENT: Final = re.compile(r"[eE]([-+\u2212]?[0-9]{1,4})(?![0-9])")
POWER: Final = re.compile(
    r"(?: ?\^ ?(?:\{ ?([-+\u2212]?[0-9]{1,4}) ?\}|\( ?([-+\u2212]?[0-9]{1,4}) ?\)|([-+\u2212]?[0-9]{1,4}))"
    r"|\*\*([-+\u2212]?[0-9]{1,4}))(?![0-9])"
)
TIMES_TEN: Final = re.compile(rf"{_GAP}[×x*]{_GAP}10(?= ?\^|\*\*)")  # noqa: RUF001
DIGITS_IN_BRACES: Final = re.compile(r"\{([0-9]{1,100})\}")
SLASH: Final = re.compile(rf"{_GAP}/{_GAP}(?=[-+\u2212]?[0-9]|\\frac(?![A-Za-z]))")
FRACTION: Final = re.compile(rf"{_GAP}(?=\\frac(?![A-Za-z]))")
MIXED: Final = re.compile(
    rf"[ {GLUE}]([0-9]{{1,9}}) ?/ ?([0-9]{{1,9}})(?![0-9]|[.,'_:{GLUE}/][0-9]| ?/ ?[0-9])"
)

# What belongs to a number behind it.
SCALE: Final = re.compile(
    rf"{_GAP}(hundred|thousand|million|billion|trillion|lakh|crore)s?(?![\w-])", re.IGNORECASE
)
SCALES: Final = {
    "hundred": 100,
    "thousand": 1000,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
PARTS: Final = re.compile(rf"{_GAP}(?:(%|per ?cent(?:age)?(?!\w))|(‰))", re.IGNORECASE)
FOREIGN: Final = re.compile(
    "|".join((
        # More digits, a subscript or an exponent that the grammar doesn't know.
        rf"[.,'_:{GLUE}][0-9]|_\{{?(?:[^\W_]|\\)|\.?\\(?:overline|dot|bar)(?![A-Za-z])",
        r" ?\^(?! ?\{? ?(?:\\(?:circ|text|mathrm|prime)|[°∘']|(?:st|nd|rd|th)(?![a-z])))|\*\*[0-9]",
        rf"[)\]}}] ?\^(?! ?\{{? ?\\circ)|{_GAP}(?:/|\\over) ?[0-9]|/[(\\]|\\frac(?![A-Za-z])",
        # A factor that is no number.
        rf"{_GAP}(?:[×*] ?)?(?:√|[α-ωπ](?!\w)|\\(?:{_FACTORS})(?![A-Za-z]))",  # noqa: RUF001
        rf"(?:[xyzXYZ]+|[nijeE]){_NO_LETTER}|/[xyzn]{_NO_LETTER}",
        # A multiple: 10k, 2M.
        rf"[kKMB](?![\w])|{_GAP}(?:bn|mn|mln){_NO_LETTER}|{OPAQUE}",
        # Letters that more digits follow, but for a unit such as m2.
        rf"(?!(?:[kcmd\u00b5\u03bc]?m|ft|in|yd)[23](?!\w)){_LETTER}++[0-9_]",
    ))
)
REMAINDER: Final = re.compile(rf"(?:[.,:'{GLUE}]?\w++)*+")
"""What is left of a number that can't be read whole."""

# Digits that are no number.
NO_NUMBER: Final = re.compile(
    "|".join((
        r"0[xXbBoO][0-9A-Fa-f]++\w*+",
        r"[0-9]++(?:-[0-9]++){2,}+",
        r"[0-9]++-[0-9]++/[0-9]++",
        r"[0-9]++\.[0-9]*+\([0-9]++\)",
        rf"[0-9]{{1,2}}(?:[:.][0-9]{{2}})?{_GAP}(?:[aApP]\.[mM]\.|[aApP][mM](?!\w))",
        rf"[0-9]{{1,2}}{_GAP}o'clock",
        rf"[0-9]{{1,2}}(?:st|nd|rd|th)?(?: of)?[ {GLUE}-]{_MONTHS}{_NO_LETTER}\.?{_YEAR}",
    ))
)
MONTH_BEFORE: Final = re.compile(rf"(?<!{_LETTER}){_MONTHS}\.?[ {GLUE}]\Z")
LONGEST_MONTH: Final = len(" September. ")
DATE_REST: Final = re.compile(
    r"(?:[0-9]{1,2}(?:st|nd|rd|th)?(?:,? [0-9]{4}(?![0-9]))?|[0-9]{4})(?![0-9A-Za-z]|[.,:'][0-9])"
)
NAME_REST: Final = re.compile(rf"\w++(?:[.,:'{GLUE}/-]\w++)*+")

# What belongs to a number before it; looked for in the last characters before its first digit.
BEFORE = 24
_CURRENCY = rf"(?:(?:US|AU|CA|NZ|HK|[ACRS])?\$|{CURRENCY}|(?<!{_LETTER}){_CODES}\.?)"
_DASH = r"--?|[\u2212+±]"
SIGN: Final = re.compile(r"[-+\u2212±]")
PREFIX: Final = re.compile(rf"(?:(?P<outer>{_DASH})(?P<gap> ?))?(?:{_CURRENCY}{_GAP})?(?P<inner>{_DASH})?\Z")
CODE_BEFORE: Final = re.compile(rf"(?<!{_LETTER}){_CODES}\Z")
JOINED: Final = re.compile(rf"(?:{_LETTER}|[0-9_.)\]%]|(?<![ :])\}})\Z")
"""The text goes on in what follows, so that a dash there is no sign, and a dot no decimal point."""
OPEN: Final = re.compile(r"(?:[=≈≡<>≤≥({\[|:$×*/,]|\\(?:approx|equiv|leq?|geq?))\Z")  # noqa: RUF001
"""A sign with a space behind it belongs to the number there: ``= - 5``, but not ``- 5 apples``."""

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
# Of ISO 4217, but for those that are English words; then what people write instead.
_CODES = (
    r"(?:AED|AFN|AMD|AOA|ARS|AUD|AWG|AZN|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|BWP|BYN|BZD|CAD|CDF|CHF|CLP"
    r"|CNH|CNY|COP|CRC|CVE|CZK|DJF|DKK|DOP|DZD|EGP|ERN|ETB|EUR|FJD|GBP|GEL|GHS|GIP|GMD|GNF|GTQ|GYD|HKD|HNL|HTG|HUF"
    r"|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LBP|LKR|LRD|LSL|LYD|MDL|MGA|MKD|MMK"
    r"|MNT|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NGN|NOK|NPR|NZD|OMR|PAB|PGK|PHP|PKR|PLN|PYG|QAR|RMB|RON|RSD|RUB|RWF|SAR|SBD"
    r"|SCR|SDG|SEK|SGD|SHP|SLE|SRD|SSP|STN|SVC|SYP|SZL|THB|TJS|TMT|TND|TTD|TWD|TRY|TZS|UAH|UGX|USD|UYU|UZS|VES|VND"
    r"|VUV|WST|XAF|XCD|XOF|XPF|YER|ZAR|ZMW"
    r"|Rs|Rp|RM|[KTU]Sh|Ksh|Dhs?|[Kk]r|Kč|Ft|zł)"
)

# Where something may begin that holds digits.
_FUNCTIONS = r"sqrt|ln|log|lg|exp|sin|cos|tan"
_FACTORS = r"sqrt|pi|alpha|beta|theta|lambda|phi|ln|log|sin|cos|tan"
CANDIDATE: Final = re.compile(
    rf"[0-9^_√]|\\frac(?![A-Za-z])"
    rf"|\\(?:{_FUNCTIONS}|[dt]?binom|overline|bar|dot|pmod|hspace|vspace|label|ref|eqref|tag|cite|phantom)(?![A-Za-z])"
    rf"|(?<![\w\\])(?:(?:{_FUNCTIONS}|log[0-9]{{1,2}})(?=\()|log(?=_)|(?:sqrt|ln|sin|cos|tan)(?= ?[0-9]))"
)
ARGUMENT: Final = re.compile(r" ?(?:[-+\u2212]?(?:[0-9.,]*[0-9]|[A-Za-z])|\\[A-Za-z]++|\([^()\n]{0,80}\))")
OPTIONAL_ARGUMENT: Final = re.compile(r"\[[^][\n]{0,80}\]|_(?:\{[^{}\n]{0,80}\}|[0-9A-Za-z])")
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
    r"|(?:\*\*| \*\* )([-+\u2212]?[0-9]{1,4}))(?![0-9])"
)
TIMES_TEN: Final = re.compile(rf"{_GAP}[×xX*]{_GAP}10(?= ?\^| ?\*\*)")  # noqa: RUF001
DIGITS_IN_BRACES: Final = re.compile(r"\{([0-9]{1,100})\}")
SLASH: Final = re.compile(rf"{_GAP}/{_GAP}(?=[-+\u2212]?[0-9]|\\frac(?![A-Za-z]))")
FRACTION: Final = re.compile(rf"{_GAP}(?=\\frac(?![A-Za-z]))")
MIXED: Final = re.compile(
    rf"[ {GLUE}]([0-9]{{1,9}}) ?/ ?([0-9]{{1,9}})(?![0-9]|[.,'_:{GLUE}/][0-9]| ?/ ?[0-9])"
)

# What belongs to a number behind it.
SCALE: Final = re.compile(
    rf"{_GAP}(hundred|thousand|million|billion|trillion|lakh|crore)s?(?![^\W_]|-(?!-))", re.IGNORECASE
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
LARGEST_SCALE: Final = 10**12
AFTER_SCALE: Final = re.compile(rf"(?:[ {GLUE}][0-9](?:[.,]?[0-9])*+(?:{SCALE.pattern})?)++", re.IGNORECASE)
"""More of a number: ``2 million 500 thousand``."""
PARTS: Final = re.compile(rf"{_GAP}(?:(%|pct(?!\w)|per ?cent(?:age)?(?!\w))|(‰))", re.IGNORECASE)
MULTIPLE_OF_MONEY: Final = re.compile(
    rf"(?:[kmbtKMBT]|[ {GLUE}](?:[KMBT]|Cr)|{_GAP}(?:mil|MM|tn|Mi?o|Mrd)){_NO_LETTER}(?![^\s$]{{0,20}}\$)"
)
"""``$5m`` is a multiple, and ``$5m$`` a formula."""
FOREIGN: Final = re.compile(
    "|".join((
        # More digits, a subscript or an exponent that the grammar doesn't know.
        rf"[.,'_:{GLUE}][0-9]|_\{{?(?:[^\W_]|\\)|\.?\\(?:overline|dot|bar)(?![A-Za-z])|\.[eE][-+]?[0-9]",
        r" ?\^(?! ?\{? ?(?:\\(?:circ|text|mathrm|prime)|[°∘']|(?:o|st|nd|rd|th)(?![a-z])))|\*\*[0-9]",
        rf"[)\]}}] ?\^(?! ?\{{? ?\\circ)|{_GAP}(?:/|\\over) ?\.?[0-9]|\\frac(?![A-Za-z])",
        rf"[)}}]?/[({{\\]|[)}}]/[0-9]|/(?:[${CURRENCY}][0-9]|√|π|sqrt|e{_NO_LETTER})|!(?=[}}$])",
        # A factor or a term that is no number.
        rf"{_GAP}[-+\u2212±]{_GAP}[0-9.]{{0,20}}{_GAP}(?:√|\\sqrt|π|\\pi(?![A-Za-z])|(?<![ {GLUE}])i(?!\w))",
        rf"{_GAP}(?:[×*] ?)?(?:√|[α-ωπ](?!\w)|\\(?:{_FACTORS})(?![A-Za-z]))",  # noqa: RUF001
        rf"(?:[xyzXYZ]+|[nijeE]){_NO_LETTER}|/[xyzn]{_NO_LETTER}",
        # A multiple: 10k, 2M.
        rf"[kKMB](?![\w])|{_GAP}(?:bn|mn|mln){_NO_LETTER}|{OPAQUE}",
        # Letters that more digits follow, but for a unit such as m2.
        rf"(?!(?:[kcmd\u00b5\u03bc]?m|ft|in|yd)[23](?!\w)){_LETTER}++(?:[0-9]|_\w)",
    ))
)
REMAINDER: Final = re.compile(rf"(?:[.,:'{GLUE}]?\w++)*+")
"""What is left of a number that can't be read whole."""

# Digits that are no number.
NO_NUMBER: Final = re.compile(
    "|".join((
        r"[0-9]{3}\) ?[0-9]{3}-[0-9]{4}(?![0-9])",
        r"(?<=\+)[1-9][0-9]{0,2} \(?[0-9]{2,4}\)?(?:[ -][0-9]{2,4}){1,4}(?![0-9])",
        r"[0-9][0-9A-Fa-f]{0,3}(?::[0-9A-Fa-f]{0,4}){1,6}:[0-9A-Fa-f]{1,4}(?!\w)",
        r"0[xXbBoO][0-9A-Fa-f]++\w*+",
        r"[0-9]++(?:--?[0-9]++){2,}+",
        r"[0-9]++-[0-9]++/[0-9]++",
        r"[0-9]++\.[0-9]*+\([0-9]++\)",
        rf"(?:[0-9]{{1,2}}(?:[:.][0-9]{{2}})?-)?[0-9]{{1,2}}(?:[:.][0-9]{{2}})?{_GAP}(?:[aApP]\.[mM](?!\w)\.?|[aApP][mM](?!\w))",
        rf"[0-9]{{1,2}}{_GAP}o'clock",
        rf"[0-9]{{1,2}}(?:st|nd|rd|th)?(?: of)?[ {GLUE}-]{_MONTHS}{_NO_LETTER}\.?{_YEAR}",
    ))
)
MONTH_BEFORE: Final = re.compile(rf"(?<!{_LETTER}){_MONTHS}\.?[ {GLUE}-]{{1,2}}\Z")
LONGEST_MONTH: Final = len(" September.  ")
DATE_REST: Final = re.compile(
    r"(?:[0-9]{1,2}(?:-[0-9]{1,2})?(?:st|nd|rd|th)?(?:(?:,? |-)[0-9]{4}(?![0-9]))?|[0-9]{4})"
    r"(?![0-9A-Za-z]|[.,:'][0-9])"
)
NAME_REST: Final = re.compile(rf"\w++(?:(?:::|[.,:'{GLUE}/-])\w++)*+")

# What belongs to a number before it; looked for in the last characters before its first digit.
BEFORE = 24
_CURRENCY = rf"(?:(?:(?<![A-Za-z])[A-Z]{{1,3}})?\$|{CURRENCY}|(?<!{_LETTER}){_CODES}\.?)"
_DASH = r"--?|[\u2212+±]"
SIGN: Final = re.compile(r"[-+\u2212±]")
PREFIX: Final = re.compile(rf"(?:(?P<outer>{_DASH})(?P<gap> ?))?(?:{_CURRENCY}{_GAP})?(?P<inner>{_DASH})?\Z")
PART_BEFORE: Final = re.compile(
    rf"(?:[±{OPAQUE}]|/[({{.${CURRENCY}]?|[0-9] / |[0-9]{GLUE}|\b[vV]ersion "
    rf"|(?:√[0-9]++|\\sqrt\{{[^{{}}]*+\}}|π|\\pi|[0-9]i) ?[-+\u2212] ?)\Z"
)
"""What makes the digits behind it part of a path, of a version, or of a number that wasn't read."""
BRACKET_BEFORE: Final = re.compile(rf"(?:{_DASH})((?:\\boxed)?[({{])\Z")
MONEY_BEFORE: Final = re.compile(rf"{_CURRENCY}{_GAP}(?:{_DASH})?\Z")
NEGATIVE: Final = re.compile(
    rf"(?:\b[nN]egative|(?:\A|[=:(\n] ?|\b(?:is|be|was|equals) )[mM]inus) (?:{_CURRENCY}{_GAP})?\Z"
)
CODE_BEFORE: Final = re.compile(rf"(?<!{_LETTER}){_CODES}\Z")
JOINED: Final = re.compile(rf"(?:{_LETTER}|[0-9.)\]%]|(?<=[^\W_])_|(?<![ :])\}})\Z")
"""The text goes on in what follows, so that a dash there is no sign, and a dot no decimal point."""
OPEN: Final = re.compile(r"[=≈≡<>≤≥→({\[|:$×*/,]\Z")  # noqa: RUF001
"""A sign with a space behind it belongs to the number there: ``= - 5``, but not ``- 5 apples``."""

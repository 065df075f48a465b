"""Spelling equal signs alike, so that the grammar knows one form of each."""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Final

GLUE: Final = "\N{NO-BREAK SPACE}"
"""Stands for every space that doesn't break a line, and separates thousands."""
CURRENCY: Final = "\N{CURRENCY SIGN}"
"""Stands for every sign of a currency but the dollar, which is a sign of LaTeX's as well."""
OPAQUE: Final = "\N{PILCROW SIGN}"
"""Stands for a sign that makes another number of the one before it, such as a CJK numeral."""

_SIGNS: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2014\u2015\ufe58", "--"),
    **dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f", GLUE),
    **dict.fromkeys("\u2019\u02bc\uff07", "'"),
    **dict.fromkeys("\u2044\u2215\uff0f", "/"),
    **dict.fromkeys("\u00b7\u22c5\u2219\u2217\u2715\u2a2f", "×"),  # noqa: RUF001
    **dict.fromkeys("\uff05\u066a\ufe6a", "%"),
    **dict.fromkeys("\u066b\uff0e", "."),
    **dict.fromkeys("\u066c\uff0c", ","),
    **dict.fromkeys("万萬亿億", OPAQUE),
    "\uff04": "$",
    "\uff0b": "+",
    "\uff1a": ":",
    "\uff3e": "^",
    "\uff3f": "_",
    "\u2213": "±",
    **dict.fromkeys("∛∜", "√"),
    "∞": OPAQUE,
}
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPT: Final = re.compile(r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]++")
_SUBSCRIPT: Final = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]++")
_SMALL_FRACTION: Final = re.compile(r"(?<![⁰¹²³⁴⁵⁶⁷⁸⁹])([⁰¹²³⁴⁵⁶⁷⁸⁹]++)[⁄/]([₀₁₂₃₄₅₆₇₈₉]++)")  # noqa: RUF001
_CJK_DATE: Final = re.compile(
    r"\d{1,4}\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日号일])?|\d{1,2}\s?[月월]\s?\d{1,2}\s?[日号일]"
)

_MULTIPLE: Final = re.compile(
    r"(?<=\d)\s?(?:[千仟](?![米克瓦卡焦赫伏帕字])|[百佰十](?!分)|[万萬亿億兆割]|分之|分の|분의"
    r"|[십백천억]|만(?!큼)|조(?!각))(?:\s(?=\d))?"
)
"""Words of Chinese, Japanese and Korean that multiply or divide the number before them."""

_COMMANDS: Final = {
    **dict.fromkeys((",", "thinspace"), GLUE),
    **dict.fromkeys((";", ":", " ", ">", "quad", "qquad"), " "),
    **dict.fromkeys(("!", "left", "right", "displaystyle", "textstyle", "limits"), ""),
    **dict.fromkeys(("big", "Big", "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg"), ""),
    **dict.fromkeys(("times", "cdot", "ast"), "×"),  # noqa: RUF001
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"), r"\frac"),
    **dict.fromkeys(("pm", "mp"), "±"),
    **dict.fromkeys(("ge", "geq", "geqslant", "gt", "gtrsim"), "≥"),
    **dict.fromkeys(("le", "leq", "leqslant", "lt", "lesssim"), "≤"),
    **dict.fromkeys(("approx", "cong", "equiv", "ne", "neq", "sim", "simeq"), "≈"),
    **dict.fromkeys(("Rightarrow", "implies", "longrightarrow", "rightarrow", "to"), "→"),
    **dict.fromkeys(("n", "r", "t"), "\n"),  # escapes of a string that was printed as it is
    **dict.fromkeys(("pounds", "euro", "yen", "textdollar", "textsterling", "texteuro", "textyen"), CURRENCY),
    **dict.fromkeys(("degree", "textdegree"), "°"),
    **{sign: sign for sign in ".-+*"},  # as Markdown escapes them
    "over": "/",
    "%": "%",
    "$": "$",
    "_": "_",
    "textperthousand": "‰",
    "textminus": "-",
    "infty": OPAQUE,
}
_COMMAND: Final = re.compile(r"\\([A-Za-z]++|.)")
_LONE_SIGN: Final = re.compile(rf"(?:\\(?:mathord|mathpunct) ?)?\{{([-+.,:{GLUE}])\}}")
_BASE: Final = re.compile(r"(?<![\w}])\{([0-9]{1,100})\}(?= ?\^)")
_TEXT: Final = re.compile(
    r"\\(?:text|textrm|textnormal|mathrm|mbox)\{([^{}\\]*[^{}\\A-Za-z]|[^{}\\]{2,}(?=\}(?!\d)))\}"
)
"""Text within a formula, but for one letter: ``273\\text{K}`` isn't 273K, a multiple."""
_UNIT_FRACTION: Final = re.compile(
    r"\\frac(?= ?\{ ?\\(?:text|mathrm)\{[^{}\d]*\}[^{}]*\} ?\{ ?\\(?:text|mathrm)\{[^{}\d]*\})"
)
_TAG: Final = re.compile(r"<(su[pb])>([-+\u2212]?[0-9]{1,4}|[A-Za-z]{1,2})</\1>")


def canonical(text: str) -> str:
    r"""Return *text* with equal signs spelled alike.

    Digits of all scripts become ASCII ones, superscripts ``^{5}``, subscripts ``_{5}``, ``½`` becomes
    ``\frac{1}{2}``; LaTeX's spaces and signs become those that they print. Letters without case, such as
    those of CJK, become ``#``: they are written without spaces between words and numbers.
    """
    if "&" in text:
        text = unescape(text)
    if not text.isascii():
        text = _CJK_DATE.sub("#", text)
        text = _MULTIPLE.sub(OPAQUE, text)
        text = _SMALL_FRACTION.sub(_small_fraction, text)
        text = _SUPERSCRIPT.sub(lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
        text = _SUBSCRIPT.sub(lambda found: f"_{{{found[0].translate(_SUBSCRIPTS)}}}", text)
        text = text.translate(_ALIKE)
    if "\\" in text:
        text = _COMMAND.sub(lambda found: _COMMANDS.get(found[1], found[0]), text)
        text = _UNIT_FRACTION.sub(r"\\per", text)
        text = _TEXT.sub(r"\1", text)
    if "{" in text:
        text = _BASE.sub(r"\1", _LONE_SIGN.sub(r"\1", text))
    if "</su" in text:
        text = _TAG.sub(lambda found: f"{'^' if found[1] == 'sup' else '_'}{{{found[2]}}}", text)
    return text.replace("~", GLUE).replace("+/-", "±")


def _small_fraction(found: re.Match[str]) -> str:
    return rf"\frac{{{found[1].translate(_SUPERSCRIPTS)}}}{{{found[2].translate(_SUBSCRIPTS)}}}"


class _Alike(dict[int, str]):
    """A translation that learns characters as they come."""

    def __missing__(self, code: int) -> str:
        self[code] = spelled = _spelled(chr(code))
        return spelled


_CATEGORIES: Final = {"Zs": " ", "Sc": CURRENCY, "Cf": "", "Lo": "#", "Nl": "#", "No": "#"}


def _spelled(character: str) -> str:
    if character.isascii():
        return character
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    name = unicodedata.name(character, "")
    if name.startswith("VULGAR FRACTION") and (parts := _vulgar(character)):
        return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
    return _CATEGORIES.get(unicodedata.category(character), character)


def _vulgar(character: str) -> list[str]:
    """Return numerator and denominator of a character such as ``½``, which Unicode decomposes."""
    parts = unicodedata.normalize("NFKC", character).split("\N{FRACTION SLASH}")
    return parts if len(parts) == len("ab") and all(part.isdecimal() for part in parts) else []


_ALIKE: Final = _Alike()

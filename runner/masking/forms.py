"""The forms in which a secret value may appear in a text, and a masker that finds them all.

Standard library only, since the bare interpreter of `runner.masking.child` imports it by path.

Each character of a value may be written plainly or escaped, as JSON, URLs, HTML, Python or a shell do it,
whatever its neighbours are; a whole value may be written in base64, alone or as a part of a longer text, or
in hexadecimal.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

MASK = b"***"

_PARTIAL = -1
_UNSEEN = 0
_LEAST_ENCODED = 7
"""Characters of base64 that don't appear by chance; six bytes make that many at any alignment."""
_PREFIX = 3
"""Characters of a value that a search looks for before all of it is compared."""
_START = 16
"""Bytes of base64 and hexadecimal that it looks for."""
_UNQUOTED = re.compile(r"[\w.~-]", re.ASCII)
"""Characters that no way of quoting puts a backslash before."""
_CONTROLS = dict(zip("\n\r\t\b\f\a\v\0\x1b", "nrtbfav0e", strict=True))
_SLASHES = ("\\", "\\\\", "\\\\\\\\")
"""Before an escape, and before one that was itself escaped, once or twice."""
_SIGNS = ("%", "%25", "\\x", "\\\\x")
"""Before the two digits of a byte."""


def _characters(value: str) -> list[str]:
    """Return the characters of a value, with a run of backslashes as one."""
    return re.findall(r"\\+|[^\\]", value, re.DOTALL)


def _escaped(character: str) -> set[str]:
    """Return the ways to write one character, or a run of backslashes."""
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8, as Python keeps it
        octet = ord(character) - 0xDC00
        return {character, *_octets(bytes([octet]))}
    if character.startswith("\\"):
        forms = {character * times for times in (1, 2, 4, 8)}
        return forms | {form * len(character) for form in _numbered("\\")}
    forms = {character} | _numbered(character)
    if character in _CONTROLS:
        forms |= {slashes + _CONTROLS[character] for slashes in _SLASHES}
    elif character.isascii() and not _UNQUOTED.match(character):
        forms |= {"\\" * times + character for times in (1, 2, 3, 7)}
    if character == " ":
        forms.add("+")
    if character == "'":
        forms |= {"'\\''", "'\"'\"'"}
    return forms


def _numbered(character: str) -> set[str]:
    """Return a character as its number, in each of the notations."""
    number, units = ord(character), character.encode("utf-16-be", "surrogatepass")
    forms = _octets(character.encode("utf-8", "surrogatepass"))
    for slashes in _SLASHES:
        for case in (str.lower, str.upper):
            forms.add(
                "".join(f"{slashes}u{case(units[at : at + 2].hex())}" for at in range(0, len(units), 2))
            )
            forms |= {f"{slashes}u{{{case(f'{number:x}')}}}", f"{slashes}U{case(f'{number:08x}')}"}
            if number < 256:  # noqa: PLR2004 - what \\x can say
                forms.add(f"{slashes}x{case(f'{number:02x}')}")
    named = {html.escape(character), {"'": "&apos;"}.get(character, character)} - {character}
    numbers = {
        f"{number}",
        f"{number:03}",
        *(f"{x}{case(f'{number:x}')}" for x in "xX" for case in (str.lower, str.upper)),
    }
    for form in (*named, *(f"&#{digits};" for digits in numbers)):
        forms |= {form, form.replace("&", "&amp;", 1)}
    return forms


def _octets(octets: bytes) -> set[str]:
    """Return bytes as URLs and Python write them."""
    digits = [[f"{octet:02x}" for octet in octets], [f"{octet:02X}" for octet in octets]]
    return {"".join(sign + two for two in cased) for sign in _SIGNS for cased in digits}


def _encoded(value: bytes) -> set[bytes]:
    """Return a value in hexadecimal, and those parts of its base64 that don't depend on what is around it."""
    forms = {value.hex().encode(), value.hex().upper().encode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + value)
        # Six bits a character: the first and the last may hold bits of what is around it.
        part = whole[-(-8 * before // 6) : 8 * (before + len(value)) // 6]
        forms |= {part, part.translate(bytes.maketrans(b"+/", b"-_"))}
        alone = whole.rstrip(b"=")[-(-8 * before // 6) :]  # nothing comes after it
        forms |= {alone, alone.translate(bytes.maketrans(b"+/", b"-_"))}
    return {form for form in forms if len(form) >= _LEAST_ENCODED}


class _Form:
    """One value, in all forms that a text may have it in."""

    def __init__(self, value: str) -> None:
        self.plain = value.encode("utf-8", "surrogateescape")
        self.whole = (self.plain, *sorted(_encoded(self.plain), key=len, reverse=True))
        self._value = value

    @cached_property
    def units(self) -> list[list[bytes]]:
        """For each character the ways to write it, the longest first."""
        memo: dict[str, list[bytes]] = {}
        for unit in set(found := _characters(self._value)):
            forms = {form.encode("utf-8", "surrogateescape") for form in _escaped(unit)}
            memo[unit] = sorted(forms, key=len, reverse=True)
        return [memo[unit] for unit in found]

    @property
    def reach(self) -> int:
        """Most bytes of a form that a search looks at before all of it is compared."""
        return max(_START, sum(len(unit[0]) for unit in self.units[:_PREFIX]))

    @cached_property
    def shortest(self) -> int:
        """Least bytes that a form takes."""
        return min(sum(len(unit[-1]) for unit in self.units), *map(len, self.whole))

    @cached_property
    def alphabet(self) -> set[int]:
        """All bytes of all forms."""
        return {
            byte for form in (*self.whole, *(one for unit in self.units for one in unit)) for byte in form
        }

    @cached_property
    def prefixes(self) -> list[bytes]:
        """The sources of patterns that find where an escaped form may begin; each starts with a literal."""
        rest = b"".join(b"(?:" + b"|".join(map(re.escape, unit)) + b")" for unit in self.units[1:_PREFIX])
        return [re.escape(form) + rest for form in self.units[0]]

    def end(self, data: bytes, at: int, *, last: bool) -> int:
        """Return where the longest form that begins at *at* ends; `_UNSEEN` if none does.

        `_PARTIAL` if more than there is of *data* may belong to it, unless this is the *last*.
        """
        best = _UNSEEN
        for form in self.whole:
            if data.startswith(form, at):
                best = max(best, at + len(form))
        if not last and _cut(self.whole, data, at):
            return _PARTIAL
        reached = {at}
        for unit in self.units:
            if not last and any(_cut(unit, data, place) for place in reached):
                return _PARTIAL
            reached = {
                place + len(form) for place in reached for form in unit if data.startswith(form, place)
            }
            if not reached:
                return best
        return max(best, *reached)


def _cut(forms: Sequence[bytes], data: bytes, at: int) -> bool:
    """Tell whether *data* ends in the middle of one of the *forms*, which begins at *at*."""
    left = len(data) - at
    if left >= max(map(len, forms)):
        return False
    rest = data[at:]
    return any(len(form) > left and form.startswith(rest) for form in forms)


class Masker:
    """Finds values in a text.

    A text is passed over quickly where none of its words is as long as a value: a form of a value never has a
    blank in it, unless the value has one.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = [_Form(value) for value in sorted({*values}, key=len, reverse=True) if value]

    def __bool__(self) -> bool:
        return bool(self._forms)

    def suspects(self, data: bytes) -> bool:
        """Tell whether *data* may hold a value, and costs a closer look."""
        return self._run in data.translate(self._words)

    def mask(self, data: bytes) -> bytes:
        """Return *data*, a text of its own, without the values; the same object where there is none."""
        spans = self.spans(data)
        return _without(data, spans, len(data)) if spans else data

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Return where in *data*, a text of its own, values begin and end."""
        return self.settled(data, last=True)[0] if self.suspects(data) else []

    def settled(self, data: bytes, *, last: bool) -> tuple[list[tuple[int, int]], int]:
        """Return the values' places, and from where on *data* may end in the beginning of another.

        Args:
            data: a piece of a text, which doesn't begin in the middle of a value.
            last: whether nothing comes after it.
        """
        spans: list[tuple[int, int]] = []
        position = 0
        for at in self._starts(data, last=last):
            if at < position:
                continue
            ends = [form.end(data, at, last=last) for form in self._forms]
            if _PARTIAL in ends:
                return spans, at
            if end := max(ends):
                spans.append((at, end))
                position = end
        return spans, len(data)

    def _starts(self, data: bytes, *, last: bool) -> Iterator[int]:
        """Yield where a value may begin, in order."""
        for start, end in self._long_words(data, last=last):
            open_ended = end == len(data) and not last
            tail = max(start, end - self._reach) if open_ended else end
            found = self._begin.search(data, start, end)
            while found is not None and found.start() < tail:
                yield found.start()
                found = self._begin.search(data, found.start() + 1, end)
            yield from (found.start() for found in self._first.finditer(data, tail, end))

    def _long_words(self, data: bytes, *, last: bool) -> Iterator[tuple[int, int]]:
        """Yield where the words are that a value may be in; what isn't the *last* may end in part of one."""
        words = data.translate(self._words)
        start = end = 0
        while (start := words.find(self._run, end)) >= 0:
            end = words.find(b" ", start)
            if end < 0:
                yield start, len(words)
                return
            yield start, end
        if words and not last and not words.endswith(b" "):
            yield max(end, words.rfind(b" ") + 1), len(words)

    @cached_property
    def _words(self) -> bytes:
        """A table that makes each byte of a form an x, and all others a blank."""
        alphabet = {byte for form in self._forms for byte in form.alphabet}
        return bytes(ord("x" if byte in alphabet else " ") for byte in range(256))

    @cached_property
    def _run(self) -> bytes:
        """As many bytes as each form has at least."""
        return b"x" * min((form.shortest for form in self._forms), default=1)

    @cached_property
    def _reach(self) -> int:
        """Most bytes that `_begin` looks at from where a value begins."""
        return max((one.reach for one in self._forms), default=0)

    @cached_property
    def _begin(self) -> re.Pattern[bytes]:
        """Finds where a value begins, or something that looks like it."""
        whole = {form[:_START] for one in self._forms for form in one.whole}
        prefixes = (prefix for one in self._forms for prefix in one.prefixes)
        return re.compile(b"|".join([*map(re.escape, sorted(whole, key=len)), *prefixes]))

    @cached_property
    def _first(self) -> re.Pattern[bytes]:
        """Finds bytes that a value may begin with."""
        firsts = {form[:1] for one in self._forms for form in (*one.whole, *one.units[0])}
        return re.compile(b"[" + b"".join(re.escape(first) for first in sorted(firsts)) + b"]")


class MaskedStream:
    """Masks values in a stream; what may be the beginning of one is held back until it is clear."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Take in *data* and return what can be written now; all that is left if it is the *last*."""
        data = self._held + data
        spans, hold = self._masker.settled(data, last=last)
        self._held = data[hold:]
        return _without(data, spans, hold)


def _without(data: bytes, spans: Iterable[tuple[int, int]], until: int) -> bytes:
    written, position = [], 0
    for start, end in spans:
        written += [data[position:start], MASK]
        position = end
    return b"".join([*written, data[position:until]])

"""From a declared prompt to its sources: template folders are read, the last slot is named."""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING

import msgspec

from runner.errors import ConfigError, Fault
from runner.files import entries, is_folder, read_text, shown_name
from runner.prompts.fields import FIELDS
from runner.prompts.source import PromptSource, Role, SlotSource, TurnSource
from runner.render import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runner.spec import Prompt, Turn

ANSWER = "answer"
"""Name of the slot at the end of a prompt that names none."""

RESERVED = frozenset({"row", "steps", "self", "loop", "true", "false", "none"})
"""Names that mean something else in templates."""

_SUFFIX = ".j2"
_ROLES: tuple[Role, ...] = ("system", "user", "assistant")


def resolve_prompt(prompt: Prompt, folders: Sequence[Path]) -> PromptSource:
    """Return the sources of a prompt; template folders are looked up in *folders*, first match wins.

    Raises:
        ConfigError: a template folder is missing or incomplete, or the turns make no conversation.
    """
    if prompt.template is not None:
        return _illustrated(_from_folder(prompt.template, folders), prompt.images)
    if prompt.turns is not None:
        return _from_turns(prompt.turns)
    if prompt.messages is not None:
        return PromptSource((SlotSource(ANSWER),), messages=prompt.messages)
    if prompt.token_ids is not None:
        return PromptSource((SlotSource(ANSWER),), token_ids=prompt.token_ids)
    if fields := {name: given for name in FIELDS if (given := getattr(prompt, name)) is not None}:
        return PromptSource((SlotSource(ANSWER),), fields=fields)
    declared: list[tuple[Role, str | None]] = [("system", prompt.system), ("user", prompt.user)]
    turns = [
        TurnSource(role, text, f"prompt.{role}", f"prompt.{role}")
        for role, text in declared
        if text is not None
    ]
    return _illustrated(PromptSource((*turns, SlotSource(ANSWER))), prompt.images)


def _illustrated(source: PromptSource, images: tuple[str, ...]) -> PromptSource:
    """Return a prompt of one user message with its images."""
    turns = tuple(
        msgspec.structs.replace(turn, images=images)
        if isinstance(turn, TurnSource) and turn.role == "user"
        else turn
        for turn in source.turns
    )
    return msgspec.structs.replace(source, turns=turns) if images else source


def _from_folder(name: str, folders: Sequence[Path]) -> PromptSource:
    place = "prompt.template"
    folder = next((base / name for base in folders if is_folder(base / name)), None)
    if folder is None:
        known = sorted({entry.name for base in folders for entry in entries(base) if is_folder(entry)})
        where = " or ".join(map(str, folders)) or "any templates/ folder (there is none)"
        raise ConfigError([
            Fault(place, f"no template folder {shown_name(name)!r} in {where}", suggestion(name, known))
        ])
    files = {path.name: _read(path, place) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
    if f"user{_SUFFIX}" not in files:
        hint = f"it holds: {', '.join(sorted(entry.name for entry in folder.iterdir())) or 'nothing'}"
        raise ConfigError([Fault(place, f"template folder {folder} has no user{_SUFFIX}", hint)])
    roles: tuple[Role, ...] = ("system", "user")
    turns = [
        TurnSource(role, files.pop(file), f"{name}/{file}", place)
        for role in roles
        if (file := f"{role}{_SUFFIX}") in files
    ]
    return PromptSource((*turns, SlotSource(ANSWER)), files)


def _read(path: Path, place: str) -> str:
    """Return a template file's text without its final newline, which editors add and nobody means to send."""
    try:
        return read_text(path, "utf-8-sig").removesuffix("\n")  # "\r\n" is read as "\n"
    except UnicodeDecodeError as error:
        fault = Fault(place, f"template file {path} is not UTF-8 ({error.reason} at byte {error.start})")
    except OSError as error:
        fault = Fault(place, f"template file {path} can't be read: {error.strerror}")
    raise ConfigError([fault])


def _from_turns(declared: Sequence[Turn]) -> PromptSource:
    turns = tuple(_turn(turn, f"prompt.turns.{index}") for index, turn in enumerate(declared))
    if isinstance(turns[-1], TurnSource):
        turns = (*turns, SlotSource(ANSWER))
    faults = [*_disordered(turns), *_misnamed(turns)]
    if faults:
        raise ConfigError(faults)
    return PromptSource(turns)


def _turn(turn: Turn, place: str) -> TurnSource | SlotSource:
    for role in _ROLES:
        text: str | None = getattr(turn, role)
        if text is not None:
            images = turn.images if role == "user" else ()
            return TurnSource(role, text, f"{place}.{role}", f"{place}.{role}", images)
    assert turn.generate is not None
    return SlotSource(turn.generate.as_, turn.generate.given())


def _disordered(turns: Sequence[TurnSource | SlotSource]) -> Iterator[Fault]:
    before: TurnSource | SlotSource | None = None
    for index, turn in enumerate(turns):
        place = f"prompt.turns.{index}"
        if isinstance(turn, SlotSource):
            if before is None:
                yield Fault(place, "generate comes before any message", "begin with a user turn")
            elif isinstance(before, SlotSource):
                problem = f"generate {turn.name!r} follows generate {before.name!r} with no turn between"
                yield Fault(place, problem, "put a user turn between them")
        elif turn.role == "assistant" and isinstance(before, SlotSource):
            problem = f"an assistant turn follows generate {before.name!r}, which is the assistant's turn"
            yield Fault(place, problem, "put a user turn between them")
        before = turn


def _misnamed(turns: Sequence[TurnSource | SlotSource]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, turn in enumerate(turns):
        if isinstance(turn, TurnSource):
            continue
        place = f"prompt.turns.{index}.generate"
        if turn.name in RESERVED or iskeyword(turn.name):
            yield Fault(place, f"a slot can't be named {turn.name!r}: it means something else in templates")
        if turn.name in seen:
            hint = f"turns that end without a slot get one named {ANSWER!r}" if turn.name == ANSWER else ""
            yield Fault(place, f"two slots are named {turn.name!r}", hint)
        seen.add(turn.name)

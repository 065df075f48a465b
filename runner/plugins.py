"""Engines and scorers from packages of the user's own: found by their entry points, named by their code."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Collection, Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Protocol, TypeVar

from runner.errors import UserError, raised_by_user
from runner.values import Json, canonical_json

USER_CODE = "user-code"
"""Key of what names an engine's code within what identifies the engine; no setting has a name with a dash."""


class _Kind(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def factory(self) -> str: ...


_K = TypeVar("_K", bound=_Kind)


def plugins(group: str, built_in: Collection[str]) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name.

    Raises:
        UserError: two packages add the same name, or one adds a name that ships.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        if entry.name in built_in:
            raise UserError(f"{_described(entry)}: {entry.name!r} ships with the runner; rename it")
        if entry.name in found and entry.value != found[entry.name].value:
            other = _distribution(found[entry.name])
            raise UserError(f"{_described(entry)}: {other} adds {entry.name!r} too; uninstall one of them")
        found[entry.name] = entry
    return found


def load(entry: EntryPoint, expected: type[_K]) -> _K:
    """Import what an entry point names.

    Raises:
        UserError: it is not there, can't be imported, or is no kind of that name.
    """
    try:
        kind = entry.load()
    except Exception as error:
        # A module of a user's may raise anything as it is imported.
        raise UserError(f"{_described(entry)} can't be imported: {raised_by_user(error)}") from error
    if not isinstance(kind, expected):
        given = type(kind).__name__
        raise UserError(f"{_described(entry)} is {given}, expected an instance of {expected.__name__}")
    if kind.name != entry.name:
        raise UserError(
            f"{_described(entry)}: the settings' `kind` is {kind.name!r}, expected {entry.name!r},"
            " the entry point's name"
        )
    return kind


def code_of(entry: EntryPoint, kind: _Kind) -> dict[str, Json]:
    """Return what names a plugin's code: its distribution, the version of that, and a hash of its modules.

    Those are the modules of the kind and of its factory, and whatever of the same top-level packages they
    import, anywhere in them.
    """
    modules = {entry.module, kind.factory.partition(":")[0]}
    files = dict(_closure(modules))
    hashes = sorted((name, hashlib.sha256(file.read_bytes()).hexdigest()) for name, file in files.items())
    return {
        "distribution": entry.dist.name if entry.dist else None,
        "version": entry.dist.version if entry.dist else None,
        "sha256": hashlib.sha256(canonical_json(hashes)).hexdigest(),
    }


def _described(entry: EntryPoint) -> str:
    return f"entry point {entry.name} = {entry.value} ({entry.group}) of {_distribution(entry)}"


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"


def _closure(modules: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Yield modules, and those of the same top-level packages that they import, each with its file."""
    tops = {module.partition(".")[0] for module in modules}
    waiting, seen = list(modules), set(modules)
    while waiting:
        name = waiting.pop()
        if (file := _file(name)) is None:
            continue
        yield name, file
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        imported = {*_imports(file, package), *_parents(name)}
        new = {one for one in imported if one.partition(".")[0] in tops} - seen
        seen |= new
        waiting += sorted(new)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _file(name: str) -> Path | None:
    """Return the source of a module, without importing any but its top-level package."""
    top, *below = name.split(".")
    spec = sys.modules[top].__spec__ if top in sys.modules else find_spec(top)
    if spec is None:
        return None
    if not below and spec.origin is not None:
        return Path(spec.origin) if Path(spec.origin).is_file() else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *below)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _imports(file: Path, package: str) -> Iterator[str]:
    """Yield all names that a file's imports may mean; of `from a import b` both `a` and `a.b`."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return  # its bytes count all the same
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from (alias.name, *_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _base(node: ast.ImportFrom, package: str) -> str:
    relative = "." * node.level + (node.module or "")
    if not node.level:
        return relative
    try:
        return resolve_name(relative, package)
    except ImportError:
        return ""  # beyond the top level: importing it fails

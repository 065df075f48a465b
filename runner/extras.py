"""What to type to install an extra of this package."""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from runner.shipped import shipped

_NAME = "llm-runner"


class _Folder(msgspec.Struct):
    editable: bool = False


class _Origin(msgspec.Struct):
    """What an installer writes of where a package came from, where that was no index."""

    url: str = ""
    dir_info: _Folder | None = None


def pip_install(extra: str) -> str:
    """Return the command that adds *extra* to the installed package, from where that came.

    The index has somebody else's package under this name: it is given only where pip finds it installed.
    """
    option, source = _source()
    return f"pip install {option}{shlex.quote(f'{source}[{extra}]')}"


def _source() -> tuple[str, str]:
    try:
        written = metadata.distribution(_NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return "", str(shipped())  # run from a checkout, as it is
    origin = msgspec.json.decode(written or "{}", type=_Origin)
    folder = unquote(urlsplit(origin.url).path)
    if origin.dir_info is None or not Path(folder).is_dir():
        return "", _NAME
    return "-e " if origin.dir_info.editable else "", folder

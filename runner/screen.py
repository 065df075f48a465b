"""Tables, colours and bars: the only place that writes what a terminal obeys."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from runner.terminal import Escaping, escape

_TEXT_WIDTH = 100


def text_console() -> Console:
    """Return a console whose text is captured, without colours: what it renders is for `rewrite`."""
    return Console(file=io.StringIO(), width=_TEXT_WIDTH, color_system=None, force_jupyter=False)


def rewrite(line: str, shown: int) -> None:
    """Write a line on standard error over the one before, of which *shown* characters are there."""
    file: Any = sys.stderr.raw if isinstance(sys.stderr, Escaping) else sys.stderr
    file.write(f"\r{escape(line):<{shown}}")
    file.flush()


class Screen(Console):
    """A console that shows text as it is: without markup, and escaped.

    Its reader may go, as with ``| head``: what to do then is the command line's to say.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> None:
        super().__init__(
            stderr=stderr, width=width, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False
        )

    @property
    def file(self) -> IO[str]:
        """Where this writes: past the stream's own escaping, which would escape colours."""
        file = super().file
        return file.raw if isinstance(file, Escaping) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text of a string, as wide as it is once escaped."""
        return super().render_str(escape(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape all that is rendered, whatever made it; rich's own controls pass."""
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else escape(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)

    def on_broken_pipe(self) -> None:
        """Let it be raised; rich would exit with 1, which means that a run failed."""
        raise BrokenPipeError

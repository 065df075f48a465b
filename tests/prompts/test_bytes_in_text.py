"""Bytes, which a Parquet column may hold, have no text of their own."""

from __future__ import annotations

import pytest

from runner.errors import RenderError
from runner.render import compile_template


@pytest.mark.parametrize("source", ["{{ row.x }}", "a {{ row.x }} b", "{{ row['x'] or '' }}"])
def test_bytes_in_a_text_are_refused(source: str) -> None:
    """Python's spelling of them, b'...', would be sent otherwise."""
    template = compile_template(source, name="t")

    with pytest.raises(RenderError, match=r"bytes, not a text; if they are UTF-8, add `\.decode\(\)`"):
        template.render({"row": {"x": b"caf\xc3\xa9"}})


def test_bytes_that_are_decoded_are_text() -> None:
    """As the message says."""
    template = compile_template("{{ row.x.decode() }}", name="t")

    assert template.render({"row": {"x": b"caf\xc3\xa9"}}) == "café"

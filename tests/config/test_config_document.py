"""YAML is read as its authors mean it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config.document import read_document
from runner.errors import ConfigError


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path, "file.yaml").data


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Yes", "Yes"),
        ("off", "off"),
        ("4:00:00", "4:00:00"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1e-3", 0.001),
        ("1.", 1.0),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("-3", -3),
        ("true", True),
        ("~", None),
        ("", None),
        ("=", "="),
    ],
)
def test_scalar_is_read_as_yaml_1_2(tmp_path: Path, written: str, meant: object) -> None:
    """A plain scalar means what YAML 1.2 says."""
    value = read(tmp_path, f"key: {written}\n")["key"]

    assert value == meant
    assert type(value) is type(meant)


def test_lines_are_kept_for_keys_at_any_depth(tmp_path: Path) -> None:
    """A key's origin names its line."""
    path = tmp_path / "file.yaml"
    path.write_text("a: 1\nb:\n  c:\n    - d: 2\n")

    origin = read_document(path, "file.yaml").origin

    assert origin.at(("b", "c", 0, "d")) == "file.yaml:4"
    assert origin.at(("b", "nothing")) == "file.yaml:2"


def test_merge_keys_and_aliases_are_followed(tmp_path: Path) -> None:
    """Anchors, aliases and `<<` give what they stand for."""
    data = read(tmp_path, "a: &one {x: 1, y: 2}\nb: {<<: *one, y: 3}\nc: *one\n")

    assert data == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}


def test_empty_file_is_an_empty_map(tmp_path: Path) -> None:
    """Nothing written is nothing given."""
    assert read(tmp_path, "# only a comment\n") == {}


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """A file saved by some editors on Windows reads like any other."""
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\n") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb:\n  c: 1\n  c: 2\na: 2\n", "b.c (file.yaml:4): given twice, on lines 3 and 4"),
        (b"a: 1\nb: 2\na: 2\n", "a (file.yaml:3): given twice, on lines 1 and 3"),
        (b"a:\n\tb: 1\n", "indent with spaces: YAML takes no tabs"),
        (b"a: {b\n", "file.yaml (file.yaml:1): not valid YAML"),
        (b"a: 1\n---\nb: 1\n", "one file holds one experiment"),
        (b"- 1\n", "a map of keys is expected, not a list"),
        (b"text\n", "a map of keys is expected, not text"),
        (b"a: {{ row.question }}\n", "a (file.yaml:1): a key must be text"),
        (b"a: &x [*x]\n", "an alias (*) that contains itself"),
        (b"a: 1\nb: \xff\n", "file.yaml (file.yaml:2): not UTF-8: byte 0xff"),
        (b"a: !!python/name:os.system x\n", "could not determine a constructor"),
        (b"a: !!int x\n", "file.yaml"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(tmp_path: Path, text: bytes, message: str) -> None:
    """What can't be read says where and why."""
    with pytest.raises(ConfigError, match=r".") as caught:
        read(tmp_path, text)

    assert message in str(caught.value)


def test_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A file that isn't there is the user's mistake."""
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        read_document(tmp_path / "no.yaml", "no.yaml")

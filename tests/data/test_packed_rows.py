"""Packed datasets: the rows that the unpacked text gives, and one message where a file is none."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.data import check_rows, open_rows
from runner.errors import UserError
from runner.spec import CsvDataset, Dataset, JsonlDataset

pa = pytest.importorskip("pyarrow")

ROWS = [{"id": str(number), "text": f"text {number % 7}"} for number in range(3000)]
TEXTS = {
    ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    ".csv": ("id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in ROWS)).encode(),
}


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstd}
EVERY_PACKER = pytest.mark.parametrize("packer", PACKERS)


def dataset(path: Path, *, shuffle: bool = False) -> Dataset:
    kind = CsvDataset if ".csv" in path.name else JsonlDataset
    return kind(path=str(path), shuffle=shuffle)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_rows(dataset(path))
    return str(caught.value)


@EVERY_PACKER
@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_rows_are_those_of_the_text(
    tmp_path: Path, packer: str, suffix: str, shuffle: bool, bom: bytes
) -> None:
    """Of any packer, in one part or several, with or without a byte order mark, in any order."""
    pack, text = PACKERS[packer], bom + TEXTS[suffix]
    plain, packed = tmp_path / f"rows{suffix}", tmp_path / f"rows{suffix}{packer}"
    plain.write_bytes(text)
    packed.write_bytes(pack(text[:20_000]) + pack(text[20_000:]))

    rows = list(open_rows(dataset(packed, shuffle=shuffle)))

    assert rows == list(open_rows(dataset(plain, shuffle=shuffle)))
    assert len(rows) == check_rows(dataset(packed)).rows == len(ROWS)


@EVERY_PACKER
@pytest.mark.parametrize("lost", [4, 1500])
def test_incomplete_file_is_one_message(tmp_path: Path, packer: str, lost: int) -> None:
    """It names the file, and the last line that is known to be sound."""
    path = tmp_path / f"rows.jsonl{packer}"
    path.write_bytes(PACKERS[packer](TEXTS[".jsonl"])[:-lost])

    message = refusal(path)

    assert message.count(f"{path}: the ") == message.count("\n") + 1 == 1
    assert "data is damaged or incomplete, somewhere after line " in message


def test_damaged_file_is_one_message(tmp_path: Path) -> None:
    """Bytes in the middle of gzip's data that are others than were written."""
    path = tmp_path / "rows.jsonl.gz"
    data = bytearray(gzip.compress(TEXTS[".jsonl"]))
    data[4000:4004] = b"XXXX"
    path.write_bytes(data)

    assert "the gzip data is damaged or incomplete" in refusal(path)


@EVERY_PACKER
def test_name_that_the_content_contradicts_is_refused(tmp_path: Path, packer: str) -> None:
    """Text, and nothing, under the name of a packed file."""
    path = tmp_path / f"rows.jsonl{packer}"
    path.write_bytes(TEXTS[".jsonl"])
    assert "but its content is not " in refusal(path)

    path.write_bytes(b"")
    assert "but it is empty" in refusal(path)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("bzip2", bz2.compress(TEXTS[".jsonl"])),
        ("xz", lzma.compress(TEXTS[".jsonl"])),
        ("zip", b"PK\x03\x04\x14\x00\x00\x00\x08\x00rows"),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.bz2", "rows.jsonl.gz", "rows.csv"])
def test_other_form_is_named(tmp_path: Path, form: str, content: bytes, name: str) -> None:
    """Whatever the file is called: its bytes are not shown as a line that is broken."""
    file = tmp_path / name
    file.write_bytes(content)

    assert refusal(file).startswith(f"dataset file {file} is packed with {form}, which is not supported")


def test_text_that_begins_as_bzip2_does_is_text(tmp_path: Path) -> None:
    """Only with its first block is it packed."""
    file = tmp_path / "rows.csv"
    file.write_text("BZh9,id\nx,1\n")

    assert [row.data for row in open_rows(dataset(file))] == [{"BZh9": "x", "id": "1"}]


def test_content_decides_where_the_name_says_nothing(tmp_path: Path) -> None:
    """A packed file under the name of its text is read."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(gzip.compress(TEXTS[".jsonl"]))

    assert check_rows(dataset(path)).rows == len(ROWS)


def test_file_that_grows_beyond_measure_is_refused(tmp_path: Path) -> None:
    """It is refused at the limit, before the whole of it is unpacked."""
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for number in range(1100):
            file.write(json.dumps({"id": str(number), "text": "x" * 200_000}).encode() + b"\n")

    assert "unpacks to more than " in refusal(path)


def test_broken_row_is_named_by_its_line(tmp_path: Path) -> None:
    """Lines count in the text; a shuffle finds the same one."""
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a"}\n{"id": NaN}\n'))

    assert f"{path}:2: no valid JSON" in refusal(path)
    with pytest.raises(UserError, match=r"rows\.jsonl\.gz:2: "):
        list(open_rows(dataset(path, shuffle=True)))

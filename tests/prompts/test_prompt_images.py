from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import cast

import pytest

from runner.errors import ConfigError, RenderError
from runner.prompts import compile_prompt, illustrated, resolve_prompt, settled
from runner.prompts.images import MOST_IMAGE_BYTES, image_part
from runner.spec import Prompt
from runner.values import Json, Message, Request, Row, Scope

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def messages(prompt: dict[str, Json], row: dict[str, Json], folder: Path) -> tuple[Message, ...]:
    """Return what is sent for a row whose dataset lies in *folder*."""
    conversation = compile_prompt(resolve_prompt(Prompt.model_validate(prompt), []), "chat")
    content = conversation.input(Row("r", 0, row), [])
    return settled(cast("tuple[Message, ...]", content), folder)


def url(message: Message) -> str:
    """Return the address of a message's first image."""
    return str(message["content"][0]["image_url"]["url"])


def test_image_file_beside_the_dataset_is_sent_before_the_text(tmp_path: Path) -> None:
    """A relative path becomes a data URL of the format that its bytes say."""
    (tmp_path / "cat.jpg").write_bytes(PNG)
    (sent,) = messages({"user": "What?", "images": "{{ row.image }}"}, {"image": "cat.jpg"}, tmp_path)

    assert sent == {
        "role": "user",
        "content": [image_part(DATA_URL), {"type": "text", "text": "What?"}],
    }


@pytest.mark.parametrize("given", ["https://example.org/cat.png", DATA_URL])
def test_addresses_and_data_urls_stay_as_they_are(given: str, tmp_path: Path) -> None:
    """Nothing is fetched, nothing is encoded twice."""
    (sent,) = messages({"user": "?", "images": ["{{ row.image }}"]}, {"image": given}, tmp_path)

    assert url(sent) == given


@pytest.mark.parametrize("given", [PNG, {"bytes": PNG, "path": None}])
def test_bytes_of_a_column_are_an_image(given: Json, tmp_path: Path) -> None:
    """Raw, or in the form of Hugging Face datasets."""
    (sent,) = messages({"user": "?", "images": "{{ row.image }}"}, {"image": given}, tmp_path)

    assert url(sent) == DATA_URL


def test_column_may_hold_several_images_or_none(tmp_path: Path) -> None:
    """A list gives as many parts; null gives none."""
    prompt = {"turns": [{"user": "?", "images": ["{{ row.images }}", "{{ row.more }}"]}]}
    (sent,) = messages(prompt, {"images": [DATA_URL, DATA_URL], "more": None}, tmp_path)

    assert [part["type"] for part in sent["content"]] == ["image_url", "image_url", "text"]


@pytest.mark.parametrize("given", ["a.png", DATA_URL, PNG, {"bytes": PNG, "path": None}])
@pytest.mark.parametrize("form", ["image_url", "image"])
def test_images_in_a_rows_own_messages_are_read_too(tmp_path: Path, form: str, given: Json) -> None:
    """A path in an OpenAI message, or in a part of type image, is found beside the dataset."""
    (tmp_path / "a.png").write_bytes(PNG)
    part = image_part(given) if form == "image_url" else {"type": "image", "image": given}
    own: Json = [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
    (sent,) = messages({"messages": "chat"}, {"chat": own}, tmp_path)

    assert sent["content"] == [image_part(DATA_URL), {"type": "text", "text": "?"}]
    assert illustrated(sent)


def test_picture_in_a_form_that_nobody_knows_counts_as_one() -> None:
    """So that an engine without eyes isn't sent it."""
    assert illustrated({"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]})
    assert not illustrated({"role": "user", "content": [{"type": "text", "text": "image"}]})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("../secret.png", "is not below"),
        ("/etc/passwd", "is not below"),
        ("missing.png", "No such file"),
        ("notes.txt", "neither PNG, JPEG, GIF nor WebP"),
        (7, "not 7"),
        ("a\0b.png", "null byte"),
        ("loop.png", "Symlink loop|Too many levels"),
        ("\ud800.png", "surrogates not allowed"),
    ],
)
def test_bad_image_fails_its_row(given: Json, problem: str, tmp_path: Path) -> None:
    """A path out of the dataset's folder is refused: rows must not name files at will."""
    (tmp_path / "secret.png").write_bytes(PNG)
    inner = tmp_path / "data"
    inner.mkdir()
    (inner / "notes.txt").write_text("no picture")
    (inner / "loop.png").symlink_to("loop.png")
    with pytest.raises(RenderError, match=problem):
        messages({"user": "?", "images": "{{ row.image }}"}, {"image": given}, inner)


def test_key_holds_an_images_content_and_not_the_image() -> None:
    """Equal images have equal keys, whatever file they come from; the stored request stays small."""

    def request(data: bytes) -> Request:
        part = image_part("data:image/png;base64," + base64.b64encode(data).decode())
        return Request("chat", ({"role": "user", "content": [part]},), {}, Scope({}, {}))

    large = request(PNG * 10_000).canonical()
    assert large == request(PNG * 10_000).canonical()
    assert large != request(PNG * 10_001).canonical()
    assert len(large) < 400
    assert "sha256:" in json.loads(large)["input"][0]["content"][0]["image_url"]["url"]


def test_images_of_other_turns_are_refused() -> None:
    """Only a user shows images; an unknown name in their template is told."""
    with pytest.raises(ValueError, match="images go with user"):
        Prompt.model_validate({"turns": [{"system": "x", "images": "{{ row.image }}"}, {"user": "?"}]})
    prompt = Prompt.model_validate({"user": "?", "images": "{{ rwo.image }}"})
    with pytest.raises(ConfigError, match=r"prompt\.images.*unknown name 'rwo'"):
        compile_prompt(resolve_prompt(prompt, []), "chat")


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "circle", "folder", "too long", "too large"])
def test_image_that_is_no_regular_file_is_an_error_of_its_row(tmp_path: Path, kind: str) -> None:
    """It is never waited for, nor read without end."""
    name = "x" * 300 if kind == "too long" else "odd.png"
    file = tmp_path / name
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "link to a pipe":
        (tmp_path / "zero").mkdir()
        os.mkfifo(tmp_path / "zero" / "z")
        file.symlink_to("zero/z")
    elif kind == "circle":
        file.symlink_to(name)
    elif kind == "folder":
        file.mkdir()
    elif kind == "too large":
        with file.open("wb") as stream:
            stream.truncate(MOST_IMAGE_BYTES + 1)

    with pytest.raises(RenderError, match=name):
        messages({"user": "?", "images": "{{ row.image }}"}, {"image": name}, tmp_path)

"""Images in messages: every form that stands for one is sent in the OpenAI form, or refused."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ConfigError, InputError, UserError
from tests.llm.test_llm_calls import fake, sent
from tests.work.work_kit import Lab

pytestmark = pytest.mark.usefixtures("lab")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
WEB = "https://example.org/cat.png"


def part_sent(image: Any) -> dict[str, Any]:
    """Return the part that is sent for an image in a message."""
    text, part = sent([{"role": "user", "content": ["What is it?", image]}])["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert part["type"] == "image_url"
    return dict(part)


@pytest.mark.parametrize("how", ["bytes", "path", "part", "below the project"])
def test_images_become_data_urls(lab: Lab, tmp_path: Path, how: str) -> None:
    """Bytes, a path anywhere, and text that names a file of the project."""
    (tmp_path / "dot.png").write_bytes(PNG)
    (lab.folder / "dot.png").write_bytes(PNG)
    image = {
        "bytes": PNG,
        "path": tmp_path / "dot.png",
        "part": {"type": "image_url", "image_url": {"url": tmp_path / "dot.png", "detail": "low"}},
        "below the project": {"type": "image_url", "image_url": "dot.png"},
    }[how]

    part = part_sent(image)

    assert part["image_url"]["url"] == DATA_URL
    assert part["image_url"].get("detail") == ("low" if how == "part" else None)


@pytest.mark.parametrize("how", ["bytes", "path", "web address", "data URL", "below the project"])
def test_parts_of_type_image_are_sent_in_the_openai_form(lab: Lab, tmp_path: Path, how: str) -> None:
    """As LLM-Engines documents them; what else the part says goes along."""
    (tmp_path / "dot.png").write_bytes(PNG)
    (lab.folder / "dot.png").write_bytes(PNG)
    image = {
        "bytes": PNG,
        "path": tmp_path / "dot.png",
        "web address": WEB,
        "data URL": DATA_URL,
        "below the project": "dot.png",
    }[how]

    part = part_sent({"type": "image", "image": image, "uuid": "7"})

    expected = WEB if how == "web address" else DATA_URL
    assert part == {"type": "image_url", "image_url": {"url": expected}, "uuid": "7"}


@pytest.mark.parametrize("form", ["alone", "image", "image_url"])
def test_pillow_images_are_sent_as_png(form: str) -> None:
    """By themselves, or in either form of a part; of the pixels none is lost."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture = pillow.new("RGB", (2, 1))
    picture.putpixel((1, 0), (9, 200, 77))
    image = {
        "alone": picture,
        "image": {"type": "image", "image": picture},
        "image_url": {"type": "image_url", "image_url": {"url": picture}},
    }[form]

    kind, _, data = part_sent(image)["image_url"]["url"].partition(",")

    (Path("sent.png")).write_bytes(base64.b64decode(data))
    with pillow.open("sent.png") as again:
        pixels = [again.getpixel((x, 0)) for x in (0, 1)]
    assert kind == "data:image/png;base64"
    assert pixels == [(0, 0, 0), (9, 200, 77)]


@pytest.mark.parametrize(
    "image", [PNG, {"type": "image", "image": WEB}, {"type": "image_url", "image_url": WEB}]
)
def test_images_for_an_engine_without_eyes_are_refused(image: Any) -> None:
    """In whatever form; the engines that take them are named."""
    with (
        fake() as llm,
        pytest.raises(ConfigError, match=r"engine fake takes no images\n    taken by: .*vllm"),
    ):
        llm.generate_sync([{"role": "user", "content": [image]}])


def test_part_that_holds_no_image_is_told() -> None:
    """With what can be one; nothing is sent."""
    with pytest.raises(InputError, match="input: an image is a path, an address, a data URL or bytes, not"):
        sent([{"role": "user", "content": [{"type": "image", "image": object()}]}])


@pytest.mark.parametrize(
    "image",
    [Path("pipe"), "pipe", Path("/dev/zero"), Path("~nobody_of_that_name/x"), Path("x" * 300), "a\0b"],
)
def test_image_that_is_no_regular_file_is_refused(lab: Lab, image: Any) -> None:
    """Whatever names it, and without waiting for anybody who might write it."""
    os.mkfifo(lab.folder / "pipe")
    message = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]}]

    with fake() as llm, pytest.raises(InputError, match="image"):
        llm.generate_sync(message)


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".sqlite", "a\0.sqlite", "~nobody_of_that_name/x.sqlite", "/dev/zero"]
)
def test_paths_of_an_llm_that_cannot_be_are_refused(name: str) -> None:
    """Before anything is looked up there."""
    with pytest.raises(UserError):
        fake(cache=name)
    with pytest.raises(UserError):
        fake(project=name)

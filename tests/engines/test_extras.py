"""The line that installs an extra takes this package from where it came, not another's of its name."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from runner.extras import pip_install

NAMED = "pip install 'llm-runner[vllm]'"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with a name that a shell and a URL have to quote."""
    folder = tmp_path / "a check out"
    folder.mkdir()
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with what an installer wrote of the package, the first on the path."""
    site = tmp_path / "site"
    written = site / "llm_runner-0.1.0.dist-info"
    written.mkdir(parents=True)
    (written / "METADATA").write_text("Metadata-Version: 2.4\nName: llm-runner\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(site))
    return written


def _came_from(installed: Path, url: str, **more: object) -> None:
    (installed / "direct_url.json").write_text(json.dumps({"url": url, **more}))


def test_extra_of_a_folder_is_installed_from_there(installed: Path, checkout: Path) -> None:
    """The words that a shell makes of the line are those for pip."""
    _came_from(installed, checkout.as_uri(), dir_info={})

    assert shlex.split(pip_install("vllm")) == ["pip", "install", f"{checkout}[vllm]"]


def test_editable_install_stays_one(installed: Path, checkout: Path) -> None:
    """The code stays that of the checkout."""
    _came_from(installed, checkout.as_uri(), dir_info={"editable": True})

    assert shlex.split(pip_install("vllm")) == ["pip", "install", "-e", f"{checkout}[vllm]"]


def test_without_its_folder_the_installed_package_is_named(installed: Path, checkout: Path) -> None:
    """For pip it is there already: it adds what the extra needs."""
    assert pip_install("vllm") == NAMED
    _came_from(installed, "file:///wheels/llm_runner-0.1.0-py3-none-any.whl", archive_info={})
    assert pip_install("vllm") == NAMED
    _came_from(installed, "https://host/runner.git", vcs_info={"vcs": "git", "commit_id": "0"})
    assert pip_install("vllm") == NAMED
    checkout.rmdir()
    _came_from(installed, checkout.as_uri(), dir_info={})
    assert pip_install("vllm") == NAMED

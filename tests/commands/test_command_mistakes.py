"""What users get wrong is told in a message, never in a traceback, and costs nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.commands.commands_kit import SUMS, Project
from tests.commands.conftest import MakeProject

HUGE = str(10**20)


def everything(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ("rows.jsonl", "Not a directory"),
        ("rows.jsonl/deep", "Not a directory"),
        ("/proc/runs", "No such file or directory"),
    ],
)
def test_runs_that_is_no_folder_is_told(project: MakeProject, runs: str, reason: str) -> None:
    """With the path and the reason; nothing is left behind."""
    made = project({})
    before = everything(made.root)

    outcome = made.ran("run", "sums.yaml", "--runs", runs, code=2)

    assert outcome.err.startswith(f"runner: the run's folder {made.root / runs}/sums/")
    assert reason in outcome.err
    assert everything(made.root) == before


def test_file_in_place_of_an_experiments_folder_is_told(project: MakeProject) -> None:
    """`runs/sums` would hold the runs of sums."""
    made = project({"runs/sums": "a file"})

    assert "can't be made: " in made.ran("run", "sums.yaml", code=2).err


def damaged(made: Project, *, whole: bool) -> Path:
    """Fill the cache, and overwrite it from its head or from its second page on."""
    made.ran("run", "sums.yaml")
    file = made.root / "runs" / ".cache.sqlite"
    data = file.read_bytes()
    kept = b"" if whole else data[:4096]
    file.write_bytes(kept + b"\xa5" * (len(data) - len(kept)))
    return file


@pytest.mark.parametrize("whole", [True, False], ids=["no-database", "malformed"])
@pytest.mark.parametrize(
    "command",
    [["run", "sums.yaml"], ["plan", "sums.yaml"], ["cache", "stats"], ["cache", "explain", "sums.yaml"]],
    ids=lambda command: "-".join(command[:2]),
)
def test_damaged_cache_is_named_with_what_helps(
    project: MakeProject, command: list[str], *, whole: bool
) -> None:
    """It may be moved away: every run keeps its own answers."""
    made = project({})
    file = damaged(made, whole=whole)

    outcome = made.ran(*command, code=2)

    assert outcome.err.startswith("runner: the cache ")
    assert f"{file.name} is damaged (" in outcome.err
    assert "move it away" in outcome.err


def test_run_after_the_damaged_cache_was_moved_away_starts_a_new_one(project: MakeProject) -> None:
    """The advice holds, and the refused run left no folder."""
    made = project({})
    file = damaged(made, whole=True)
    folders = list(file.parent.glob("sums/*"))
    made.ran("run", "sums.yaml", code=2)
    assert list(file.parent.glob("sums/*")) == folders

    file.unlink()
    made.ran("run", "sums.yaml")

    assert "6 responses" in made.ran("cache", "stats").out


@pytest.mark.parametrize("row", [HUGE, "9" * 5000])
def test_row_of_a_number_too_large_is_not_there(project: MakeProject, row: str) -> None:
    """As any other number beyond the last row."""
    outcome = project({}).ran("cache", "explain", "sums.yaml", "--row", row, code=2)

    assert f"the dataset has no row '{row}'" in outcome.err


def test_render_of_more_rows_than_there_can_be_shows_all(project: MakeProject) -> None:
    """A generous number is no mistake."""
    outcome = project({}).ran("render", "sums.yaml", "--rows", HUGE, "--json")

    assert [json.loads(line)["id"] for line in outcome.lines] == ["r0", "r1", "r2", "r3", "r4", "r5"]


def test_render_from_a_row_too_far_is_told(project: MakeProject) -> None:
    """Rows count from 0, and end."""
    outcome = project({}).ran("render", "sums.yaml", "--offset", HUGE, code=2)

    assert f"the dataset has no row number {HUGE}" in outcome.err


@pytest.mark.parametrize("shuffle", ["true", "false"])
def test_limit_beyond_all_rows_reads_all(project: MakeProject, shuffle: str) -> None:
    """The largest number there is, after an offset too."""
    largest = 2**63 - 1
    overrides = (f"dataset.limit={largest}", "dataset.offset=4", f"dataset.shuffle={shuffle}")

    assert len(project({}).ran("render", "sums.yaml", *overrides, "--json").lines) == 2


def test_secret_in_the_git_diff_is_masked_though_the_config_names_no_variable(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variable whose name says secret counts, in the diff and on the command line."""
    made = project({"notes.txt": "nothing\n"})
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", "-C", str(made.root)]
    for command in (["init", "-q"], ["add", "notes.txt"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    (made.root / "notes.txt").write_text("token: hf-very-secret-value\n")
    monkeypatch.setenv("HF_TOKEN", "hf-very-secret-value")

    made.ran("run", "sums.yaml")

    provenance = json.loads((made.last.path / "provenance.json").read_text())
    assert "+token: ***" in provenance["git"]["diff"]
    assert "hf-very-secret-value" not in json.dumps(provenance)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_prompt_that_fails_on_every_row_is_refused(project: MakeProject, command: str) -> None:
    """With what the first row says; nothing is started or written."""
    made = project({})
    prompt = 'prompt="{{ row.question.__class__.__mro__ }}"'

    outcome = made.ran(command, "sums.yaml", prompt, code=2)

    assert "dataset (sums.yaml:4): not one row of" in outcome.err
    assert "row r0: " in outcome.err
    assert not (made.root / "runs").exists()
    swept = (command, "sums.yaml", "-m", f'{prompt},"{{{{ row.question }}}}"')
    assert "dataset [prompt=" in made.ran(*swept, code=2).err
    assert made.run(*swept, "--skip-refused").code == 0


def test_one_row_that_can_be_rendered_is_enough(project: MakeProject) -> None:
    """The others end with an error of their own."""
    made = project({})

    made.ran("run", "sums.yaml", 'prompt="{{ 1 // (5 - (row.question | int)) }}"', code=3)


KEY = "sk-abc123456"


@pytest.mark.parametrize(
    "command",
    [("run",), ("plan",), ("plan", "--no-count"), ("plan", "--json"), ("render",), ("cache", "explain")],
)
def test_key_in_a_prompt_is_refused_by_all_that_would_show_it(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """In the same words."""
    monkeypatch.setenv("MY_API_KEY", KEY)
    made = project({
        "key.yaml": SUMS.replace("{{ row.question }}", "{{ row.question }} ${oc.env:MY_API_KEY}")
    })

    words, options = (
        [word for word in command if word[0] != "-"],
        [word for word in command if word[0] == "-"],
    )
    outcome = made.ran(*words, "key.yaml", *options, code=2)

    assert "resolved config: the value of MY_API_KEY would be written into the run folder" in outcome.err
    assert KEY not in outcome.out + outcome.err


def test_composed_config_is_shown_without_a_key(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it came there, and wherever a line of YAML would be broken."""
    monkeypatch.setenv("MY_API_KEY", f"{KEY} and more")
    monkeypatch.setenv("SERVICE", "plain-9876")
    prompt = "{{ row.question }} " + "very " * 13 + "${oc.env:MY_API_KEY}"
    server = "kind: openai_compatible, base_url: 'http://x/v1'"
    served = f"{server}, api_key_env: SERVICE, args: {{x: '${{oc.env:SERVICE}}'}}"
    made = project({"key.yaml": SUMS.replace("{{ row.question }}", prompt).replace("kind: fake", served)})

    shown = made.ran("plan", "key.yaml", "--cfg", "job", "--resolve").out

    assert shown.count("***") == 2
    assert "abc123456" not in shown
    assert "plain-9876" not in shown


def test_key_that_is_typed_by_itself_is_refused(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing names its variable: it would stand in overrides.txt and in every request."""
    monkeypatch.setenv("A_VENDORS_API_KEY", "sk-0123456789abcdef")
    made = project({})

    refused = made.ran("run", "sums.yaml", 'prompt="sk-0123456789abcdef {{ row.question }}"', code=2)

    assert "the value of A_VENDORS_API_KEY would be written into the run folder" in refused.err
    assert "sk-0123456789abcdef" not in refused.out + refused.err
    assert not (made.root / "runs").exists()

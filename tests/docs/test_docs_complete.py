"""Nothing of the product is left out of the documentation, and nothing in it leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli import COMMANDS
from runner.config import compose, json_schema
from runner.config.keys import GROUPS
from runner.plan import Plan, make_plan
from runner.prepare import specify
from runner.questions import OpenPoint, Question
from runner.shipped import shipped
from runner.values import Json
from tests.docs.docs_kit import IDS, PAGES, ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MODELINE = re.compile(r"^# yaml-language-server: \$schema=([^#\s]+)(?:#/\$defs/(\w+))?$", re.MULTILINE)
EXPERIMENTS = sorted((shipped() / "experiments").glob("*.yaml"))
OPTIONS = sorted((shipped() / "conf").glob("*/*.yaml"))
TEMPLATES = sorted(path.parent for path in (shipped() / "templates").glob("*/user.j2"))
NEEDED = {"openai_compatible": ["engine.base_url=http://localhost:8000/v1", "model.name=served"]}
README_LINES = 110


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(prose)}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link inside the project names a file that is there, and a heading that it has."""
    inner = [link for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    for link in inner:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page

        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_page_installs_by_a_name_that_is_anothers(page: Path) -> None:
    """On the package index `llm-runner` is a stranger's: what is to be installed is a checkout."""
    assert "llm-runner[" not in page.read_text()
    assert "pip install llm-runner" not in page.read_text()


def test_readme_fits_a_screen_and_a_half() -> None:
    """The README defers to docs/ rather than grow."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_readme_shows_the_shipped_experiment() -> None:
    """The experiment in the README is the file that ``make run`` runs."""
    assert (ROOT / "experiments" / "addition.yaml").read_text() in (ROOT / "README.md").read_text()


def test_every_command_is_documented() -> None:
    """Each command has a section in docs/commands.md."""
    headings = HEADING.findall((ROOT / "docs" / "commands.md").read_text())

    assert {f"runner {name}" for name in COMMANDS} <= set(headings)


def test_every_page_is_linked_from_the_readme() -> None:
    """No page of docs/ can be found only by looking into the folder."""
    linked = set(LINK.findall((ROOT / "README.md").read_text()))

    assert {_name(page) for page in PAGES if page.parent == ROOT / "docs"} <= linked


def test_every_config_key_is_documented() -> None:
    """Each key of the schema stands in a table of docs/configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    schema = json_schema()
    del schema["properties"]["hydra"]["properties"]  # they are listed by their dotted keys
    keys = {"hydra", *(key for key in _keys(schema) if "." not in key or key.startswith("hydra."))}

    assert len(keys) > 60
    assert {key for key in keys if f"| `{key}` |" not in text} == set()


def test_every_module_has_its_layer_in_the_docs() -> None:
    """What the package holds at its top is what docs/architecture.md lists as layers."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    layers = set(re.findall(r"\w+", text.partition("## Layers")[2].split("```")[1]))
    modules = {path.stem for path in (ROOT / "runner").glob("[a-z]*") if path.suffix in {"", ".py"}}

    assert modules <= layers


def _keys(schema: Json) -> Iterator[str]:
    """Yield the names of all properties of a schema, its definitions included."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keys(item)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _keys(value)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_shipped_experiment_plans_and_renders(file: Path) -> None:
    """Each shipped experiment can run as it is, and its template renders for the first row."""
    plan = make_plan(compose(file))

    assert plan.points
    assert _first_question(plan).request.input


def _first_question(plan: Plan) -> Question:
    """Return the first question of a plan's first point, ready to be sent."""
    point = OpenPoint(specify(plan)[0].points[0], Path())
    question = next(iter(point.questions(next(iter(point.rows())), range(1))))
    question.prepare()
    return question


@pytest.mark.parametrize("folder", TEMPLATES, ids=lambda folder: folder.name)
def test_shipped_template_renders(folder: Path) -> None:
    """Each shipped template renders for the first row of the shipped dataset."""
    plan = make_plan(compose("addition", [f"prompt={folder.name}"]))
    sent = _first_question(plan).request.input

    assert [message["role"] for message in sent if isinstance(message, dict)][-1] == "user"
    assert "{{" not in str(sent)


@pytest.mark.parametrize("file", OPTIONS, ids=_name)
def test_shipped_option_plans(file: Path) -> None:
    """Each shipped option can be chosen in the shipped experiment; only a missing GPU may stop it."""
    group, name = file.parent.name, file.stem
    choice = f"[{name}]" if group == "scorers" else name
    engine = ["engine=fake"] if group == "topology" else []

    assert make_plan(compose("addition", [f"{group}={choice}", *engine, *NEEDED.get(name, [])])).points


@pytest.mark.parametrize("file", [*EXPERIMENTS, *OPTIONS], ids=_name)
def test_modeline_names_the_schema(file: Path) -> None:
    """Editors find docs/schema.json from each shipped YAML, and in it what the file is."""
    modeline = MODELINE.search(file.read_text())

    assert modeline is not None
    assert (file.parent / modeline[1]).resolve() == ROOT / "docs" / "schema.json"
    assert modeline[2] == (file.parent.name if file.parent.name in GROUPS else None)
    assert modeline[2] is None or modeline[2] in json_schema()["$defs"]

"""What no experiment means is refused before it is built, and the limit is named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runner import LLM
from runner.config.limits import MOST_DEPTH, MOST_POINTS, MOST_TEXT, MOST_VALUES
from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project

SECONDS = 2.0
"""Until a refusal must be there; measured in time of this process, so that others can't delay it."""


@contextmanager
def soon() -> Iterator[None]:
    """Check that what is done takes no longer than a refusal may."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SECONDS


def _laughs(levels: int, first: str = "[lol, lol, lol, lol, lol, lol, lol, lol, lol]") -> str:
    lines = [f"x0: &x0 {first}"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("levels", [6, 9, 40])
def test_aliases_of_aliases_are_refused(project: Project, levels: int) -> None:
    """However few lines they take."""
    file = project.file(BASE + _laughs(levels))
    with soon():
        assert f"more than {MOST_VALUES:,} values" in project.refused(file=file)


@pytest.mark.parametrize("where", ["conf/sampling/bomb.yaml", "experiments/under.yaml"])
def test_aliases_are_counted_in_every_file(project: Project, where: str) -> None:
    """In an option, in what is extended, and in a file of Hydra's defaults list."""
    project.write(where, _laughs(9))
    under = project.file("extends: under\n" + BASE) if "under" in where else None
    with soon():
        told = project.refused(file=under) if under is not None else project.refused("sampling=bomb")
    assert f"{where}:" in told
    assert f"{MOST_VALUES:,}" in told


def test_aliases_are_counted_where_hydra_reads(project: Project) -> None:
    """Hydra's own reader sees no file that ours hasn't read."""
    project.write("conf/sampling/bomb.yaml", _laughs(9))
    with soon():
        told = project.refused(file=project.file("defaults:\n  - /sampling: bomb\n  - _self_\n" + BASE))
    assert f"{MOST_VALUES:,}" in told


def test_merges_of_merges_are_read_once(project: Project) -> None:
    """A map that is merged in many ways is the same map."""
    lines = ["x0: &x0 {temperature: 1}"]
    lines += [f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 60)]
    with soon():
        told = project.refused(file=project.file(BASE + "\n".join(lines) + "\n"))
    assert "x59 (experiments/case.yaml:" in told


def test_merged_keys_count_as_in_yaml(project: Project) -> None:
    """What is written in a map wins over what it merges, and of several the first."""
    file = project.file(
        "model: small\nprompt: hi there\ndataset: data/sums.jsonl\n"
        "sampling:\n"
        "  passthrough:\n"
        "    a: &a {x: 1, y: 1, z: 1}\n"
        "    b: &b {y: 2, w: 2}\n"
        "    c: {<<: [*a, *b], z: 3}\n"
        "    d: {z: 4, <<: *b}\n"
    )
    passed = project.one(file=file).sampling.passthrough

    assert passed is not None
    assert passed["c"] == {"x": 1, "y": 1, "z": 3, "w": 2}
    assert passed["d"] == {"z": 4, "y": 2, "w": 2}


@pytest.mark.parametrize("text", ["x: &a [*a]", "x: &a {b: *a}", "x: &a {<<: *a}", "x: &a {<<: [1, 2]}"])
def test_alias_of_itself_is_refused(project: Project, text: str) -> None:
    """As an item, a value, or what is merged."""
    assert "itself" in project.refused(file=project.file(BASE + text + "\n"))


def test_long_text_is_not_repeated_without_end(project: Project) -> None:
    """A list of aliases of a long text counts by what it comes to."""
    items = ", ".join(["*long"] * 1000)
    file = project.file(BASE + f"x: &long {'a' * 100_000}\ny: [{items}]\n")
    with soon():
        assert f"more than {MOST_TEXT:,} characters" in project.refused(file=file)


@pytest.mark.parametrize("size", [MOST_DEPTH + 1, 5000, 200_000])
@pytest.mark.parametrize("form", ["flow", "items"])
def test_deep_nesting_is_refused(project: Project, size: int, form: str) -> None:
    """Before it exhausts the stack."""
    text = "[" * size + "]" * size if form == "flow" else "\n  " + "- " * size + "a"
    with soon():
        told = project.refused(file=project.file(BASE + f"x: {text}\n"))
    assert f"more than {MOST_DEPTH} lists and maps" in told or "nesting" in told


def test_large_file_of_small_values_is_refused(project: Project) -> None:
    """Values count without aliases, too; what is below the limit is read."""
    inside = ", ".join(["1"] * 40_000)
    project.one(file=project.file(BASE + f"sampling.passthrough: {{x: [{inside}]}}\n"))
    beyond = ", ".join(["1"] * (2 * MOST_VALUES + 1))

    assert f"{MOST_VALUES:,}" in project.refused(file=project.file(BASE + f"x: [{beyond}]\n"))


@pytest.mark.parametrize(
    "value", ["9" * 5000, "!!int abc", "!!float abc", "!!timestamp 2020-01-01", "!!binary aGk="]
)
def test_scalar_that_is_no_json_is_refused(project: Project, value: str) -> None:
    """With its line."""
    told = project.refused(file=project.file(BASE + f"samples: {value}\n"))

    assert told.startswith("samples (experiments/case.yaml:")
    assert len(told) < 300


def _axes(count: int) -> str:
    values = ", ".join(map(str, range(1, count + 1)))
    keys = ("sampling.max_tokens", "sampling.top_k", "sampling.seed")
    return "sweep:\n" + "".join(f"  {key}: [{values}]\n" for key in keys)


def test_sweep_of_millions_is_refused(project: Project) -> None:
    """The message has how many points, of which axes, and the limit."""
    with soon():
        told = project.refused(file=project.file(BASE + _axes(300)))
    assert "27,000,000 points" in told
    assert "sampling.top_k (300)" in told
    assert f"{MOST_POINTS:,}" in told


@pytest.mark.parametrize(
    "given",
    [
        ["sampling.seed=range(1,30000000)"],
        ["sampling.seed=range(0,1e12)"],
        ["sampling.seed=range(30000000,1,-1)"],
        ["sampling.seed=shuffle(range(1,30000000))"],
        ["sampling.temperature=range(0,1,1e-9)"],
        ["sampling.seed=range(0,1000)", "sampling.top_k=range(1,1000)"],
    ],
)
def test_range_of_millions_is_refused(project: Project, given: list[str]) -> None:
    """Before a single value of it is made."""
    with soon():
        told = project.refused(*given, multirun=True)
    assert f"at most {MOST_POINTS:,}" in told


def test_vast_numbers_are_not_written_out(project: Project) -> None:
    """A range of 1e300 values is told in one short line."""
    told = project.refused("sampling.temperature=range(0,1,1e-300)", multirun=True)

    assert len(told) < 300


@pytest.mark.parametrize(
    "value", ["choice(choice(1,2),3)", "1,choice(2,3)", "[choice(1,2)]", "{a: range(3)}"]
)
def test_sweep_within_a_value_is_refused(project: Project, value: str) -> None:
    """The grammar reads it, but it stands for nothing."""
    told = project.refused(f"sampling.seed={value}", multirun=True)

    assert "sampling.seed" in told
    assert "one choice()" in told


def test_ranges_keep_their_values(project: Project) -> None:
    """Down, in fractions, and with an end that no step meets."""
    seeds = project.axes("sampling.seed=range(10,1,-3)", multirun=True)
    heats = project.axes("sampling.temperature=range(0,1,0.3)", multirun=True)

    assert seeds == [[10], [7], [4]]
    assert [[float(str(value)) for value in one] for one in heats] == [[0.0], [0.3], [0.6], [0.9]]


@pytest.mark.parametrize("size", [MOST_DEPTH + 2, 3000])
def test_deep_override_is_refused(project: Project, size: int) -> None:
    """Lists and maps alike."""
    for value in ("[" * size + "]" * size, "{a:" * size + "1" + "}" * size):
        assert "within each other" in project.refused(f"sampling.passthrough={value}")


def _references(count: int, each: int) -> str:
    lines = ["    r0: lol"] + [f"    r{n}: '{f'${{.r{n - 1}}}' * each}'" for n in range(1, count)]
    return BASE + "  passthrough:\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(("count", "each"), [(6, 9), (10, 9), (40, 2), (300, 1), (5000, 1)])
def test_references_to_references_are_refused(project: Project, count: int, each: int) -> None:
    """They grow as aliases do, and a long chain of them exhausts the stack."""
    with soon():
        assert "references" in project.refused(file=project.file(_references(count, each)))


def test_references_of_a_size_that_is_meant_are_resolved(project: Project) -> None:
    """Up, down, into lists, and to whole maps."""
    file = project.file(
        BASE
        + "  passthrough: {a: x, b: '${.a}${sampling.temperature}', c: ['${..b}', 2], d: '${.c[0]}',\n"
        + "    e: '${.f}', f: {g: '${..a}'}}\n"
    )
    passed = project.one(file=file).sampling.passthrough

    assert passed == {"a": "x", "b": "x0", "c": ["x0", 2], "d": "x0", "e": {"g": "x"}, "f": {"g": "x"}}
    assert project.one(file=project.file(_references(50, 1))).sampling.passthrough["r49"] == "lol"  # type: ignore[index]


def test_circle_of_references_is_told(project: Project) -> None:
    """By what OmegaConf finds."""
    file = project.file(BASE + "  passthrough: {a: '${.b}', b: '${.a}'}\n")

    assert "can't be resolved" in project.refused(file=file)


@pytest.mark.usefixtures("project")
def test_deep_argument_of_python_is_refused() -> None:
    """One that holds itself, too."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ConfigError, match="within each other"):
        LLM("fake:none", sampling={"passthrough": {"x": endless}})

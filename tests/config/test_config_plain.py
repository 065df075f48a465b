"""Files with a `defaults:` list are Hydra's, and the command line still wins."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from runner.config.overrides import parse_overrides
from runner.config.plain import Composer
from runner.config.reader import Reader
from runner.places import Places
from tests.config.config_kit import Project

PLAIN = """\
defaults:
  - /model: small
  - /sampling: greedy
  - _self_
sampling: {top_p: 0.5}
prompt: qa
dataset: data/sums.jsonl
"""

TREE = {
    "top.yaml": (
        "defaults:\n  - base\n  - store: disk\n  - store@backup: tape\n  - net: fast\n"
        "  - optional extra: none\n"
        "  - _self_\nname: top\nnumbers: [1, 2, 3]\nnested: {a: {b: {c: 1}}, text: hello}\n"
        "link: ${store.path}/${name}\nsum: ${nested.a.b.c}\n"
    ),
    "base.yaml": "name: base\nlevel: 1\nflag: false\nnothing: null\n",
    "store/disk.yaml": "defaults:\n  - common\n  - cache: small\n  - _self_\nkind: disk\npath: /disk\n",
    "store/tape.yaml": "defaults:\n  - common\nkind: tape\npath: /tape\nslots: {first: 1}\n",
    "store/common.yaml": "owner: us\nsize: 10\n",
    "store/cache/small.yaml": "entries: 10\n",
    "store/cache/large.yaml": "entries: 1000\nlimits: [1, 2]\n",
    "net/fast.yaml": "# @package _global_\nrate: 100\nnetwork: {name: fast, owner: '${store.owner}'}\n",
    "net/slow.yaml": "# @package wire.slow\nrate: 1\n",
    "extra/more.yaml": "x: 1\n",
}
CHOICES = [
    "store=tape",
    "store=disk",
    "store@backup=disk",
    "net=slow",
    "extra=more",
    "+net@second=fast",
    "+extra@spare=more",
    "~net",
    "~store@backup",
    "store/cache=large",
]
VALUES = [
    "name=changed",
    "level=2.5",
    "flag=true",
    "numbers=[4,5]",
    "numbers=[]",
    "nested.a.b.c=7",
    "nested.a={b: {d: 2}}",
    "nested={text: bye}",
    "+nested.a.new=1",
    "++nested.a.b.c=8",
    "++fresh.deep.key=[1,{a: b}]",
    "+added={k: v, l: [1, 2]}",
    "+plain=1",
    "~level",
    "~nested.text",
    "~numbers",
    "nothing=1",
    "sum=${level}",
    "store.size=11",
    "++store.size=12",
    "+store.more={a: 1}",
    "store.path='/with space'",
    "backup.size=null",
    "name=${store.owner}",
]


def menu(rng: random.Random) -> list[str]:
    """Return a choice of groups, at most one for each."""
    groups: dict[str, str] = {}
    for one in rng.sample(CHOICES, rng.randint(0, 3)):
        groups.setdefault(one.lstrip("+~").split("=", maxsplit=1)[0], one)
    return list(groups.values())


def hydras(overrides: list[str]) -> Any:
    """Return Hydra's own config, or None where it refuses the overrides."""
    from hydra.errors import HydraException

    try:
        return OmegaConf.to_container(hydra_compose("top", overrides), resolve=False)
    except HydraException:
        return None


def test_composition_equals_hydras_on_random_overrides(tmp_path: Path) -> None:
    """Composed once for each choice of groups, then merged, the config is what Hydra makes."""
    for name, text in TREE.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    reader = Reader(Places.of(tmp_path / "conf" / "top.yaml"))
    composer = Composer(reader.read(tmp_path / "conf" / "top.yaml"), reader)
    rng = random.Random(7)
    menus = [menu(rng) for _ in range(24)]
    compared = 0

    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        while compared < 200:
            overrides = [*rng.choice(menus), *rng.sample(VALUES, rng.randint(0, 6))]
            rng.shuffle(overrides)
            expected = hydras(overrides)
            if expected is not None:
                changes = parse_overrides(overrides, reader.options)
                assert composer.compose(changes) == expected, overrides
                compared += 1


def test_file_composes_by_its_defaults_list(project: Project) -> None:
    """Options first, then the body over them, as in Hydra."""
    experiment = project.one(file=project.file(PLAIN))

    assert experiment.model.name == "org/small"
    assert experiment.sampling.given() == {"temperature": 0, "max_tokens": 8, "top_p": 0.5}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sampling=hot", {"temperature": 2}),
        ("++sampling=hot", {"temperature": 2}),
        ("sampling={top_k: 3}", {"top_k": 3}),
        ("sampling.top_k=3", {"temperature": 0, "max_tokens": 8, "top_p": 0.5, "top_k": 3}),
        ("~sampling.top_p", {"temperature": 0, "max_tokens": 8}),
        ("sampling=null", {}),
    ],
)
def test_command_line_wins_over_the_body(project: Project, override: str, expected: dict[str, Any]) -> None:
    """A choice on the command line replaces the body's whole value."""
    assert project.one(override, file=project.file(PLAIN)).sampling.given() == expected


def test_group_that_the_file_does_not_choose_from_can_be_chosen(project: Project) -> None:
    """Hydra would ask for a plus sign."""
    assert project.one("cluster=inline", file=project.file(PLAIN)).cluster.kind == "inline"


def test_shorthands_work_on_a_plain_file(project: Project) -> None:
    """A name that is no option is read as in any other file."""
    experiment = project.one(
        "model=fake:other", "prompt='Say hi'", "scorers=[numeric]", file=project.file(PLAIN)
    )

    assert (experiment.model.name, experiment.engine.kind) == ("other", "fake")
    assert experiment.prompt.user == "Say hi"
    assert list(experiment.scorers) == ["numeric"]


def test_yaml_that_hydra_composes_is_read_as_meant(project: Project) -> None:
    """YAML 1.2's scalars hold in options too."""
    project.write("conf/cluster/big.yaml", "kind: slurm\ntime: 4:00:00\nsbatch: {comment: Yes}\n")
    file = project.file(PLAIN.replace("  - _self_", "  - /cluster: big\n  - _self_"))

    cluster = project.one(file=file).cluster.model_dump()

    assert (cluster["time"], cluster["sbatch"]) == ("4:00:00", {"comment": "Yes"})


def test_options_read_by_hydra_are_sources(project: Project) -> None:
    """Everything that Hydra read is known."""
    names = {path.name for path in project.composed("sampling=warm", file=project.file(PLAIN)).sources}

    assert {"case.yaml", "small.yaml", "warm.yaml", "greedy.yaml"} <= names


def test_notes_of_a_plain_file_tell_what_was_replaced(project: Project) -> None:
    """The command line's changes are told."""
    notes = project.notes("sampling.top_p=1", file=project.file(PLAIN))

    assert notes == ("sampling.top_p: 1 (command line) replaces 0.5",)


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        (PLAIN, "model=smal", "smal is neither an option"),
        (PLAIN, "+sampling.top_p=1", "An item is already at 'sampling.top_p'"),
        (PLAIN, "~nothing", "nothing"),
        (
            PLAIN,
            "sampling.temprature=1",
            "sampling.temprature (command line): unknown key\n    did you mean temperature?",
        ),
        (PLAIN.replace("small", "smal"), "samples=1", "Could not find 'model/smal'"),
        (
            PLAIN.replace("top_p: 0.5", "top_p: 5"),
            "samples=1",
            "sampling.top_p (experiments/case.yaml:5): 5 given",
        ),
        (PLAIN + "extends: base\n", "samples=1", "can't extend another"),
        ("defaults: {model: small}\n", "samples=1", "defaults must be a list"),
        ("defaults: [case]\n", "samples=1", "circle"),
    ],
)
def test_fault_of_a_plain_file_is_one_message(
    project: Project, text: str, override: str, message: str
) -> None:
    """What Hydra or the schema refuses is told like any other fault."""
    assert message in project.refused(override, file=project.file(text))


def test_keys_given_with_a_models_kind_replace_the_engine_of_the_body(project: Project) -> None:
    """As in any other file."""
    file = project.file(PLAIN + "engine: {kind: vllm, base_url: 'http://x/v1', args: {seed: 1}}\n")

    engine = project.one("model=openai_compatible:foo", "engine.base_url=http://y/v1", file=file).engine

    assert (engine.kind, engine.model_dump(exclude_defaults=True)) == (
        "openai_compatible",
        {"base_url": "http://y/v1"},
    )

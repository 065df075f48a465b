from __future__ import annotations

from tests.commands.conftest import MakeProject

ENGINES = {
    "conf/engine/parrot.yaml": "kind: fake\n",
    "conf/engine/twin.yaml": "kind: fake\nconcurrency: 2\ntemplate: '{{ last }}{# another key #}'\n",
    "conf/engine/odd.yaml": 'kind: fake\ntemplate: \'{{ last if last != "4" else "four five" }}\'\n',
}


def test_engines_that_agree_on_every_row_exit_0(project: MakeProject) -> None:
    """The table names the pair, how many answers are the same, and by what they were compared."""
    outcome = project(ENGINES).ran("parity", "sums.yaml", "--engines", "parrot,twin")

    assert outcome.lines[-1].split() == ["parrot", "~", "twin", "6/6", "token", "-"]


def test_first_divergence_is_shown_and_exits_1(project: MakeProject) -> None:
    """The row, the place and both tokens; the third engine is compared with each of the others."""
    outcome = project(ENGINES).ran("parity", "sums.yaml", "--engines", "parrot,twin,odd", "--verbose", code=1)

    assert sum("5/6" in line for line in outcome.lines) == 2
    assert sum("6/6" in line for line in outcome.lines) == 1
    assert "parrot ~ odd  r4, token 0: '4' / 'four'" in outcome.out


def test_parity_again_asks_nothing(project: MakeProject) -> None:
    """It is a run like any other: its answers are cached."""
    made = project(ENGINES)
    made.ran("parity", "sums.yaml", "--engines", "parrot,twin")

    outcome = made.ran("parity", "sums.yaml", "--engines", "parrot,twin")

    assert "100 % cached, 0 requests" in outcome.out


def test_one_engine_is_no_pair(project: MakeProject) -> None:
    """Nothing is run."""
    made = project(ENGINES)
    outcome = made.ran("parity", "sums.yaml", "--engines", "parrot", code=2)

    assert "--engines takes two or more engines, each once; given: parrot" in outcome.err
    assert not (made.root / "runs").exists()

from __future__ import annotations

from runner.parity import PARITY_FILE
from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo

PARROT = "engine: {kind: fake}\n"

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


def test_engine_that_is_spared_is_compared_by_text(project: MakeProject) -> None:
    """The others are still compared token by token; who is silent is said."""
    words = ["--engines", "parrot,twin,odd", "--no-logprobs", "odd"]

    outcome = project(ENGINES).ran("parity", "sums.yaml", *words, code=1)

    pairs = {line.split("  ")[0]: line for line in outcome.lines[-4:-1]}
    assert pairs["parrot ~ twin"].split()[3:] == ["6/6", "token", "-"]
    assert " text " in pairs["parrot ~ odd"]
    assert "r4, character 0: '4' / 'f'" in pairs["parrot ~ odd"]
    assert outcome.lines[-1] == "no log probabilities, so that gaps are unknown: odd"


def test_engine_is_spared_in_an_experiment_that_hydra_composes(project: MakeProject) -> None:
    """Each engine is an option of the file's own groups there."""
    file = {"sums.yaml": "defaults:\n  - engine: parrot\n  - _self_\n" + SUMS.replace(PARROT, "")}
    words = ["--engines", "parrot,odd", "--no-logprobs", "odd"]

    outcome = project(ENGINES | file).ran("parity", "sums.yaml", *words, code=1)

    assert "r4, character 0: '4' / 'f'" in outcome.lines[-2]


def test_engine_that_is_spared_is_one_of_those_compared(project: MakeProject) -> None:
    """A name misspelled would have it asked all the same."""
    words = ["--engines", "parrot,twin", "--no-logprobs", "twins"]

    outcome = project(ENGINES).ran("parity", "sums.yaml", *words, code=2)

    assert "--no-logprobs: there is no such engine in --engines 'twins'; did you mean twin?" in outcome.err


def test_one_engine_is_no_pair(project: MakeProject) -> None:
    """Nothing is run."""
    made = project(ENGINES)
    outcome = made.ran("parity", "sums.yaml", "--engines", "parrot", code=2)

    assert "--engines takes two or more engines, each once; given: parrot" in outcome.err
    assert not (made.root / "runs").exists()


def test_status_shows_the_agreement_again(project: MakeProject) -> None:
    """Nothing is asked for it, and the run's other files stay as they are."""
    made = project(ENGINES)
    compared = made.ran("parity", "sums.yaml", "--engines", "parrot,odd", code=1)
    before = (made.last.path / PARITY_FILE).stat().st_mtime_ns

    outcome = made.ran("status")

    assert outcome.lines[-2:] == compared.lines[-2:]
    assert (made.last.path / PARITY_FILE).stat().st_mtime_ns == before


def test_resumed_run_is_compared_anew(project: MakeProject) -> None:
    """What was missing counts once it is there, in whichever command shows the run."""
    made = project(ENGINES)
    busy = {"5"}
    echo = Echo(lambda text: (500, "busy") if text in busy else None)
    with HttpServer({CHAT: echo}) as server:
        map_ = f"{{kind: openai_compatible, base_url: '{server.url('/v1')}', max_attempts: 1}}"
        words = ["--engines", f"parrot,{map_}", "--no-logprobs", "openai_compatible"]
        first = made.ran("parity", "sums.yaml", *words, code=3)
        busy.clear()
        resumed = made.ran("resume")

    assert "5/5, 1 only in one" in first.out
    assert "6/6" in resumed.lines[-2]
    assert made.ran("status").lines[-2:] == resumed.lines[-2:]


def test_run_that_compares_nothing_shows_no_agreement(project: MakeProject) -> None:
    """Only parity compares."""
    made = project(ENGINES)
    made.ran("run", "sums.yaml", "-m", "engine=parrot,odd")

    assert "compared by" not in made.ran("status").out


def test_damaged_agreement_is_told_with_what_helps(project: MakeProject) -> None:
    """The answers are there all the same."""
    made = project(ENGINES)
    made.ran("parity", "sums.yaml", "--engines", "parrot,twin")
    (made.last.path / PARITY_FILE).write_text("{")

    outcome = made.ran("status", code=2)

    assert f"{PARITY_FILE} is damaged" in outcome.err
    assert "what is answered is not asked anew" in outcome.err

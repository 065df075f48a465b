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


def test_unknown_gap_is_explained(project: MakeProject) -> None:
    """Whether the other's token is none of the likeliest, as with the fake, or an answer has ended there."""
    words = ["--engines", "parrot,odd,twin,short"]
    short = {"conf/engine/short.yaml": 'kind: fake\ntemplate: \'{{ last if last != "3" else "" }}\'\n'}

    outcome = project(ENGINES | short).ran("parity", "sums.yaml", *words, code=1)

    assert outcome.lines[-2:] == [
        "the other's token is not among the likeliest told, so that gaps are unknown: parrot; odd; twin",
        "one answer ends there, so that gaps are unknown: parrot; short; odd; twin",
    ]


def test_gaps_of_all_that_differ_are_explained(project: MakeProject) -> None:
    """In what --verbose shows, too."""
    both = "{{ {'1': 'one', '4': ''}.get(last, last) }}"
    files = {"conf/engine/both.yaml": f'kind: fake\ntemplate: "{both}"\n'}
    words = ["--engines", "parrot,both"]

    brief = project(ENGINES | files).ran("parity", "sums.yaml", *words, code=1)
    whole = project(ENGINES | files).ran("parity", "sums.yaml", *words, "--verbose", code=1)

    assert "one answer ends there" not in brief.out
    assert whole.lines[-1] == "one answer ends there, so that gaps are unknown: parrot; both"


def test_engines_that_are_maps_have_short_names(project: MakeProject) -> None:
    """Their kind, and as much as sets them apart from others of it; the table of results has them whole."""
    odd = "concurrency: 2, template: '{{ last if last != \"4\" else 5 }}'"
    maps = ["{kind: fake, concurrency: 2}", f"{{kind: fake, {odd}, seed: 3}}"]

    alone = project(ENGINES).ran("parity", "sums.yaml", "--engines", f"parrot,{maps[0]}")
    three = project(ENGINES).ran("parity", "sums.yaml", "--engines", f"fake,{','.join(maps)}", code=1)

    assert alone.lines[-1].startswith("parrot ~ fake  6/6")
    pairs = [line.split("  ")[0] for line in three.lines if " ~ " in line]
    second, third = "fake (concurrency=2)", 'fake (concurrency=2, template={{ last if last != "4" else 5 }})'
    assert pairs == [f"fake ~ {second}", f"fake ~ {third}", f"{second} ~ {third}"]
    assert sum('{"concurrency":2,"kind":"fake"}' in line for line in three.lines) == 1


def test_notes_name_what_of_the_command_replaces_a_value(project: MakeProject) -> None:
    """Nobody typed the temperature that is 0 here."""
    file = {"sums.yaml": SUMS.replace("temperature: 0", "temperature: 0.7, logprobs: false")}

    outcome = project(ENGINES | file).ran("parity", "sums.yaml", "samples=1", "--engines", "parrot,twin")

    assert "  sampling.temperature: 0 (runner parity) replaces 0.7 (sums.yaml:5)" in outcome.lines
    assert "  sampling.logprobs: true (runner parity) replaces false (sums.yaml:5)" in outcome.lines
    assert "engine: parrot (--engines) replaces {kind: fake} (sums.yaml:2)" in outcome.out
    assert "(command line)" not in outcome.out


def test_notes_name_it_where_engines_are_spared_and_where_hydra_composes(project: MakeProject) -> None:
    """What was typed is still told from what the command gives."""
    file = {"sums.yaml": "defaults:\n  - engine: parrot\n  - _self_\n" + SUMS.replace(PARROT, "")}
    words = ["--engines", "twin,odd", "--no-logprobs", "odd", "sampling.temperature=0.5"]

    plain = project(ENGINES).ran("parity", "sums.yaml", *words, code=1)
    hydra = project(ENGINES | file).ran("parity", "sums.yaml", *words, code=1)

    assert "engine: twin (--engines) replaces {kind: fake} (sums.yaml:2)" in plain.out
    assert "sampling.temperature: 0.5 (command line) replaces 0 (" in plain.out
    assert "sampling.temperature: 0 (runner parity) replaces 0.5 (command line)" in plain.out
    assert "sampling.temperature: 0.5 (command line) replaces 0\n" in hydra.out


def test_sweep_of_what_the_command_gives_is_refused_with_who_gives_it(project: MakeProject) -> None:
    """Nobody typed the temperature, or the engine, a second time."""
    made = project(ENGINES)
    words = ["parity", "sums.yaml", "--engines", "parrot,twin"]

    drawn = made.ran(*words, "sampling.temperature=0,1", code=2).err
    again = made.ran(*words, "engine=odd", code=2).err

    twice = "given twice, and one is a sweep"
    assert f"sampling.temperature (command line, runner parity): {twice}" in drawn
    assert f"engine (command line, --engines): {twice}" in again


def test_engine_without_another_to_compare_it_with_is_no_pair_either(project: MakeProject) -> None:
    """Neither where the plan refuses the others, nor where their server isn't there: nothing is run."""
    made = project(ENGINES)
    unset = "{kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1', api_key_env: NO_SUCH_KEY_HERE}"
    absent = "{kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'}"
    for other, why in ((unset, "NO_SUCH_KEY_HERE"), (absent, "there is no server at http://127.0.0.1:9/v1")):
        words = ["--engines", f"parrot,{other}", "--skip-refused", "--no-logprobs", "openai_compatible"]

        outcome = made.ran("parity", "sums.yaml", *words, code=2)

        assert "parity compares two or more engines, and only parrot is left:" in outcome.err
        assert why in outcome.err
    assert not (made.root / "runs").exists()


def test_engines_that_are_left_are_compared(project: MakeProject) -> None:
    """Two are enough."""
    absent = "{kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'}"
    words = ["--engines", f"parrot,twin,{absent}", "--skip-refused", "--no-logprobs", "openai_compatible"]

    outcome = project(ENGINES).ran("parity", "sums.yaml", *words)

    assert any(line.startswith("parrot ~ twin  6/6") for line in outcome.lines)


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

    pairs = {line.split("  ")[0]: line for line in outcome.lines[-5:-2]}
    assert pairs["parrot ~ twin"].split()[3:] == ["6/6", "token", "-"]
    assert " text " in pairs["parrot ~ odd"]
    assert "r4, character 0: '4' / 'f'" in pairs["parrot ~ odd"]
    assert outcome.lines[-2:] == [
        "no log probabilities, so that gaps are unknown: odd",
        "the other's token is not among the likeliest told, so that gaps are unknown: parrot; twin",
    ]


def test_engine_is_spared_in_an_experiment_that_hydra_composes(project: MakeProject) -> None:
    """Each engine is an option of the file's own groups there."""
    file = {"sums.yaml": "defaults:\n  - engine: parrot\n  - _self_\n" + SUMS.replace(PARROT, "")}
    words = ["--engines", "parrot,odd", "--no-logprobs", "odd"]

    outcome = project(ENGINES | file).ran("parity", "sums.yaml", *words, code=1)

    assert "r4, character 0: '4' / 'f'" in outcome.lines[-3]


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

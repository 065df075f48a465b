from __future__ import annotations

import json

import pytest

from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject

TURNS = """\
model: {name: parrot}
engine: {kind: fake}
dataset: {path: rows.jsonl, target: "{{ row.answer }}"}
prompt:
  turns:
    - user: "{{ row.question }}"
    - generate: first
    - user: "You said: {{ first }}."
    - generate: {as: second, max_tokens: 2}
sampling: {max_tokens: 5}
scorers: [exact_match]
"""


def test_plan_writes_nothing(project: MakeProject) -> None:
    """A plan leaves no folder of runs behind."""
    made = project({})

    outcome = made.ran("plan", "sums.yaml")

    assert "nothing was run; to run it: runner run sums.yaml" in outcome.lines
    assert not (made.root / "runs").exists()


def test_plan_says_how_it_guesses_prompt_tokens(project: MakeProject) -> None:
    """Where no tokenizer is at hand, a figure that says about says of what."""
    outcome = project({}).ran("plan", "sums.yaml")

    assert "About: four bytes of the texts count as a token, and the chat template as none." in outcome.lines


def test_plan_counts_requests_with_a_bias(project: MakeProject) -> None:
    """Tokens are numbers in a file, and text in the keys that a plan looks up, as in those of a run."""
    biased = SUMS.replace("kind: fake", "kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'")
    made = project({"biased.yaml": biased.replace("{temperature: 0}", "{logit_bias: {5: 1, 10: 2.5}}")})

    outcome = made.ran("plan", "biased.yaml", "--json")

    assert outcome.json["counts"]["total"]["requests"] == 6
    assert outcome.json["points"][0]["sampling"]["logit_bias"] == {"5": 1.0, "10": 2.5}


def test_plan_of_a_sweep_shows_each_point_and_the_sampling_they_share(project: MakeProject) -> None:
    """Values that all points share stand once, those that differ stand by point."""
    outcome = project({}).ran(
        "plan", "sums.yaml", "-m", "sampling.temperature=0,1", "sampling.max_tokens=4", "--no-count"
    )

    assert "sums  2 points, 1 job  sums.yaml" in outcome.lines
    assert "sampling  max_tokens=4" in outcome.lines
    assert [line.split() for line in outcome.lines if line.startswith(("0 ", "1 "))] == [
        ["0", "0"],
        ["1", "1"],
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sampling.n=2"], True),
        (["sampling.n='{{ row.answer }}'"], True),
        (["sampling.n=1"], False),
        (["samples=2"], False),
    ],
    ids=["n", "by row", "one", "samples"],
)
def test_plan_says_that_one_choice_of_several_is_scored(
    project: MakeProject, words: list[str], told: bool
) -> None:
    """Nothing else would tell that the others are in no result."""
    outcome = project({}).ran("plan", "sums.yaml", *words, "--verbose")

    note = "  sampling.n: results.jsonl and scorers see the first of n choices, "
    assert any(line.startswith(note) for line in outcome.lines) is told


def test_plan_says_that_of_a_turns_choices_too(project: MakeProject) -> None:
    """A slot may ask for several by itself."""
    outcome = project({"turns.yaml": TURNS}).ran("plan", "turns.yaml", "prompt.turns.3.generate.n=2")

    assert any(line.startswith("  sampling.n: results.jsonl") for line in outcome.lines)


def test_plan_says_what_was_replaced(project: MakeProject) -> None:
    """A note names the value, where it was written, and what it replaces."""
    outcome = project({}).ran("plan", "sums.yaml", "sampling.temperature=1", "--no-count")

    assert "sampling.temperature: 1 (command line) replaces 0 (sums.yaml:5)" in outcome.out


def test_plan_counts_what_the_cache_holds(project: MakeProject) -> None:
    """After a run of four rows, a plan of six asks two."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=4")

    counts = made.ran("plan", "sums.yaml", "--json").json["counts"]["total"]

    assert (counts["rows"], counts["hits"], counts["requests"]) == (6, 4, 2)


def test_plan_names_jobs_that_have_nothing_to_ask(project: MakeProject) -> None:
    """A job whose answers are all stored is not started, and the plan says so."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert "0-parrot: not started, there is nothing to ask" in made.ran("plan", "sums.yaml").lines


def test_plan_bounds_the_tokens_of_a_conversation(project: MakeProject) -> None:
    """Two slots a row count as two requests at most, each of at most what its own slot may give."""
    outcome = project({"turns.yaml": TURNS}).ran("plan", "turns.yaml", "--json")

    counts = outcome.json["counts"]["points"][0]
    assert (counts["requests"], counts["completion_tokens_at_most"]) == (12, 6 * (5 + 2))
    assert outcome.json["points"][0]["slots"] == {"first": {}, "second": {"max_tokens": 2}}


def test_plan_bounds_only_the_slots_that_are_still_to_be_asked(project: MakeProject) -> None:
    """Of a conversation whose first answers are stored the second ones are left, of an equal request none."""
    rows = "".join(f'{{"question": "{number % 2}", "answer": "1"}}\n' for number in range(4))
    made = project({"turns.yaml": TURNS, "rows.jsonl": rows})
    first = made.ran("plan", "turns.yaml", "--json").json["counts"]["total"]
    made.ran("run", "turns.yaml", "dataset.limit=1")

    then = made.ran("plan", "turns.yaml", "sampling.n=3", "prompt.turns.3.generate.n=1", "--json")
    again = made.ran("plan", "turns.yaml", "--json").json["counts"]["total"]

    assert (first["shared"], first["completion_tokens_at_most"]) == (2, 2 * 5 + 4 * 2)
    assert then.json["counts"]["total"]["completion_tokens_at_most"] == 2 * 15 + 4 * 2
    assert (again["hits"], again["completion_tokens_at_most"]) == (4, 5 + 2 * 2)


def test_plan_bounds_tokens_by_what_each_row_says(project: MakeProject) -> None:
    """A row fills its own max_tokens, for a later slot too, where no answer is needed for that."""
    rows = "".join(f'{{"question": "{number}", "answer": "1", "most": {number}}}\n' for number in (1, 2, 3))
    made = project({"turns.yaml": TURNS.replace("max_tokens: 2", 'max_tokens: "{{ row.most * 10 }}"')})
    (made.root / "rows.jsonl").write_text(rows)

    total = made.ran("plan", "turns.yaml", "--json").json["counts"]["total"]

    assert total["completion_tokens_at_most"] == 3 * 5 + 10 + 20 + 30


def test_plan_says_what_is_known_where_an_answer_bounds_the_next(project: MakeProject) -> None:
    """Tokens that depend on an answer have no limit yet; those of the other slots have theirs."""
    made = project({"turns.yaml": TURNS.replace("max_tokens: 2", 'max_tokens: "{{ first | length }}"')})

    outcome = made.ran("plan", "turns.yaml")

    assert next(line for line in outcome.lines if line.startswith("0 ")).endswith("no limit")
    assert (
        "6 requests have no max_tokens, or one that an earlier answer fills in; "
        "the others come to at most 30 completion tokens."
    ) in outcome.lines


def test_plan_counts_rows_that_cannot_be_rendered(project: MakeProject) -> None:
    """A column that only some rows have shows in the counts, before anything is sent."""
    rows = '{"question": "1", "answer": "1", "hint": "x"}\n{"question": "2", "answer": "2"}\n'
    made = project({"rows.jsonl": rows})

    outcome = made.ran("plan", "sums.yaml", 'prompt="{{ row.hint }}"', "--json")

    assert outcome.json["counts"]["total"]["unrenderable"] == 1


def test_plan_counts_rows_without_their_target(project: MakeProject) -> None:
    """A row that no scorer could judge shows in the counts, not among the requests."""
    made = project({"rows.jsonl": '{"question": "1", "answer": "1"}\n{"question": "2"}\n'})

    total = made.ran("plan", "sums.yaml", "--json").json["counts"]["total"]

    assert (total["unrenderable"], total["requests"]) == (1, 1)


def test_plan_lists_refused_points(project: MakeProject) -> None:
    """With --skip-refused the points that can't run are listed with their faults."""
    outcome = project({}).ran(
        "plan", "sums.yaml", "-m", "topology.replicas=1,2", "--skip-refused", "--no-count"
    )

    assert "refused: topology.replicas=2" in outcome.lines
    assert (
        "topology.replicas [topology.replicas=2] (command line): more than one replica is not built yet"
        in outcome.out
    )


def test_fault_of_all_points_is_told_once(project: MakeProject) -> None:
    """What only some have is told with their values."""
    words = ["-m", "sampling.top_p=0.1,0.5,0.9", "sampling.top_logprobs=2"]
    outcome = project({}).ran("plan", "sums.yaml", *words, code=2)

    assert outcome.err.count("needs logprobs") == 1
    assert "top_p" not in outcome.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("sampling.top_p=1,-1", "sampling.seed=1,2"),
            "sampling.top_p [sampling.top_p=-1, sampling.seed=1 and 1 more] ",
        ),
        (
            ("engine.template='{{ last }}','{{ lst }}'", "sampling.seed=1,2"),
            "engine.template [engine.template='{{ lst }}', sampling.seed=1 and 1 more] ",
        ),
    ],
)
def test_faults_of_the_config_and_of_the_plan_name_their_points_alike(
    project: MakeProject, words: tuple[str, ...], told: str
) -> None:
    """Behind the key, with the values of the first point's axes and how many others there are."""
    outcome = project({}).ran("plan", "sums.yaml", "-m", *words, code=2)

    assert f"runner: {told}" in outcome.err
    assert outcome.err.count(" and 1 more]") == 1


def test_faults_of_the_config_and_of_the_plan_come_together(project: MakeProject) -> None:
    """Though each is that of another point."""
    swept = ("sampling.top_p=1,-1", "dataset.target='{{ row.answer }}','{{ row.answer | foo }}'")
    outcome = project({}).ran("plan", "sums.yaml", "-m", *swept, code=2)

    assert "sampling.top_p [sampling.top_p=-1, " in outcome.err
    assert "-1 given" in outcome.err
    assert outcome.err.count("template dataset.target:1: ") == 1


def test_faulty_sweep_is_told_instead_of_the_config(project: MakeProject) -> None:
    """It can't be shown."""
    made = project({"swept.yaml": SUMS + "sweep: {samples: 3}\n"})

    assert (
        "sweep.samples (swept.yaml:8): 3 given" in made.ran("run", "swept.yaml", "--cfg", "job", code=2).err
    )


def test_plan_of_many_points_stays_short(project: MakeProject) -> None:
    """Of forty points, twenty are shown."""
    temperatures = ",".join(str(n / 100) for n in range(40))

    outcome = project({}).ran("plan", "sums.yaml", "-m", f"sampling.temperature={temperatures}", "--no-count")

    assert "... and 20 more points" in outcome.lines


def test_cfg_job_prints_the_composed_config(project: MakeProject) -> None:
    """The config is printed as YAML that holds the overrides, and nothing is run."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "sampling.temperature=0.5", "--cfg", "job")

    assert "  temperature: 0.5" in outcome.lines
    assert not (made.root / "runs").exists()


@pytest.mark.parametrize(
    ("flags", "shown"), [([], "top_p: ${sampling.temperature}"), (["--resolve"], "top_p: 1")]
)
def test_resolve_replaces_interpolations(project: MakeProject, flags: list[str], shown: str) -> None:
    """Interpolations are shown as written, or with --resolve as what they come to."""
    outcome = project({}).ran(
        "plan",
        "sums.yaml",
        "sampling.temperature=1",
        "sampling.top_p=${sampling.temperature}",
        "--cfg",
        "job",
        *flags,
    )

    assert shown in outcome.out


def test_info_defaults_names_the_layers(project: MakeProject) -> None:
    """What was laid over what is listed in order, the command line last."""
    outcome = project({}).ran("plan", "sums.yaml", "sampling=greedy", "--info", "defaults")

    assert [line.split()[:2] for line in outcome.lines[1:3]] == [["1", "sums.yaml"], ["2", "command"]]
    assert "conf/sampling/greedy.yaml" in outcome.out


def test_plan_json_is_one_object(project: MakeProject) -> None:
    """The machine's form names jobs, points and totals."""
    shown = json.loads(project({}).ran("plan", "sums.yaml", "--json").out)

    assert set(shown) == {"name", "file", "jobs", "points", "refused", "counts"}
    assert shown["jobs"][0]["engine"] == "fake"


@pytest.mark.parametrize("words", ["sampling.temperature=0,-1", 'prompt="{{row.question}}","{{row.nope}}"'])
def test_skip_refused_passes_over_whatever_is_wrong_with_a_point(project: MakeProject, words: str) -> None:
    """A value that is none, or a column that the rows haven't: the rest is planned, counted and run."""
    made = project({})

    planned = made.ran("plan", "sums.yaml", "-m", words, "--skip-refused", "--json").json
    ran = made.ran("run", "sums.yaml", "-m", words, "--skip-refused")

    assert [point["index"] for point in planned["points"]] == [0]
    assert [len(refused["faults"]) for refused in planned["refused"]] == [1]
    assert planned["counts"]["total"]["rows"] == 6
    assert sum("  refused: " in line for line in ran.lines) == 1


def test_plan_says_that_sampling_is_set_by_the_points(project: MakeProject) -> None:
    """Where no value is shared, that doesn't leave them to the engine."""
    made = project({"bare.yaml": SUMS.replace("sampling: {temperature: 0}\n", "")})

    swept = made.ran("plan", "bare.yaml", "-m", "sampling.temperature=0,1", "--no-count").lines
    single = made.ran("plan", "bare.yaml", "--no-count").lines

    assert "sampling  by point, as below" in swept
    assert "sampling  nothing is set: the engine decides" in single


@pytest.mark.parametrize(
    ("cluster", "gpus"),
    [
        ("gpus: 2", "2"),
        ("gres: 'gpu:2'", "2"),
        ("gres: 'gpu:h100:4'", "4"),
        ("gres: 'gpu:h100'", "1"),
        ("gres: 'lustre:1,gpu:1g.5gb:3'", "3"),
        ("gres: 'mps:50'", "mps:50"),
        ("gres: 'gpu:tesla:1(S:0,1),gpu:a100:2(IDX:0-1)'", "3"),
        ("gres: 'lustre:1', gpus: 8", "8"),
        ("time: 30", "0"),
    ],
)
def test_plan_shows_the_gpus_that_slurm_is_asked_for(project: MakeProject, cluster: str, gpus: str) -> None:
    """Whichever key asks for them."""
    lines = project({}).ran("plan", "sums.yaml", f"cluster={{kind: slurm, {cluster}}}", "--no-count").lines

    assert next(line for line in lines if line.startswith("0-parrot")).split()[-2:] == [gpus, "1"]


def test_plan_refuses_what_slurm_can_not_be_told(project: MakeProject) -> None:
    """Two keys that ask for GPUs, and a word that is text where a flag stands alone; comments are free."""
    told = (
        "{kind: slurm, gpus: 2, gres: 'gpu:h100:2', sbatch: {exclusive: yes, comment: yes, spread-job: true}}"
    )

    refused = project({}).ran("plan", "sums.yaml", f"cluster={told}", code=2).err

    assert refused.splitlines() == [
        "runner: cluster.gpus (command line): gres asks for GPUs too: gpu:h100:2",
        "    leave one of them out",
        "cluster.sbatch.exclusive (command line): yes is text here: sbatch would be given --exclusive=yes",
        "    write true for the bare flag, false to leave it out",
    ]

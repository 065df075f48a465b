"""runner show prints single results, from the run folder alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer, answers
from tests.work.embedding_server import Embeddings
from tests.work.test_work_values import classify

CHAT = "/v1/chat/completions"
TURNS = (
    "[{system: Be brief}, {user: '{{ row.question }}'}, {generate: one}, "
    "{user: 'Sure? {{ row.hint }}'}, {generate: two}]"
)
RICH: dict[str, Any] = {
    "choices": [
        {
            "index": index,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": text, "reasoning_content": "hm, let me see"},
            "logprobs": {
                "content": [
                    {"token": text, "logprob": -0.25, "top_logprobs": [{"token": text, "logprob": -0.25}]}
                ]
            },
        }
        for index, text in enumerate(("yes", "no"))
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 2},
}


def heads(outcome: Outcome) -> list[str]:
    return [line for line in outcome.lines if line.startswith("row ")]


def shown(outcome: Outcome, label: str) -> list[str]:
    """Return what stands behind a label, for each result."""
    return [
        line.strip().removeprefix(f"{label}: ")
        for line in outcome.lines
        if line.strip().startswith(f"{label}: ")
    ]


def test_first_results_of_the_newest_run(project: MakeProject) -> None:
    """Prompt with its role, answer, target and score; five rows, and how to see more."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("show")

    assert heads(outcome) == [f"row r{number}" for number in range(5)]
    assert shown(outcome, "user") == shown(outcome, "answer") == ["0", "1", "2", "3", "4"]
    assert shown(outcome, "target") == ["0", "1", "2", "0", "1"]
    assert shown(outcome, "exact_match") == ["1", "1", "1", "0", "0"]
    assert shown(outcome, "finish") == ["stop"] * 5
    assert shown(outcome, "usage")[0] == "1 prompt + 1 completion tokens"
    assert len(shown(outcome, "latency")) == 5
    assert outcome.lines[-1].endswith(f"more: runner show {made.last.name} -n 50")
    assert heads(made.ran(*outcome.lines[-1].partition("runner ")[2].split()))[-1] == "row r5"


@pytest.mark.parametrize("where", ["sums/last", "runs/sums/last", "RUN", "last"])
def test_wrong_results_of_a_run_however_it_is_named(project: MakeProject, where: str) -> None:
    """Those that a scorer gave less than 1."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("show", where.replace("RUN", made.last.name), "--wrong", "-n", "2")

    assert heads(outcome) == ["row r3", "row r4"]
    assert outcome.lines[-1].endswith("--wrong -n 20")


def test_row_is_shown_in_every_point_and_sample(project: MakeProject) -> None:
    """--id takes no limit of its own; a point leaves the others out."""
    made = project({})
    made.ran("run", "sums.yaml", "-m", "sampling.temperature=0,1", "samples=2")

    every = made.ran("show", "--id", "r3")
    one = made.ran("show", "last", "1", "--id", "r3")
    same = made.ran("show", f"{made.last.name}/1-sampling.temperature=1", "--id", "r3", "-n", "1")

    assert heads(every) == [
        f"row r3{sample}  point {point}"
        for point in ("0-sampling.temperature=0", "1-sampling.temperature=1")
        for sample in ("", "  sample 1")
    ]
    assert heads(one) == ["row r3", "row r3  sample 1"]
    assert made.ran("show", f"{made.last.name}/1", "-n", "1").lines[-1].endswith(" 1 -n 10")
    assert heads(same) == ["row r3"]


def test_errors_show_the_prompt_that_was_refused(project: MakeProject) -> None:
    """No response is stored, so it is rendered anew; class, message and whether it is final follow."""
    made = project({})
    made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=0.5", code=3)

    outcome = made.ran("show", "--errors")

    lines = [json.loads(line) for line in (made.last.point("0") / "results.jsonl").read_text().splitlines()]
    failed = [line["id"] for line in lines if "error" in line]
    assert heads(outcome) == [f"row {row}" for row in failed]
    assert shown(outcome, "user") == [row.removeprefix("r") for row in failed]
    assert all(
        text.startswith("ContextLengthError: ") and text.endswith("(final)")
        for text in shown(outcome, "error")
    )


def test_missing_rows_say_that_a_resume_requests_them(project: MakeProject) -> None:
    """And rows that nothing is known of yet are shown with their prompt alone."""
    made = project({})
    made.ran(
        "run",
        "sums.yaml",
        "engine.error=server_error",
        "engine.error_rate=1",
        "engine.max_attempts=2",
        "dataset.limit=3",
        code=3,
    )
    errors = made.ran("show", "--errors")
    assert all(text.endswith("(a resume requests it again)") for text in shown(errors, "error"))

    made.prepare()
    waiting = made.ran("show", "--id", "r4")

    assert (heads(waiting), shown(waiting, "user"), shown(waiting, "result")) == (
        ["row r4"],
        ["4"],
        ["none yet"],
    )
    assert "no results yet" in made.ran("show").out


def test_conversation_is_shown_once_with_its_slots(project: MakeProject) -> None:
    """Answers of earlier slots stand where they were given, under the slot's name."""
    rows = '{"id": "a", "question": "1", "answer": "1", "hint": "x"}\n'
    made = project({"rows.jsonl": rows + '{"id": "b", "question": "2", "answer": "2"}\n'})
    made.ran("run", "sums.yaml", f"prompt={{turns: {TURNS}}}", code=3)

    outcome = made.ran("show", "--id", "a")
    broken = made.ran("show", "--id", "b")

    labels = [line.strip().partition(": ")[::2] for line in outcome.lines[3:8]]
    assert labels == [
        ("system", "Be brief"),
        ("user", "1"),
        ("one", "1"),
        ("user", "Sure? x"),
        ("two", "Sure? x"),
    ]
    assert shown(broken, "one") == ["2"]
    assert "RenderError" in shown(broken, "error")[0]


def test_choices_reasoning_and_log_probabilities_are_reachable(project: MakeProject) -> None:
    """All n choices are shown; log probabilities on demand, and everything as JSON."""
    made = project({})
    with HttpServer({CHAT: answers(json.dumps(RICH).encode())}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        sampling = "sampling={n: 2, logprobs: true, top_logprobs: 1, temperature: 1}"
        made.ran("run", "sums.yaml", engine, sampling, "dataset.limit=1")

    plain, tokens = made.ran("show"), made.ran("show", "--logprobs")
    (line,) = (json.loads(text) for text in made.ran("show", "--json").lines)

    assert shown(plain, "answer 1 of 2") == ["yes"]
    assert shown(plain, "answer 2 of 2") == ["no"]
    assert shown(plain, "answer 1 of 2, reasoning") == ["hm, let me see"]
    assert shown(plain, "finish") == ["length"]
    assert "log probabilities" not in plain.out
    assert "'yes' -0.2500  of 'yes' -0.2500" in tokens.out
    assert "'no' -0.2500  of 'no' -0.2500" in tokens.out
    assert [choice["text"] for choice in line["responses"]["answer"]["choices"]] == ["yes", "no"]
    assert line["responses"]["answer"]["choices"][1]["logprobs"][0]["logprob"] == -0.25
    assert line["requests"]["answer"]["input"] == [{"role": "user", "content": "0"}]
    assert (line["id"], line["point"], line["state"]) == ("r0", "0", "ok")


def test_images_are_placeholders(project: MakeProject) -> None:
    """Never the image's bytes."""
    pixel = "data:image/png;base64,iVBORw0KGgo="
    row = {
        "id": "a",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is it?"},
                    {"type": "image_url", "image_url": {"url": pixel}},
                ],
            }
        ],
    }
    made = project({"rows.jsonl": json.dumps(row) + "\n"})
    with HttpServer({CHAT: answers(json.dumps(RICH).encode())}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        made.ran(
            "run", "sums.yaml", engine, "prompt={messages: messages}", "scorers=[]", "dataset.target=null"
        )

    outcome = made.ran("show")

    assert "what is it?" in outcome.out
    assert "[image data:image/png;base64,sha256:" in outcome.out
    assert "iVBORw0KGgo" not in outcome.out


def test_cached_results_say_whose_times_they_show(project: MakeProject) -> None:
    """An earlier run's, or those of an equal request."""
    rows = '{"id": "a", "question": "1", "answer": "1"}\n{"id": "b", "question": "1", "answer": "1"}\n'
    made = project({"rows.jsonl": rows})
    made.ran("run", "sums.yaml")
    first = shown(made.ran("show"), "source")
    made.ran("run", "sums.yaml")
    second = shown(made.ran("show"), "source")

    assert [text.partition(":")[0] for text in first] == ["shared"]
    assert [text.partition(":")[0] for text in second] == ["cached", "cached"]


def test_long_texts_are_shortened_unless_all_is_wanted(project: MakeProject) -> None:
    """Beginning and end stay, and it is said how much is left out; no line is lost in --full and --json."""
    text = "start " + "x" * 5000 + " end"
    made = project({"rows.jsonl": json.dumps({"id": "a", "question": text, "answer": "1"}) + "\n"})
    made.ran("run", "sums.yaml")

    short, full = made.ran("show"), made.ran("show", "--full")

    (user,) = shown(short, "user")
    assert user.startswith("start x")
    assert user.endswith("x end")
    assert "characters left out: --full" in user
    assert len(user) < 2000
    assert shown(full, "user") == [text]
    assert text in made.ran("show", "--json").out


def test_changed_rows_are_not_rendered(project: MakeProject) -> None:
    """A copy that was damaged since is named; what was sent is shown all the same, since it is stored."""
    made = project({})
    made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=0.5", code=3)
    (copy,) = (made.last.path / "inputs").iterdir()
    copy.write_text(copy.read_text().replace('"question": "', '"question": "9'))

    outcome = made.ran("show", "-n", "6")

    errors = len(shown(outcome, "error"))
    assert len(shown(outcome, "prompt")) == errors > 0
    assert all(copy.name in text and "damaged" in text for text in shown(outcome, "prompt"))
    assert len(shown(outcome, "user")) == 6 - errors


@pytest.mark.parametrize(
    "order", ["dataset.shuffle=true", "dataset.offset=2", "dataset.shard={index: 1, count: 2}"]
)
@pytest.mark.parametrize("ids", [True, False])
def test_rendered_anew_is_the_row_that_failed(project: MakeProject, order: str, ids: bool) -> None:
    """In whatever order rows were read, and whether a column or a hash names them."""
    rows = [
        {"question": f"q{number}", "answer": "1"} | ({"id": f"r{number}"} if ids else {})
        for number in range(8)
    ]
    made = project({"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    made.ran("run", "sums.yaml", order, "engine.error=context_length", "engine.error_rate=1", code=3)

    outcome = made.ran("show", "--errors", "-n", "9", "--json")

    lines = [json.loads(line) for line in outcome.lines]
    assert len(lines) > 2
    for line in lines:
        assert line["prompt"] == [{"role": "user", "content": line["row"]["question"]}]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["show", "nothing"], "no run 'nothing'"),
        (["show", "last", "7"], "there is no point"),
        (["show", "--id", "r33"], "did you mean r3?"),
        (["show", "-n", "0"], "-n takes a number from 1"),
        (["show", "last", "--wrnog"], "did you mean --wrong?"),
        (["show", "last", "0", "x"], "show takes no x"),
    ],
)
def test_mistake_gets_one_message(project: MakeProject, argv: list[str], message: str) -> None:
    """As every command tells them: exit code 2, on standard error."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran(*argv, code=2)

    assert message in outcome.err
    assert outcome.out == ""


def test_run_without_scorers_has_no_wrong_results(project: MakeProject) -> None:
    """That is the user's mistake, and not an empty list."""
    made = project({})
    made.ran("run", "sums.yaml", "scorers=[]")

    assert "has no scorers" in made.ran("show", "--wrong", code=2).err
    assert "no result has an error" in made.ran("show", "--errors").out


def test_folder_that_may_only_be_read_is_shown(project: MakeProject, tmp_path: Path) -> None:
    """A copy elsewhere, named by its path, needs neither engine nor dataset."""
    made = project({})
    made.ran("run", "sums.yaml")
    moved = tmp_path / "archive"
    shutil.move(made.last.path, moved)
    (made.root / "rows.jsonl").unlink()

    assert len(heads(made.ran("show", str(moved), "-n", "9"))) == 6


def test_run_of_an_earlier_version_is_shown(project: MakeProject) -> None:
    """Its lines know nothing of usage, times and columns."""
    made = project({})
    made.ran("run", "sums.yaml")
    strip_lines(made)

    outcome = made.ran("show", "-n", "9")

    assert len(shown(outcome, "answer")) == 6
    assert shown(outcome, "usage") == []
    made.ran("rescore", "last", "scorers=[numeric]")
    made.ran("status")


def strip_lines(made: Project) -> None:
    """Make of the newest run what a version without these fields would have left."""
    new = ("usage", "latency", "retries", "cached", "sources", "row")
    folder = made.last.path
    for log in folder.glob("jobs/*/*/records.jsonl"):
        records = [json.loads(line) for line in log.read_text().splitlines()]
        for record in records:
            record.pop("crc", None)
            for name in new:
                record["result"]["line"].pop(name, None)
        log.write_text("".join(json.dumps(record) + "\n" for record in records))
    shutil.rmtree(made.last.point("0"))


def test_answers_that_are_numbers_are_shown(project: MakeProject) -> None:
    """Of a vector the first numbers, and all of them as JSON; of a class its value."""
    made = project({})
    with HttpServer({"/v1/embeddings": Embeddings(), "/classify": classify}) as server:
        engine = f"engine={{kind: vllm, base_url: '{server.url('/v1')}'}}"
        words = ("run", "sums.yaml", engine, "sampling={}", "dataset.limit=1")
        made.ran(*words, "task=embed", "scorers=[]")
        vectors, (line,) = made.ran("show"), made.ran("show", "--json").lines
        made.ran(*words, "task=classify", "dataset.target=short")
        classes = made.ran("show")

    assert shown(vectors, "prompt") == ["0"]
    assert shown(vectors, "answer")[0].startswith("8 numbers: 0.")
    assert len(json.loads(line)["responses"]["answer"]["embeddings"][0]) == 8
    assert json.loads(shown(classes, "answer")[0]) == {"label": "short", "probs": [1.0, 0.0]}
    assert shown(classes, "exact_match") == ["1 (extracted 'short')"]


def test_secrets_are_masked_in_what_is_rendered_anew(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are in what was recorded."""
    made = project({"rows.jsonl": '{"id": "a", "question": "it is hunter2-hunter2", "answer": "1"}\n'})
    made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=1", code=3)
    monkeypatch.setenv("LAB_TOKEN", "hunter2-hunter2")

    outcome = made.ran("show", "--json")

    assert json.loads(outcome.out)["prompt"][0]["content"].startswith("it is ")
    assert "hunter2" not in outcome.out

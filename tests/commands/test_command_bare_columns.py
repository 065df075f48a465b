"""A column's name where a template is expected, and a template where a column's name is expected."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import MakeProject

ROW = {"id": "r0", "question": "1", "answer": "1", "odd name": "1", "A": "x", "image": "x.png"}
FILES = {"rows.jsonl": json.dumps(ROW) + "\n" + json.dumps(ROW | {"id": "r1"}) + "\n"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("answer", "{{ row.answer }}"),
        (" answer\n", "{{ row.answer }}"),
        ("odd name", "{{ row['odd name'] }}"),
        ("row.answer", "{{ row.answer }}"),
        ("row['odd name']", "{{ row['odd name'] }}"),
        ("{answer}", "{{ row.answer }}"),
        ("{row.answer}", "{{ row.answer }}"),
    ],
)
def test_target_that_names_a_column_is_refused(project: MakeProject, written: str, meant: str) -> None:
    """Every row would be compared with the column's name: the message tells the line and what to write."""
    made = project(FILES)
    text = (made.root / "sums.yaml").read_text().replace('"{{ row.answer }}"', json.dumps(written))
    (made.root / "sums.yaml").write_text(text)

    for command in ("run", "plan"):
        err = made.ran(command, "sums.yaml", code=2).err
        assert "dataset.target (sums.yaml:4): " in err, err
        assert repr(written.strip()) in err
        assert f'write "{meant}"' in err
    assert not (made.root / "runs").exists()


def test_target_of_a_scorer_that_names_a_column_is_refused(project: MakeProject) -> None:
    """In a run as when its answers are scored anew, each of them at its own place."""
    made = project(FILES)
    scorers = "scorers={one: {kind: exact_match, target: answer}, two: {kind: numeric, target: answer}}"

    err = made.ran("run", "sums.yaml", scorers, code=2).err
    assert "scorers.one.target (command line): 'answer' is text" in err
    assert "scorers.two.target (command line): 'answer' is text" in err
    made.ran("run", "sums.yaml")
    assert (
        "dataset.target: 'answer' is text" in made.ran("rescore", "last", "dataset.target=answer", code=2).err
    )


@pytest.mark.parametrize("target", ["0", "sum", "Answer", "the answer", "{{ 'answer' }}", ""])
def test_target_that_is_no_column_is_a_text(project: MakeProject, target: str) -> None:
    """All rows may have the same target; the message of a refusal says how a column's name is one."""
    made = project(FILES)

    made.ran("run", "sums.yaml", f"dataset.target={json.dumps(target)}")

    (line, _) = (made.last.point("0") / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["scores"]["exact_match"].get("target") == target.removeprefix(
        "{{ '"
    ).removesuffix("' }}")


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ("{user: question}", "prompt.user"),
        ("{system: question, user: '{{ row.answer }}'}", "prompt.system"),
        ("{turns: [{user: question}]}", "prompt.turns.0.user"),
        ("{user: '{{ row.question }}', images: image}", "prompt.images"),
    ],
)
def test_prompt_that_names_a_column_is_refused(project: MakeProject, prompt: str, place: str) -> None:
    """The model would be sent the column's name, in whichever part of the prompt it stands."""
    made = project(FILES)
    engine = ("engine={kind: vllm, base_url: 'http://localhost:1/v1'}", "cluster=local")

    err = made.ran("plan", "sums.yaml", f"prompt={prompt}", *engine, code=2).err

    assert f"{place} (command line): " in err
    assert "is text that all rows would share, not the column" in err


@pytest.mark.parametrize(
    ("task", "prompt", "place"),
    [
        ("score", "{pair: ['{{ row.question }}', answer]}", "prompt.pair.1"),
        ("rerank", "{query: question, documents: '{{ row.l }}'}", "prompt.query"),
        ("rerank", "{query: '{{ row.question }}', documents: l}", "prompt.documents"),
        ("loglikelihood", "{context: question, continuations: [A, l]}", "prompt.context"),
        ("embed", "{user: question}", "prompt.user"),
    ],
)
def test_texts_of_a_task_that_name_a_column_are_refused(
    project: MakeProject, task: str, prompt: str, place: str
) -> None:
    """But those of a list: A, B, C and D are continuations as well as columns of many datasets."""
    made = project({"rows.jsonl": json.dumps({**ROW, "l": ["a", "b"]}) + "\n"})
    base = "engine={kind: vllm, base_url: 'http://localhost:1/v1'}"

    err = made.ran(
        "plan", "sums.yaml", f"task={task}", f"prompt={prompt}", base, "scorers=null", "sampling=null", code=2
    ).err

    assert f"{place} (command line): " in err
    assert "continuations" not in err


def test_template_file_that_is_a_column_is_refused(project: MakeProject) -> None:
    """The message names the file."""
    made = project({**FILES, "templates/bare/user.j2": "question\n"})

    err = made.ran("run", "sums.yaml", "prompt=bare", code=2).err

    assert "prompt.template (command line): template bare/user.j2: 'question' is text" in err


@pytest.mark.parametrize(
    ("override", "place", "name"),
    [
        ("dataset.id='{{ row.id }}'", "dataset.id", "id"),
        ("dataset.id=\"{{ row['odd name'] }}\"", "dataset.id", "odd name"),
        ("prompt={messages: '{{row.question}}'}", "prompt.messages", "question"),
    ],
)
def test_template_where_a_column_is_named_is_refused(
    project: MakeProject, override: str, place: str, name: str
) -> None:
    """These keys hold the name alone."""
    err = project(FILES).ran("plan", "sums.yaml", override, code=2).err

    assert f"{place} (command line): " in err
    assert f"is a template, where the name of a column is expected: write {name}" in err


def test_prompt_of_one_word_may_be_meant_as_a_column(project: MakeProject) -> None:
    """One word is a template folder's name; where there is none, the message says how a column is written."""
    err = project(FILES).ran("plan", "sums.yaml", "prompt=question", code=2).err

    assert "question is neither a folder of" in err
    assert 'if it is a column, write "{{ row.question }}"' in err

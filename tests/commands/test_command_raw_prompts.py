"""What is written is what is sent, white space and all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject

HEAD = """\
model: {name: served}
engine: {kind: vllm, base_url: "http://localhost:1/v1"}
dataset: {path: rows.jsonl, limit: 1}
"""
ROW = json.dumps({"id": "r0", "q": "1+1", "n": 2, "end": "#", "t": "0.5", "i": [1, 2]}) + "\n"


def sent(made: Project, text: str, field: str = "input") -> Any:
    """Return a part of the request that an experiment with this *text* sends."""
    limit = "sampling.max_tokens: 8\n" if "task: complete" in text else ""
    (made.root / "raw.yaml").write_text(HEAD + limit + text)
    return made.ran("render", "raw.yaml", "--json").json["request"][field]


RAW = "\n  Q: {{ row.q }}\n  {% if row.n %}\n  many\n  {% endif %}\n\n"
SENT = "\n  Q: 1+1\n  \n  many\n  \n\n"


@pytest.mark.parametrize("task", ["complete", "embed", "classify", "reward"])
def test_raw_prompt_is_sent_byte_for_byte(project: MakeProject, task: str) -> None:
    """Blanks around tags and newlines at both ends stay, whatever task sends the text."""
    made = project({"rows.jsonl": ROW})

    assert sent(made, f"task: {task}\nprompt: {json.dumps(RAW)}\n") == SENT


def test_named_texts_are_sent_byte_for_byte(project: MakeProject) -> None:
    """Those of tasks that send several texts too, alone and in lists."""
    made = project({"rows.jsonl": ROW})
    raw = json.dumps(RAW)

    assert sent(made, f"task: score\nprompt: {{pair: [{raw}, {raw}]}}\n") == {"pair": [SENT, SENT]}
    assert sent(made, f"task: rerank\nprompt: {{query: {raw}, documents: [{raw}]}}\n") == {
        "query": SENT,
        "documents": [SENT],
    }
    assert sent(made, f"task: loglikelihood\nprompt: {{context: {raw}, continuations: [' 2', {raw}]}}\n") == {
        "context": SENT,
        "continuations": [" 2", SENT],
    }


def test_messages_are_sent_byte_for_byte(project: MakeProject) -> None:
    """A chat's texts follow the same rule, in every role."""
    made = project({"rows.jsonl": ROW})
    raw = json.dumps(RAW)

    turns = sent(made, f"prompt: {{turns: [{{system: {raw}}}, {{user: {raw}}}, {{assistant: {raw}}}]}}\n")
    assert [turn["content"] for turn in turns] == [SENT, SENT, SENT]


@pytest.mark.parametrize(("style", "end"), [("|", "\n"), ("|-", ""), ("|+", "\n\n"), (">", "\n"), (">-", "")])
def test_block_of_yaml_keeps_the_newlines_that_yaml_gives_it(
    project: MakeProject, style: str, end: str
) -> None:
    """The style of the block alone says whether a newline is sent."""
    made = project({"rows.jsonl": ROW})

    assert (
        sent(made, f"task: complete\nprompt: {style}\n  Q {{{{ row.q }}}}\n\ntopology: {{}}\n")
        == f"Q 1+1{end}"
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_template_files_lose_one_final_newline(project: MakeProject, end: str) -> None:
    """An editor's newline is not sent, of a file as of those it includes; all other white space is."""
    made = project({
        "rows.jsonl": ROW,
        "templates/raw/user.j2": "",
        "templates/raw/part.j2": "",
    })
    (made.root / "templates/raw/user.j2").write_bytes(
        f"A{{% include 'part.j2' %}}B\n{{% if row.n %}}\nC{{% endif %}}\n{end}".encode()
    )
    (made.root / "templates/raw/part.j2").write_bytes(f"[part]{end}".encode())

    text = sent(made, "task: complete\nprompt: raw\n")
    assert text == ("A[part]B\n\nC\n" if end else "A[part]B\n\nC")


def test_sampling_values_keep_white_space_where_it_is_text(project: MakeProject) -> None:
    """Of a stop string it counts; around numbers and lists of a row it means nothing."""
    made = project({"rows.jsonl": ROW})
    values = {
        "stop": "\n{{ row.end }}\n",
        "temperature": "{{ row.t }}\n",
        "stop_token_ids": "{{ row.i }}\n",
        "max_tokens": "{% if row.n %}{{ 8 }}{% endif %}\n",
        "top_p": "{% if not row.n %}{{ 8 }}{% endif %}\n",
        "regex": " {{ row.q }}",
    }

    sampling = sent(made, f"prompt: '{{{{ row.q }}}}'\nsampling: {json.dumps(values)}\n", "sampling")
    assert {name: sampling.get(name) for name in values} == {
        "stop": ["\n#\n"],
        "temperature": 0.5,
        "stop_token_ids": [1, 2],
        "max_tokens": 8,
        "top_p": None,
        "regex": " 1+1",
    }

"""What a newcomer mistypes: the message names the line that is wrong, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import main

ROWS = '{"q": "one"}\n'


def _told(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    (folder / "rows.jsonl").write_text(ROWS)
    (folder / "typed.yaml").write_text(text)
    code = main(["plan", str(folder / "typed.yaml"), "--no-count"])
    captured = capsys.readouterr()

    assert code == 2
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        (
            'model: fake:x\nprompt: "{{ row.q }}\ndataset: a\nname: b\n',
            2,
            "the quote that opens in this line",
        ),
        ("model: fake:x\nprompt: 'open\n\n\n", 2, "the quote that opens in this line"),
        ("model: [a, b\nprompt: x\n", 1, "the [ that opens in this line is never closed"),
        ("prompt: x\nmodel: {name: a\ndataset: x\n", 2, "the { that opens in this line is never closed"),
        ('model fake:x\nprompt: "x"\n', 2, "line 1 is not KEY: VALUE; a space must follow the colon"),
        ('model:fake:x\nprompt: "x"\n', 2, "line 1 is not KEY: VALUE; a space must follow the colon"),
        ("model: fake:x\n prompt: x\n", 2, "line 2 is indented more than line 1"),
        ("model: fake:x\nprompt: hello: world\n", 2, "quote text that holds any of : #"),
        ('model: fake:x\nprompt: "\\d"\n', 2, "use single quotes, such as '\\d+'"),
        ("model: fake:x\n\tprompt: x\n", 2, "indent with spaces"),
        ("model: @x\n", 1, "quote text that holds any of : #"),
    ],
)
def test_broken_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, hint: str
) -> None:
    """The line is where the mistake begins; the hint fits it."""
    told = _told(tmp_path, text, capsys)

    assert f"typed.yaml:{line})" in told
    assert hint in told


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("temp", "temperature"),
        ("top-p", "top_p"),
        ("MAX_TOKENS", "max_tokens"),
        ("Temperature", "temperature"),
        ("max", "max_tokens"),
        ("maxtokens", "max_tokens"),
        ("freq", "frequency_penalty"),
    ],
)
def test_mistyped_key(tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str, meant: str) -> None:
    """A beginning, another case or a dash name the key that is meant."""
    text = f"model: fake:x\nprompt: '{{{{ row.q }}}}'\ndataset: rows.jsonl\nsampling: {{{typed}: 1}}\n"

    assert f"did you mean {meant}?" in _told(tmp_path, text, capsys)


@pytest.mark.parametrize("typed", ["zz", "qq", "x"])
def test_key_that_means_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str) -> None:
    """No key is guessed where several, or none, would do."""
    text = f"model: fake:x\nprompt: '{{{{ row.q }}}}'\ndataset: rows.jsonl\nsampling: {{{typed}: 1}}\n"

    assert "did you mean" not in _told(tmp_path, text, capsys)


def test_column_without_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A template that names a column as other tools do learns how it is written here."""
    text = "model: fake:x\nprompt: '{{ question }}'\ndataset: rows.jsonl\n"

    assert "a column is row.NAME, such as row.question" in _told(tmp_path, text, capsys)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("sums", "an experiment is a file: sums/experiment.yaml"),
        ("sums/", "an experiment is a file: sums/experiment.yaml"),
        ("sums/experiment.yml", "did you mean sums/experiment.yaml?"),
        ("sums/experment.yaml", "did you mean sums/experiment.yaml?"),
        ("sums/other", "known: addition"),
        ("adition", "did you mean addition?"),
    ],
)
def test_experiment_that_is_not_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    hint: str,
) -> None:
    """After `runner init sums` the folder's name is what one types first."""
    monkeypatch.chdir(tmp_path)
    main(["init", "sums"])
    capsys.readouterr()

    assert main(["run", typed]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["--temperature", "1"], "keys are given as sampling.temperature=VALUE"),
        (["--temperature=1"], "keys are given as sampling.temperature=1"),
        (["--max-tokens=8"], "keys are given as sampling.max_tokens=8"),
        (["--limit", "5"], "keys are given as dataset.limit=VALUE"),
        (["--shuffle=true"], "keys are given as dataset.shuffle=true"),
        (["--model=tiny"], "keys are given as model=tiny"),
        (["--dry-run"], "runner plan FILE shows what a run would do"),
        (["--multi-run"], "did you mean --multirun?"),
    ],
)
def test_option_that_is_a_key(capsys: pytest.CaptureFixture[str], typed: list[str], hint: str) -> None:
    """Other tools take settings as options."""
    assert main(["run", "addition", *typed]) == 2
    assert hint in capsys.readouterr().err

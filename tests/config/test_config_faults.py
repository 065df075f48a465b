"""Bad input: one clear message each, with the place and the nearest known name."""

# ruff: noqa: E501 - tables: one case a line

from __future__ import annotations

import re

import pytest

from tests.config.config_kit import BASE, Project

CASES = {
    "typo in a key": ("sampling.temprature=1", "sampling.temprature (command line): unknown key\n    did you mean temperature?"),
    "typo in a top-level key": ("smaples=1", "smaples (command line): unknown key\n    did you mean samples?"),
    "key of a group at the top": ("temperature=1", "temperature (command line): unknown key\n    did you mean sampling.temperature?"),
    "no key at all": ("=3", "=3 (command line): an override is key=value\n    no key stands before the ="),
    "no model": ("~model", "model: must be given, such as model: tiny\n    An option of conf/model/"),
    "typo in an option": ("sampling=hto", "no option of conf/sampling/ is called 'hto'\n    did you mean hot?"),
    "typo in a model": ("model=smal", "smal is neither an option of conf/model/ nor a folder\n    did you mean small?"),
    "provider without a model": ("model=openai:", "model (command line): openai: lacks the model's name\n    write openai:NAME"),
    "hub without a model": ("model=hf:", "model (command line): hf: lacks the model's name\n    write hf:ORG/NAME"),
    "typo in a provider without a model": ("model=opnai:", "there is no engine opnai\n    did you mean openai?"),
    "provider without a model by name": ("engine=mistralrs|model={name: 'openai:'}", "model.name (command line): openai: is neither a folder (looked in "),
    "typo in an engine": ("engine=fakee", "engine (command line): there is no engine fakee\n    did you mean fake?"),
    "typo in an engine's kind": ("engine.kind=fakee", "engine.kind (command line): there is no kind fakee\n    did you mean fake?"),
    "map for an engine's kind": ("engine.kind={a:1}", "engine.kind (command line): there is no kind {a: 1}\n    known: anthropic"),
    "list for an engine's kind": ("engine={kind:[1]}", "engine.kind (command line): there is no kind [1]"),
    "list for a dataset's kind": ("dataset={path: data/sums.jsonl, kind: [jsonl]}", "dataset.kind (command line): there is no kind [jsonl]"),
    "list for the kind of a model's engine": ("model={name: m, engine: {kind: [1]}}", "engine.kind (command line): there is no kind [1]"),
    "kind of a model": ("model={kind:[1]}", "model.kind (command line): unknown key"),
    "typo in an engine's key": ("engine.latncy=1", "engine.latncy (command line): unknown key\n    did you mean latency?"),
    "typo in a scorer": ("scorers=[numerc]", "there is no scorer numerc\n    did you mean numeric?"),
    "null in a list of scorers": ("scorers=[[null,true]]", "scorers (command line): [null, true] given in a list of scorer names"),
    "list for a scorer": ("scorers={exact_match: [null]}", "scorers.exact_match (command line): [null] given, expected a name or a map"),
    "typo in a prompt": ("prompt=qaa", "qaa is neither a folder of"),
    "typo in a dataset": ("dataset=summs", "summs is neither an option of conf/dataset/ nor the path of a"),
    "typo in a cluster": ("cluster=slrum", "no option of conf/cluster/ is called 'slrum'\n    did you mean slurm?"),
    "typo in a dataset's path": ("dataset=data/sum.jsonl", "no file data/sum.jsonl (looked in data, "),
    "folder for a dataset": ("dataset.path=data", "dataset.path (command line): data is a folder, no file\n    name a file in it: sums.csv, sums.jsonl"),
    "typo in a template": ("prompt={template: qaa}", "prompt.template (command line): no folder qaa in templates"),
    "missing weights": ("model=./weights", "model.name (command line): ./weights is neither a folder (looked in "),
    "text for a number": ("sampling.temperature=hot", "hot given, expected a number of at least 0"),
    "number below its bound": ("samples=0", "samples (command line): 0 given, expected a whole number of at least 1"),
    "number above its bound": ("sampling.top_p=2", "2 given, expected a number above 0 and of at most 1"),
    "half a sample": ("samples=1.5", "1.5 given, expected a whole number of at least 1"),
    "not a number": ("sampling.temperature=nan", "expected a number of at least 0"),
    "number for text": ("model.dtype=16", "16 given, expected text\n    put it in quotes to make it text"),
    "single value for a map": ("sampling=5", "5 given, expected the name of an option or a map"),
    "list for a map": ("engine=[a]", "expected the name of an option or a map"),
    "key below a single value": ("samples.x=1", "samples (command line): {x: 1} given, expected a whole number"),
    "key below text": ("model.dtype.x=1", "model.dtype (command line): {x: 1} given, expected text"),
    "neither flag nor word": ("cache=maybe", "maybe given, expected true or false or one of refresh, strict"),
    "name that is no folder": ("name=a/b", "name (command line): a/b given, expected a letter or digit, then up to 99 letters, digits, dots, _ and -"),
    "name with a space": ("name='a b'", "a b given, expected a letter or digit"),
    "unknown task": ("task=chatt", "task (command line): chatt given, expected one of chat, complete"),
    "steps": ("+steps={a: 1}", "`steps` is not built yet"),
    "budget": ("budget.usd=1", "`budget` is not built yet"),
    "provider of a later part": ("model=llama_cpp:gpt", "engine llama_cpp is not built yet\n    known: "),
    "engine of a later part": ("engine={kind: llama_cpp}", "engine llama_cpp is not built yet"),
    "dataset of a later part": ("dataset={kind: runs, path: x}", "dataset kind runs is not built yet"),
    "scorer of a later part": ("scorers={w: {kind: pairwise}}", "scorer pairwise is not built yet"),
    "two prompts in one": ("prompt={user: a, template: qa}", "give exactly one of template, user, turns, token_ids, messages, pair, query, context"),
    "turn with two roles": ("prompt={turns: [{user: a, assistant: b}]}", "prompt.turns.0 (command line)"),
    "typo in a turn": ("prompt={turns: [{usr: a}]}", "prompt.turns.0.usr (command line): unknown key\n    did you mean user?"),
    "key of another kind": ("cluster={partition: x}", "cluster.partition (command line): unknown key\n    it belongs to kind slurm; cluster.kind is local"),
    "key of another kind on its own": ("cluster.partition=x", "cluster.partition (command line): unknown key\n    it belongs to kind slurm; cluster.kind is local"),
    "key of another engine": ("engine.base_url='http://x/v1'", ", openai_compatible, "),
    "slot's name that is none": ("prompt={turns: [{user: a}, {generate: 1x}]}", "1x given, expected letters, digits and _, such as answer_1"),
    "too many samples": ("samples=1000001", "1000001 given, expected a whole number of at least 1 and of at most 1000000"),
    "more samples than any number": ("samples=9223372036854775808", "9223372036854775808 given, expected a whole number of at least 1 and of at most 1000000"),
    "seed that the last sample can't be sent": ("sampling.seed=9223372036854775807", "expected a whole number of at least 0 and of at most 9223372035854775807"),
    "shard beyond the last": ("dataset={path: data/sums.jsonl, shard: {index: 4, count: 4}}", "dataset.shard (command line): {index: 4, count: 4} given: index counts from 0, so at most 3"),
    "shuffle's seed beyond 64 bits": ("dataset.seed=9223372036854775808", "expected a whole number of at least 0 and of at most 9223372036854775807"),
    "number with no bound of its own": ("dataset.limit=9223372036854775808", "too large: whole numbers go up to 9223372036854775807"),
    "hub name without its prefix": ("model=Qwen/Qwen3-0.6B", "did you mean hf:Qwen/Qwen3-0.6B?"),
    "hub's prefix in a name": ("engine={kind: mistralrs}|model={name: 'hf:a/b'}", "did you mean model=hf:a/b, or model.name=a/b?"),
    "value told by the reason": ("engine={kind: openai_compatible, base_url: 'x:1/v1'}", "engine.base_url (command line): 'x:1/v1' has no scheme"),
    "forms told by the reason": ("prompt={user: a, template: qa}", "prompt (command line): give exactly one of"),
    "sweep without -m": ("samples=1,2", "1,2 is a sweep, and -m was not given\n    for a sweep add -m"),
    "range without -m": ("samples=range(1,3)", "range(1,3) is a sweep, and -m was not given\n    add -m"),
    "range with nothing in it": ("samples=range(1,1)", "samples (command line): the sweep has no values"),
    "range without an end": ("samples=range(1,inf)", "the value range(1,inf) can't be read (a range has an end)"),
    "interval": ("samples=interval(1,3)", "interval() has no end of values"),
    "glob that matches nothing": ("sampling=glob(z*)", "glob() matches no option\n    known: creative, greedy, hot"),
    "no value": ("samples", "an override is key=value\n    write samples=VALUE, or ~samples"),
    "unquoted braces": ("prompt={{ row.q }}", "quote the value for the shell and for the override: 'prompt=\"{{ row.q }}\"'"),
    "package of no group": ("sampling@other=hot", "an option can only be put under one of the groups"),
    "Hydra's settings": ("hydra.run.dir=x", "hydra.run.dir (command line): this setting of Hydra does nothing here\n    leave it out: --runs DIR"),
    "extends on the command line": ("extends=base", "extends (command line): can't be given on the command line"),
    "no server": ("engine=openai_compatible", "engine.base_url (shipped conf/engine/openai_compatible.yaml): missing, expected text\n    Address"),
    "empty prompt": ("prompt=''", "prompt (command line): empty text is neither a folder of"),
    "prompt outside the templates": ("prompt=../conf", "prompt (command line): ../conf is neither a folder of"),
    "value that must be given": ("model.name='???'", "model.name (command line): must be given\n    such as model.name=VALUE"),
    "no prompt": ("~prompt", 'prompt: must be given, such as prompt: "{{ row.question }}"\n    A folder of templates/, one string, or a map.'),
    "no item in a list": ("prompt={turns: [{user: a}]}|prompt.turns.3.user=b", "prompt.turns is a list with items 0 to 0, not 3"),
    "bad walltime": ("cluster={kind: slurm, time: soon}", "soon given, expected a Slurm time such as 30, 1:30:00 or 2-12:00:00"),
    "bad pattern": ("scorers={r: {kind: regex, pattern: '('}}", "scorers.r.pattern (command line)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_override_is_one_clear_message(project: Project, case: str) -> None:
    """The message names the place, what was given, what was expected, and what is known."""
    overrides, message = CASES[case]

    refused = project.refused(*overrides.split("|"))

    assert message in refused
    assert "pydantic" not in refused.lower()


FILES = {
    "extends nothing": ("extends: nobody\n", "extends (experiments/case.yaml:1): no file nobody or nobody.yaml in experiments"),
    "extends a list": ("extends: [a, b]\n", "expected the name or path of one file"),
    "sweep of one value": (BASE + "sweep: {samples: 3}\n", "sweep.samples (experiments/case.yaml:6): 3 given, expected a list"),
    "empty axis": (BASE + "sweep: {samples: []}\n", "sweep.samples (experiments/case.yaml:6): an empty list"),
    "sweep of nothing": (BASE + "sweep: [1, 2]\n", "expected a map of keys to lists"),
    "axis of an unknown key": (BASE + "sweep: {smaples: [1, 2]}\n", "smaples is not a key that can be swept\n    did you mean samples?"),
    "linked axis of an unknown key": (BASE + "sweep: {two: [{smaples: 1}]}\n", "smaples is not a key that can be swept"),
    "nothing at all": ("", "model: must be given"),
    "number in a list of scorers": (BASE + "scorers: [1]\n", "1 given in a list of scorer names"),
    "dataset of runs": (BASE.replace("data/sums.jsonl", "{kind: runs, runs: {a: b}}"), "dataset kind runs is not built yet"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_bad_file_is_one_clear_message(project: Project, case: str) -> None:
    """What a file gets wrong is told with its line."""
    text, message = FILES[case]

    assert message in project.refused(file=project.file(text))


def test_folder_where_templates_would_lie_is_named(project: Project) -> None:
    """A project of one's own may have none yet."""
    assert "(there is no" not in project.refused("prompt=qaa")
    (project.root / "templates").rename(project.root / "others")

    assert re.search(
        r"qaa is neither a folder of templates, .* \(there is no templates yet\)",
        project.refused("prompt=qaa"),
    )


def test_all_faults_are_reported_together(project: Project) -> None:
    """One message tells everything that is wrong."""
    file = project.file(BASE + "tsak: chat\nbudget: {usd: 1}\n")

    message = project.refused("sampling=hto", "samples=0", "dataset.limit=0", file=file)

    for place in ("tsak", "budget", "sampling", "samples", "dataset.limit"):
        assert f"\n{place} (" in f"\n{message}"


def test_fault_in_an_option_names_the_options_line(project: Project) -> None:
    """The source is where the value was written."""
    project.write("conf/sampling/bad.yaml", "# a comment\ntop_p: 7\n")
    project.write("conf/model/bad.yaml", "name: org/bad\nengine:\n  kind: fake\n  latncy: 1\n")

    message = project.refused("sampling=bad", "model=bad")

    assert "sampling.top_p (conf/sampling/bad.yaml:2): 7 given" in message
    assert "engine.latncy (conf/model/bad.yaml:4): unknown key" in message


def test_option_that_can_not_be_read_is_told_once(project: Project) -> None:
    """A broken option is not called missing as well."""
    project.write("conf/model/twice.yaml", "name: a\nname: b\n")

    assert project.refused("model=twice") == "name (conf/model/twice.yaml:2): given twice, on lines 1 and 2"


def test_key_swept_twice_is_refused(project: Project) -> None:
    """Which of the two counts would be a guess."""
    told = project.refused("samples=1,2", "samples=3", multirun=True)

    assert told == "samples (command line): given twice, and one is a sweep"


def test_option_that_sets_other_keys_is_refused(project: Project) -> None:
    """An option gives its own group only."""
    project.write("conf/sampling/wide.yaml", "# @package _global_\nsamples: 3\n")

    assert "the option wide also sets samples" in project.refused("sampling=wide")


def test_dataset_with_a_misspelt_path_tells_of_that(project: Project) -> None:
    """Its kind would have been told by the path: all else that is wrong is told beside it."""
    file = project.file(BASE.replace("data/sums.jsonl", "{pth: data/sums.jsonl, limit: x}"))
    message = project.refused(file=file)

    assert "kind is missing" not in message
    assert "did you mean path?" in message
    assert "dataset.limit" in message

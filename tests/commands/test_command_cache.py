from __future__ import annotations

from tests.commands.conftest import MakeProject


def test_cache_stats_counts_by_model_and_engine(project: MakeProject) -> None:
    """Responses are counted by who gave them."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.ran("run", "sums.yaml", "model.name=other", "dataset.limit=2")

    outcome = made.ran("cache", "stats")

    assert outcome.lines[0].startswith("runs/.cache.sqlite: 8 responses, ")
    assert [line.split() for line in outcome.lines[2:]] == [["other", "fake", "2"], ["parrot", "fake", "6"]]


def test_cache_stats_before_any_run_say_so(project: MakeProject) -> None:
    """Without a run there is no cache, which is no error."""
    assert "there is no cache in" in project({}).ran("cache", "stats").out


def test_explain_of_a_stored_row_names_its_key(project: MakeProject) -> None:
    """A hit is a hit."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("cache", "explain", "sums.yaml", "--row", "r3")

    assert outcome.lines[:2] == ["row r3 of sums", "stored: its answer is in the cache, no request is needed"]


def test_explain_of_a_miss_names_the_field_that_differs(project: MakeProject) -> None:
    """The nearest stored request has the same prompt, and one value differs."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("cache", "explain", "sums.yaml", "sampling.temperature=0.7", "--row", "2")

    assert outcome.lines[1].startswith("not stored: slot answer, key ")
    assert [line.split() for line in outcome.lines[4:]] == [["sampling.temperature", "0.0", "0.7"]]


def test_explain_of_another_prompt_shows_where_it_parts(project: MakeProject) -> None:
    """Of long prompts the place of the first difference is shown."""
    long = "x" * 200
    made = project({})
    made.ran("run", "sums.yaml", f'prompt="{long} {{{{ row.question }}}}"', "dataset.limit=1")

    outcome = made.ran("cache", "explain", "sums.yaml", f'prompt="{long}, {{{{ row.question }}}}"')

    assert outcome.lines[4].split("  ")[:3] == ["input[0].content", f"...{'x' * 20} 0", f"...{'x' * 20}, 0"]


def test_explain_says_when_the_cache_is_not_read(project: MakeProject) -> None:
    """`cache: refresh` asks anew, whatever is stored."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert (
        "cache: refresh asks everything anew"
        in made.ran("cache", "explain", "sums.yaml", "cache=refresh").out
    )


def test_explain_before_any_run_has_nothing_to_compare(project: MakeProject) -> None:
    """An empty cache is told from a different request."""
    assert "nothing is stored yet" in project({}).ran("cache", "explain", "sums.yaml").out

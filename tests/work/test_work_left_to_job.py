"""A run leaves rows to its job once the cache has nothing of many in a row."""

from __future__ import annotations

from runner.runs import RunFolder
from runner.start import serve_cached
from tests.work.work_kit import Echo, Lab, served, sums

MANY = 3_000


def surveyed(run: RunFolder) -> tuple[int, bool]:
    """Return how many results the cache completed before any job, and whether all rows were read."""
    (survey,) = serve_cached(run).values()
    return survey.served, survey.whole


def test_job_finds_what_the_survey_did_not_reach(lab: Lab, echo: Echo, url: str) -> None:
    """Rows far behind new ones come from the cache too, and are counted once."""
    engine = served(url, concurrency=64)
    rows = sums(MANY)
    lab.rows([*rows[:10], *rows[-10:]])
    lab.run(engine=engine)
    lab.rows(rows)
    run = lab.prepare(engine=engine)

    assert surveyed(run) == (10, False)
    result = lab.work(run)
    progress = result.state()["progress"]
    assert (result.count.ok, result.count.served, progress["cached"]) == (MANY, 10, 10)
    assert echo.asked.total() == MANY


def test_survey_goes_on_while_the_cache_has_something(lab: Lab, echo: Echo, url: str) -> None:
    """Rows that are all cached are served without a job, however many."""
    lab.rows(sums(MANY))
    engine = served(url, concurrency=64)
    lab.run(engine=engine)
    run = lab.prepare(engine=engine)

    assert surveyed(run) == (MANY, True)
    assert lab.work(run).jobs == 0
    assert echo.asked.total() == MANY

"""What is asked, what isn't asked again, and what is left on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib.metadata import version

import pytest

from runner.errors import ConfigError
from runner.jobs import read_job
from runner.points import PointRecords
from runner.records import RECORDS_FILE
from runner.runs import CANCELLED
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, completion, served, sums


def test_run_asks_every_row_and_scores_it(lab: Lab, echo: Echo, url: str) -> None:
    """Each row is sent once, and its answer scored against its target."""
    lab.rows([*sums(3), {"id": "x", "q": "5", "a": "6"}])

    result = lab.run(engine=served(url))

    assert echo.asked == {"0": 1, "1": 1, "2": 1, "5": 1}
    assert [line["scores"]["exact"]["value"] for line in result.lines()] == [1, 1, 1, 0]
    assert result.metrics()["scores"]["exact"]["mean"]["value"] == 0.75
    assert result.state()["state"] == "complete"


def test_images_of_rows_for_an_engine_without_eyes_fail_their_rows(lab: Lab) -> None:
    """Nobody sees them before the rows are read; the engines that take them are named."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    lab.rows([
        {"id": "seen", "m": [{"role": "user", "content": [image]}], "a": ""},
        {"id": "read", "m": [{"role": "user", "content": "4"}], "a": "4"},
    ])

    seen, read = lab.run(prompt={"messages": "m"}).lines()

    assert seen["error"]["kind"] == "RenderError"
    assert seen["error"]["message"].startswith("engine fake takes no images; taken by: openai_compatible, ")
    assert read["scores"]["exact"]["value"] == 1


def test_results_stand_in_dataset_order(lab: Lab, url: str) -> None:
    """However answers come in, results.jsonl follows the dataset."""
    lab.rows(sums(700))

    result = lab.run(engine=served(url))

    assert [line["id"] for line in result.lines()] == [str(number) for number in range(700)]


def test_second_run_starts_no_job_and_sends_nothing(lab: Lab, echo: Echo, url: str) -> None:
    """What an earlier run asked is served from the cache; the lines differ in nothing but that."""
    lab.rows(sums(20))
    first = lab.run(engine=served(url))

    second = lab.run(engine=served(url))

    assert (first.jobs, second.jobs) == (1, 0)
    assert sum(echo.asked.values()) == 20
    assert [line.pop("cached") for line in (*first.lines(), *second.lines())] == [False] * 20 + [True] * 20
    own = {"cached": False}
    assert [line | own | {"sources": {"answer": "cached"}} for line in first.lines()] == [
        line | own for line in second.lines()
    ]


def test_a_point_folder_holds_its_hits_too(lab: Lab, url: str) -> None:
    """A second run's cache.sqlite has every response, so that its folder is complete by itself."""
    lab.rows(sums(5))
    lab.run(engine=served(url))

    second = lab.run(engine=served(url))

    with PointRecords(second.run.point("0") / "cache.sqlite") as records:
        assert len(list(records.responses())) == 5


def test_more_samples_ask_only_what_is_new(lab: Lab, echo: Echo, url: str) -> None:
    """Going from 2 to 5 samples a row asks 3 more."""
    lab.rows(sums(4))
    lab.run(engine=served(url), samples=2)

    result = lab.run(engine=served(url), samples=5)

    assert set(echo.asked.values()) == {5}
    assert result.count.ok == 20


def test_equal_rows_are_asked_once(lab: Lab, echo: Echo, url: str) -> None:
    """The same request is never sent twice, also while the first is under way."""
    lab.rows([{"id": str(number), "q": f"{number % 3}", "a": "0"} for number in range(600)])

    result = lab.run(engine=served(url))

    assert echo.asked == {"0": 1, "1": 1, "2": 1}
    assert result.count.ok == 600


def test_cache_false_asks_anew_and_remembers_nothing(lab: Lab, echo: Echo, url: str) -> None:
    """With cache: false neither an earlier run's answers count, nor are these kept for a later one."""
    lab.rows(sums(3))
    lab.run(engine=served(url), cache=False)

    lab.run(engine=served(url), cache=False)
    lab.run(engine=served(url))

    assert set(echo.asked.values()) == {3}


def test_cache_refresh_asks_anew_and_replaces(lab: Lab, echo: Echo, url: str) -> None:
    """With cache: refresh every request is sent, and later runs read the new answers."""
    lab.rows(sums(3))
    lab.run(engine=served(url))

    lab.run(engine=served(url), cache="refresh")
    third = lab.run(engine=served(url))

    assert set(echo.asked.values()) == {2}
    assert third.jobs == 0


def test_a_sweep_over_one_model_is_one_job(lab: Lab, url: str) -> None:
    """Points that share an engine start are served by one load of it, each with its own folder."""
    lab.rows(sums(3))

    result = lab.run(engine=served(url), sweep={"sampling.temperature": [0, 1, 2]})

    assert result.jobs == 1
    assert [count.ok for count in result.counts.values()] == [3, 3, 3]
    assert len(result.lines("2-sampling.temperature=2")) == 3


def test_points_with_equal_requests_share_answers(lab: Lab, echo: Echo, url: str) -> None:
    """A sweep over what isn't sent, such as a scorer, asks each row once."""
    lab.rows(sums(5))
    kinds = [{"exact": {"kind": "exact_match"}}, {"number": {"kind": "numeric"}}]

    result = lab.run(engine=served(url), sweep={"scorers": kinds})

    assert set(echo.asked.values()) == {1}
    assert all(count.ok == 5 for count in result.counts.values())


def test_conversation_fills_slot_after_slot(lab: Lab, echo: Echo, url: str) -> None:
    """Each slot is a request of its own, which sees the answers before it."""
    lab.rows([{"id": "1", "q": "a", "a": "a then a"}])
    turns = [{"user": "{{ row.q }}"}, {"generate": "first"}, {"user": "{{ first }} then {{ row.q }}"}]

    result = lab.run(engine=served(url), prompt={"turns": turns})

    assert echo.asked == {"a": 1, "a then a": 1}
    (line,) = result.lines()
    assert line["slots"] == {"first": "a", "answer": "a then a"}
    assert line["scores"]["exact"]["value"] == 1


def test_conversation_keeps_early_slots_when_a_later_one_fails(lab: Lab) -> None:
    """A first slot's answer is paid once, although the second slot fails at first."""
    lab.rows([{"id": "1", "q": "a", "a": "b"}])
    broken = {"b"}
    echo = Echo(lambda text: (503, "down") if text in broken else None)
    turns = [{"user": "{{ row.q }}"}, {"generate": "first"}, {"user": "b"}, {"generate": "second"}]
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1), prompt={"turns": turns})
        broken.clear()
        second = lab.work(first.run)

    assert first.count.missing == 1
    assert second.count.ok == 1
    assert echo.asked == {"a": 1, "b": 2}


def test_cancelled_point_is_dropped_from_its_job(lab: Lab, url: str) -> None:
    """A point with the marker is asked nothing; the others of its job go on."""
    lab.rows(sums(3))
    run = lab.prepare(engine=served(url), sweep={"sampling.temperature": [0, 1]})
    (run.point("0-sampling.temperature=0") / CANCELLED).touch()

    result = lab.work(run)

    assert [count.ok for count in result.counts.values()] == [0, 3]


def test_edits_after_launch_change_nothing(lab: Lab, echo: Echo, url: str) -> None:
    """YAML and data are frozen in the run folder before the job starts."""
    lab.rows(sums(3))
    run = lab.prepare(engine=served(url))
    lab.rows([{"id": "0", "q": "edited", "a": "edited"}])
    (lab.folder / "lab.yaml").write_text("nonsense")

    result = lab.work(run)

    assert result.count.ok == 3
    assert "edited" not in echo.asked


def test_large_data_that_changed_stops_the_job(lab: Lab, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset too large to copy is hashed again at the start, and a difference stops the job."""
    monkeypatch.setattr("runner.prepare.COPY_LIMIT", 10)
    lab.rows(sums(3))
    run = lab.prepare(engine=served(url))
    lab.rows(sums(4))

    result = lab.work(run)

    assert result.state()["state"] == "failed"
    assert "has changed since this run was launched" in result.state()["error"]


def test_cache_strict_needs_an_engine_that_knows_its_version(lab: Lab, url: str) -> None:
    """A server's version is unknown before it is asked, so strict is refused with what to write instead."""
    lab.rows(sums(1))

    with pytest.raises(ConfigError, match=r"can't tell its version.*\n.*model\.revision"):
        lab.prepare(engine=served(url), cache="strict")


def test_cache_strict_counts_the_engines_version(lab: Lab) -> None:
    """With strict the version of the embedded engine is part of every request, without it it isn't."""
    lab.rows(sums(1))
    embedded = {"model": "tiny", "engine": {"kind": "mistralrs"}}

    engines = [
        read_job(lab.prepare(**embedded, cache=mode).jobs[0]).points[0].scope.engine
        for mode in (True, "strict")
    ]

    assert "version" not in engines[0]
    assert engines[1]["version"] == version("mistralrs")


def test_an_equal_row_that_waits_long_is_not_asked_again(lab: Lab) -> None:
    """However many rows pass that have nothing to ask, an answer that came meanwhile is found."""
    unasked = 3000
    first = [{"id": f"{place}", "q": text, "a": text} for place, text in enumerate("xyzx")]
    lab.rows([*first, *({"id": f"{number}", "a": "0"} for number in range(10, 10 + unasked))])
    asked: Counter[str] = Counter()

    async def answer(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        asked[text] += 1
        while text != "x" and _recorded(lab) <= unasked:  # noqa: ASYNC110 - rows that pass leave lines alone
            await asyncio.sleep(0.01)
        await exchange.answer(completion(text))

    with HttpServer({CHAT: answer}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=2))

    assert asked == {"x": 1, "y": 1, "z": 1}
    assert (result.count.ok, result.count.errors) == (4, unasked)


def _recorded(lab: Lab) -> int:
    """Return how many lines the only attempt has written."""
    (records,) = (lab.folder / "runs").glob(f"*/*/jobs/*/1/{RECORDS_FILE}")
    return records.read_bytes().count(b"\n")

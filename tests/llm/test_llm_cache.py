"""What was asked once is not asked again, by whatever way it was asked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from runner import LLM
from runner.errors import ConfigError, IncompleteResponseError, UserError
from tests.filesystems import read_only
from tests.work.work_kit import Echo, Lab, served

pytestmark = pytest.mark.usefixtures("lab")

_SAMPLING: dict[str, Any] = {"temperature": 0.5, "max_tokens": 7, "stop": ["\n"], "seed": 3}


def model(url: str, **keys: Any) -> LLM:
    """Return the lab's model on a server."""
    return LLM({"name": "m"}, engine=served(url), **keys)


def test_llm_finds_what_an_experiment_asked(lab: Lab, echo: Echo, url: str) -> None:
    """The same model, engine, message, sampling and sample have the same key: nothing is sent."""
    lab.rows([{"q": "2+2", "a": "2+2"}])
    lab.run(engine=served(url), sampling=_SAMPLING, samples=2)
    assert echo.asked["2+2"] == 2

    with model(url) as llm:
        answers = [llm.generate_sync("2+2", sample=sample, **_SAMPLING).text for sample in (0, 1)]

    assert answers == ["2+2", "2+2"]
    assert echo.asked["2+2"] == 2


def test_experiment_finds_what_an_llm_asked(lab: Lab, echo: Echo, url: str) -> None:
    """A run whose every row was asked from code starts no job."""
    with model(url, sampling={"temperature": 0.5, "max_tokens": 7}) as llm:
        llm.batch([f"row {i}" for i in range(20)], progress=False, stop=["\n"], seed=3)
    lab.rows([{"q": f"row {i}", "a": f"row {i}"} for i in range(20)])

    result = lab.run(engine=served(url), sampling=_SAMPLING)

    assert (result.jobs, echo.asked.total()) == (0, 20)
    assert result.metrics()["scores"]["exact"]["mean"]["value"] == 1


def test_complete_and_chat_share_no_answer(lab: Lab) -> None:
    """A raw prompt's key is that of an experiment's raw prompt."""
    lab.rows([{"q": "a b", "a": "a b"}])
    lab.run(task="complete")

    with LLM({"name": "m"}, engine="fake", task="complete") as llm:
        llm.generate_sync("a b")
    with LLM({"name": "m"}, engine="fake") as llm:
        llm.generate_sync("a b")

    with sqlite3.connect("runs/.cache.sqlite") as db:
        tasks = [json.loads(one)["task"] for (one,) in db.execute("SELECT request FROM responses")]
    db.close()
    assert Counter(tasks) == {"complete": 1, "chat": 1}


def test_second_call_and_later_copy_send_nothing(echo: Echo, url: str) -> None:
    """The answer is on disk when a call returns."""
    for _ in range(2):
        with model(url) as llm:
            assert [llm.generate_sync("once").text for _ in range(2)] == ["once"] * 2

    assert echo.asked == {"once": 1}


def test_equal_calls_at_once_send_one(echo: Echo, url: str) -> None:
    """Whoever asks what is being asked waits for that answer."""

    async def ask() -> list[str]:
        async with model(url) as llm:
            return [r.text for r in await asyncio.gather(*(llm.generate("same") for _ in range(30)))]

    assert asyncio.run(ask()) == ["same"] * 30
    assert echo.asked == {"same": 1}


def test_stream_of_a_stored_answer_sends_nothing(echo: Echo, url: str) -> None:
    """It comes whole."""
    with model(url) as llm:
        llm.generate_sync("a b c")

        assert list(llm.stream_sync("a b c")) == ["a b c"]
    assert echo.asked == {"a b c": 1}


def test_refresh_asks_anew_and_once(echo: Echo, url: str) -> None:
    """Answers from before count for nothing, those of the same LLM do."""
    model(url).generate_sync("again")

    with model(url, cache="refresh") as llm:
        llm.batch(["again", "again"], progress=False)
        llm.generate_sync("again")

    assert echo.asked == {"again": 2}


def test_without_a_cache_every_call_is_sent(lab: Lab, echo: Echo, url: str) -> None:
    """Nothing is read, and no file is made."""
    with model(url, cache=False) as llm:
        llm.batch(["each", "each"], progress=False)

    assert echo.asked == {"each": 2}
    assert not (lab.folder / "runs").exists()


def test_cache_may_be_a_file_of_its_own(lab: Lab, echo: Echo, url: str) -> None:
    """Two LLMs that name it share it, and the project's stays as it is."""
    for _ in range(2):
        with model(url, cache="mine/answers.sqlite") as llm:
            llm.generate_sync("kept")

    assert echo.asked == {"kept": 1}
    assert (lab.folder / "mine" / "answers.sqlite").is_file()
    assert not (lab.folder / "runs").exists()


def test_damaged_cache_is_named(lab: Lab, url: str) -> None:
    """No request is sent past a cache that can't be read."""
    (lab.folder / "bad.sqlite").write_bytes(b"no database" * 100)

    with model(url, cache="bad.sqlite") as llm, pytest.raises(UserError, match=r"bad\.sqlite is damaged"):
        llm.generate_sync("lost")


def test_secrets_are_not_stored(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A key that a prompt holds is masked in the file, as in a run's."""
    monkeypatch.setenv("LLM_TEST_KEY", "sesame-open-1234")
    with LLM({"name": "m"}, engine=served(url, api_key_env="LLM_TEST_KEY")) as llm:
        llm.generate_sync("my key is sesame-open-1234")

    with sqlite3.connect("runs/.cache.sqlite") as db:
        ((request, response),) = db.execute("SELECT request, response FROM responses")
    db.close()
    assert b"sesame" not in request + response
    assert b"my key is ***" in request


@pytest.mark.parametrize("given", ["refesh", "yes"])
def test_misspelled_mode_is_no_file(given: str) -> None:
    """A word without a suffix or a folder names none."""
    with pytest.raises(ConfigError, match=rf"'{given}' given, expected True, False, refresh, strict"):
        LLM("fake:echo", cache=given)


def test_project_that_is_not_there_is_refused() -> None:
    """A misspelled folder would be an empty cache."""
    with pytest.raises(ConfigError, match="project: no folder /nowhere/at/all"):
        LLM("fake:echo", project="/nowhere/at/all")


def test_cache_that_cannot_be_written_says_how_one_does_without(lab: Lab) -> None:
    """As in a project that may only be read: the answer was had, and is not kept."""
    (lab.folder / "runs").mkdir(exist_ok=True)
    with read_only(lab.folder / "runs"):
        with LLM({"name": "m"}, engine="fake") as llm, pytest.raises(UserError) as raised:
            llm.generate_sync("a")
        with LLM({"name": "m"}, engine="fake", cache=False) as llm:
            assert llm.generate_sync("a").text == "a"

    told, hint = str(raised.value).splitlines()
    assert told.startswith(f"the cache {lab.folder / 'runs' / '.cache.sqlite'} can't be used: ")
    assert hint == "    cache=False works without it; cache=PATH names another file"


def test_damaged_answer_is_asked_again_and_replaced(
    lab: Lab, echo: Echo, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bit that flipped on disk is nobody's answer; the next call finds the new one."""
    cache = lab.folder / "runs" / ".cache.sqlite"
    with model(url) as llm:
        llm.generate_sync("a")
        with closing(sqlite3.connect(cache, isolation_level=None)) as db:
            db.execute("UPDATE responses SET response = substr(response, 1, 20)")
        again = [llm.generate_sync("a").text for _ in range(2)]

    assert again == ["a", "a"]
    assert echo.asked["a"] == 2
    assert f"note: damaged entry ignored in {cache}" in capsys.readouterr().err


_NUMBER = {"type": "integer"}


def test_answer_that_lacks_what_was_asked_is_kept_and_asked_again(echo: Echo, url: str, lab: Lab) -> None:
    """It was paid for, and answers no request."""
    with model(url) as llm:
        for asked in ({"json_schema": _NUMBER}, {"n": 2}, {"choice": ["yes", "no"]}):
            sampling: dict[str, Any] = asked
            engine = LLM({"name": "m"}, engine=served(url, kind="vllm")) if "choice" in asked else llm
            for _ in range(2):
                with pytest.raises(IncompleteResponseError):
                    engine.generate_sync("none", **sampling)

    assert echo.asked["none"] == 6
    assert _stored(lab, "unverified") == ["none"] * 3
    assert _stored(lab, "responses") == []


def test_answer_whose_check_did_not_end_is_checked_and_not_asked_again(
    echo: Echo, url: str, lab: Lab
) -> None:
    """As one of a process that was killed meanwhile."""
    with model(url) as llm:
        assert llm.generate_sync("7", json_schema=_NUMBER).choices[0].parsed == 7
    _execute(lab, _UNCHECKED, "DELETE FROM responses")
    with model(url) as llm:
        assert llm.generate_sync("7", json_schema=_NUMBER).choices[0].parsed == 7

    assert echo.asked["7"] == 1
    assert (_stored(lab, "responses"), _stored(lab, "unverified")) == (["7"], [])


def test_damaged_answer_whose_check_did_not_end_is_asked_again(
    echo: Echo, url: str, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """A digit of it would be another answer, which passes the check as well."""
    with model(url) as llm:
        llm.generate_sync("7", json_schema=_NUMBER)
    changed = (
        'UPDATE unverified SET response = replace(CAST(response AS TEXT), \'"text":"7"\', \'"text":"8"\')'
    )
    as_blob = "UPDATE unverified SET response = CAST(response AS BLOB)"
    _execute(lab, _UNCHECKED, "DELETE FROM responses", changed, as_blob)
    with model(url) as llm:
        assert llm.generate_sync("7", json_schema=_NUMBER).choices[0].parsed == 7

    assert echo.asked["7"] == 2
    assert "note: damaged entry ignored in " in capsys.readouterr().err


_UNCHECKED = """
INSERT INTO unverified(key, request, response, rejected, checksum)
  SELECT key, request, response, 0, checksum FROM responses
"""


def _execute(lab: Lab, *statements: str) -> None:
    with closing(sqlite3.connect(lab.folder / "runs" / ".cache.sqlite")) as db, db:
        for statement in statements:
            db.execute(statement)


def _stored(lab: Lab, table: str) -> list[str]:
    with closing(sqlite3.connect(lab.folder / "runs" / ".cache.sqlite")) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return []
        rows = db.execute(f"SELECT response FROM {table}").fetchall()
    return [json.loads(response)["choices"][0]["text"] for (response,) in rows]

from __future__ import annotations

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.outcome import run_outcome
from runner.start import jobs_of, launch_jobs
from tests.commands.adding_server import Adding
from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING
from tests.http_server import Exchange, HttpServer
from tests.launch.launch_kit import ended, settle, wait_for

LOCKS = Path("/proc/locks")
"""Where the kernel tells who waits for a lock."""


def test_status_exits_like_its_run(project: MakeProject) -> None:
    """An incomplete run has exit code 3 whenever it is looked at."""
    made = project({})
    made.ran("run", "sums.yaml", *FAILING, code=3)

    outcome = made.ran("status", code=3)

    assert outcome.lines[0] == f"{made.last.name}  incomplete, started just now"


def test_status_takes_a_prefix(project: MakeProject) -> None:
    """A run is found by the first letters of its name."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert made.ran("status", made.last.name[:-3]).lines[0].startswith(made.last.name)


def test_status_json_holds_scores(project: MakeProject) -> None:
    """The machine's form has every point with its scores."""
    made = project({})
    made.ran("run", "sums.yaml")

    shown = made.ran("status", "--json").json

    assert shown["state"] == "complete"
    assert shown["points"][0]["scores"]["exact_match"]["mean"]["value"] == 0.5


def test_status_all_lists_every_run(project: MakeProject) -> None:
    """All runs stand in one table, the newest last."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.ran("run", "sums.yaml", "name=other", "cache=false", *FAILING, code=3)

    listed = [line.split()[:2] for line in made.ran("status", "--all").lines[1:3]]

    assert [(name.split("/")[0], state) for name, state in listed] == [
        ("sums", "complete"),
        ("other", "incomplete"),
    ]


def test_status_all_json_names_paths(project: MakeProject) -> None:
    """The machine's list says where each run lies."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert [run["path"] for run in made.ran("status", "--all", "--json").json] == [str(made.last.path)]


def test_status_watch_ends_with_the_run(project: MakeProject) -> None:
    """Watching a local job goes on until it has ended, and shows the results."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=0.2", "engine.concurrency=1")
    launch_jobs(run, jobs_of(run))

    outcome = made.ran("status", "--watch")

    assert outcome.err.splitlines()[-1] == "0-parrot: complete 6/6  6 requests"
    assert "complete: 6 requests, 6 tokens generated" in outcome.lines


def logged(printed: str, file: str) -> list[str]:
    """Return the lines of a file; one that grows while another does is named again."""
    parts = re.split(r"^==> (.*) <==$", printed, flags=re.MULTILINE)
    assert parts[0] == ""
    text = "".join(text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name == file)
    return [line for line in text.splitlines() if line]


def test_logs_of_a_local_job_name_their_file(project: MakeProject) -> None:
    """What a worker printed stands under the name of its file, and following ends with the job."""
    made = project({})
    run = made.prepare("cluster=local", *FAILING)
    launch_jobs(run, jobs_of(run))

    outcome = made.ran("logs", "-f")

    folder = f"{run.path.relative_to(made.root)}/jobs/0-parrot/1"
    assert "results missing: the engine failed to answer" in logged(outcome.out, f"{folder}/stderr.log")[0]


def test_logs_tell_each_kind_of_failure_once_and_how_many_there_were(project: MakeProject) -> None:
    """A line where it first occurs, and a count at the end; not a line a row."""
    rows = [{"id": f"r{n}", "question": str(n), "answer": "1"} for n in range(40)]
    rows += [{"id": f"lost{n}", "question": "1"} for n in range(3)]
    made = project({"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    run = made.prepare("cluster=local", *FAILING)
    launch_jobs(run, jobs_of(run))

    folder = f"{run.path.relative_to(made.root)}/jobs/0-parrot/1"
    log = logged(made.ran("logs", "-f").out, f"{folder}/stdout.log")
    failed = made.ran("status", "--json", code=3).json["points"][0]

    told = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ point 0, row ")
    target = "template scorers.exact_match.target:1"
    assert sorted(told.sub("", line).partition(" ")[2] for line in log[:-1]) == [
        f"RenderError: {target}: the row has no column 'answer' (known: id, question)",
        "ServerError: HTTP 500: the fake was told to fail (after 1 attempt)",
    ]
    assert all(told.match(line) for line in log[:-1])
    counts = f"{failed['missing']} ServerError (missing), 3 RenderError (final)"
    assert log[-1] == f"results without an answer: {counts}; results.jsonl says why for each"


def test_logs_of_a_silent_job_say_so(project: MakeProject) -> None:
    """A job that wrote nothing is told from one that never began."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.prepare("sampling.temperature=1")

    assert made.ran("logs").lines == ["0-parrot: not submitted, it has written nothing"]


def test_logs_know_which_jobs_and_attempts_there_are(project: MakeProject) -> None:
    """A wrong job or attempt is answered with those there are."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert "did you mean 0-parrot?" in made.ran("logs", "last", "0-parot", code=2).err
    assert "has no attempt 4; there are: 1" in made.ran("logs", "--attempt", "4", code=2).err


def test_logs_of_a_worker_that_never_began_are_submitits(project: MakeProject) -> None:
    """Where a worker failed before it had logs of its own, what its submission left is shown."""
    made = project({})
    run = made.prepare("cluster=local")
    jobs = jobs_of(run)
    (run.job("0-parrot") / "job.json").write_text("{")
    launch_jobs(run, jobs)

    outcome = made.ran("logs", "-f")

    assert outcome.lines[0].startswith(f"==> {run.path.relative_to(made.root)}/submitit/")
    assert "job.json is damaged" in outcome.out


@pytest.mark.parametrize("words", [(), ("--all",)])
def test_status_shows_a_run_whose_cache_is_damaged(project: MakeProject, words: tuple[str, ...]) -> None:
    """Its own folder is sound; what is wrong stands below."""
    made = project({})
    run = made.prepare()
    launch_jobs(run, jobs_of(run))
    run.cache.write_bytes(b"no database")

    outcome = made.ran("status", *words)

    assert "complete" in outcome.out
    assert any(line.startswith(f"warning: the cache {run.cache} is damaged") for line in outcome.lines)


@pytest.mark.skipif(not LOCKS.exists(), reason="the kernel doesn't tell who waits for a lock")
def test_job_that_ends_while_one_looks_is_not_running_with_all_its_results(project: MakeProject) -> None:
    """Jobs are looked at before points: one whose results are all there by then is looked at again."""
    made = project({"rows.jsonl": '{"question": "1+2", "answer": "3"}\n'})
    adding, wanted = Adding("parrot"), threading.Event()

    async def late(exchange: Exchange) -> None:
        await asyncio.to_thread(wanted.wait)
        await adding(exchange)

    with HttpServer({"/v1/chat/completions": late}) as server, ThreadPoolExecutor(1) as pool:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        run = made.prepare(engine, "cluster=local")
        launch_jobs(run, jobs_of(run))
        with run.lock():
            looking = pool.submit(run_outcome, run)
            try:
                wait_for(lambda: looking.done() or _awaited(run.path / ".lock"))
                assert not looking.done(), "it looked at the points without the run's lock"
            finally:
                wanted.set()
            settle(run.path, ended)
        outcome = looking.result()

    assert [point.ok for point in outcome.points] == [1]
    assert (outcome.state, outcome.jobs[0].state) == ("complete", "complete")
    assert outcome.jobs[0].progress.done == 1


def _awaited(file: Path) -> bool:
    """Tell whether somebody waits for a file's lock."""
    waiting = [line for line in LOCKS.read_text().splitlines() if " -> " in line]
    return any(f":{file.stat().st_ino} " in line for line in waiting)

from __future__ import annotations

import os
import socket

from runner.launch.attempts import attempts
from runner.runs import CANCELLED, RETRY_FINAL
from runner.start import jobs_of, launch_jobs, serve_cached
from tests.commands.conftest import MakeProject


def test_resume_completes_a_run_that_never_started(project: MakeProject) -> None:
    """A command killed before it launched anything loses nothing."""
    made = project({})
    made.prepare()

    outcome = made.ran("resume")

    assert outcome.lines[0] == f"resuming {made.last.name}: 6 of 6 results missing, 1 job"
    assert made.ran("status", "--json").json["state"] == "complete"


def test_resume_of_a_complete_run_asks_nothing(project: MakeProject) -> None:
    """A complete run stays as it is, and says so."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert made.ran("resume").lines[0] == f"{made.last.name}: nothing is missing"
    assert [path.name for path in made.last.job("0-parrot").glob("[0-9]*")] == ["1"]


def test_resume_asks_final_errors_again_only_if_told(project: MakeProject) -> None:
    """Final errors stay out of a resume unless --retry-final is given."""
    made = project({})
    made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=0.5", code=3)
    errors = made.ran("status", "--json", code=3).json["points"][0]["errors"]

    assert "nothing is missing" in made.ran("resume", code=3).lines[0]
    outcome = made.ran("resume", "--retry-final", code=3)

    assert f"and {errors} final errors to ask again" in outcome.lines[0]
    assert (made.last.job("0-parrot") / RETRY_FINAL).exists()


def test_resume_is_refused_while_a_job_lives(project: MakeProject) -> None:
    """The living job is named; once it is cancelled the run can be resumed."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=60")
    launch_jobs(run, jobs_of(run))

    refused = made.ran("resume", code=2)
    cancelled = made.ran("cancel", "last")

    assert f"{run.name} is under way: 0-parrot" in refused.err
    assert cancelled.lines[0] == f"cancelled 1 job of {run.name}: 0-parrot"
    assert made.ran("status", code=1).lines[0] == f"{run.name}  cancelled, started just now"


def test_cancel_of_a_point_leaves_the_others(project: MakeProject) -> None:
    """One point of a shared job is dropped; a run that lacks its results is cancelled, not complete."""
    made = project({})
    run = made.prepare("sampling.temperature=0,1")

    outcome = made.ran("cancel", f"{run.name}/1")
    resumed = made.ran("resume", code=1)

    assert "cancelled: 6 requests, 6 tokens generated" in resumed.lines
    assert (
        outcome.lines[0] == f"cancelled point 1-sampling.temperature=1 of {run.name}; it has 0 of 6 results"
    )
    status = made.ran("status", "--json", code=1).json
    points = status["points"]
    assert (status["state"], status["exit_code"]) == ("cancelled", 1)
    assert [(point["ok"], point["cancelled"]) for point in points] == [(6, False), (0, True)]


def test_point_stays_cancelled_where_its_resume_is_refused(project: MakeProject) -> None:
    """Whatever is in the way, be it long before a launch: the next resume of the run doesn't pay for it."""
    made = project({})
    run = made.prepare("sampling.temperature=0,1")
    made.ran("cancel", f"{run.name}/1")
    run.cache.write_bytes(b"no database, and long enough to be told from an empty one" * 20)

    made.ran("resume", run.name, "1", code=2)

    assert (run.point("1-sampling.temperature=1") / CANCELLED).exists()


def test_cancel_of_every_point_stops_the_job(project: MakeProject) -> None:
    """A running job none of whose points is wanted is cancelled too."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=60")
    launch_jobs(run, jobs_of(run))

    outcome = made.ran("cancel", "last", "0")

    assert outcome.lines[1] == "no other point was left in job 0-parrot: it is cancelled too"
    assert made.ran("status", "--json", code=1).json["jobs"][0]["state"] == "cancelled"


def test_cancel_drops_a_point_of_a_running_job(project: MakeProject) -> None:
    """The worker sees the marker and goes on with the other point."""
    made = project({})
    run = made.prepare(
        "sampling.temperature=0,1", "cluster=local", "engine.latency=0.3", "engine.concurrency=1"
    )
    launch_jobs(run, jobs_of(run))

    outcome = made.ran("cancel", "last", "1")

    assert outcome.lines[1].endswith("and goes on with its other points")
    made.ran("status", "--watch", code=1)
    assert made.ran("status", "--json", code=1).json["points"][0]["ok"] == 6


def test_cancel_knows_what_there_is(project: MakeProject) -> None:
    """Unknown points are refused with the nearest name; what has ended has nothing to cancel."""
    made = project({})
    made.ran("run", "sums.yaml", "-m", "sampling.temperature=0,1")

    assert (
        "did you mean 1-sampling.temperature=1?"
        in made.ran("cancel", "last", "1-sampling.temperature=2", code=2).err
    )
    assert made.ran("cancel", "last").lines[0].startswith("nothing to cancel: no job of")
    assert made.ran("cancel", "last", "0").lines[0].endswith("has all its 6 results")


def test_resume_keeps_a_second_resume_out(project: MakeProject) -> None:
    """Two resumes at once would launch the same jobs; the second is refused."""
    made = project({})
    run = made.prepare()

    with run.launching("resume"):
        outcome = made.ran("resume", code=2)

    holder = f"runner resume, process {os.getpid()} on {socket.gethostname()}"
    assert outcome.err == f"runner: {run.name} is being launched by {holder}\n"


def test_resume_takes_from_the_cache_what_it_holds(project: MakeProject) -> None:
    """A run that was stopped before the cache had served it needs no job."""
    made = project({})
    made.ran("run", "sums.yaml")
    run = made.prepare()

    outcome = made.ran("resume")

    assert outcome.lines[0] == f"{run.name}: nothing is missing; 6 results came from the cache"
    assert "complete: 100 % cached, 0 requests" in outcome.lines
    assert attempts(run.job("0-parrot")) == []


def test_resume_counts_nothing_as_served_twice(project: MakeProject) -> None:
    """Results that the cache completed before are passed over."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=2")
    run = made.prepare()
    serve_cached(run)
    made.ran("run", "sums.yaml")

    outcome = made.ran("resume", run.name)

    assert outcome.lines[0] == f"{run.name}: nothing is missing; 4 results came from the cache"
    assert made.ran("status", run.name, "--json").json["points"][0]["served"] == 6

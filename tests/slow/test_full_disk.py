"""A file that can't grow any more stops the job with one message, and loses nothing that was recorded."""

from __future__ import annotations

import psutil
import pytest

from tests.http_server import HttpServer
from tests.slow.slow_kit import Counting, Project, recorded, results, worker_of
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 400
CONCURRENCY = 8


@pytest.mark.parametrize("room", [0, 333, 5_000])
def test_records_that_cannot_be_written_fail_the_run(
    room: int, project: Project, server: HttpServer, counting: Counting
) -> None:
    """The worker's files are limited to a few bytes more than there are: a line may be cut in the middle."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    started = project.start("run", "exp.yaml")
    counting.wait_total(60)
    run = project.last
    most = (run.jobs[0] / "1" / "records.jsonl").stat().st_size + room
    psutil.Process(worker_of(run)).rlimit(psutil.RLIMIT_FSIZE, (most, most))
    code = started.wait()
    server.wait_until(lambda s: s.open == 0)
    lost = counting.total - recorded(run).total()
    project.command("resume", "last")

    assert code == 1
    assert "records could not be written: [Errno 27] File too large" in started.printed
    assert lost <= CONCURRENCY
    assert counting.total == ROWS + lost
    assert len(results(run)) == ROWS

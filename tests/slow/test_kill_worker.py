"""Kills at any moment lose at most the requests in flight, and a resume asks for those alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.http_server import HttpServer
from tests.slow.slow_kit import Counting, Project, Started, recorded, results
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 700
KILLS = 12
CONCURRENCY = 12
MARGIN = 100
"""Requests that are left for after the last kill, so that every kill meets a living worker."""

TWO_SLOTS = {
    "turns": [
        {"user": "{{ row.q }}"},
        {"generate": "first"},
        {"user": "again: {{ first }}"},
        {"generate": "second"},
    ]
}

Kill = Callable[[Project, Started], None]


def _worker(project: Project, started: Started) -> None:
    started.kill_worker(project.last)


def _tree(_: Project, started: Started) -> None:
    started.kill_tree()


@dataclass(slots=True)
class Casualties:
    """What a series of kills has cost.

    Attributes:
        lost: requests, for each kill, that the server had seen and no attempt had recorded.
        safe: how often each request had been asked when it was found on disk.
    """

    lost: list[int] = field(default_factory=list)
    safe: Counter[str] = field(default_factory=Counter)

    def note(self, asked: Counter[str], on_disk: Counter[str], lost_before: int) -> None:
        """Take stock after a kill."""
        self.lost.append(asked.total() - on_disk.total() - lost_before)
        for text in on_disk:
            self.safe.setdefault(text, asked[text])


def _run_through(project: Project, server: HttpServer, counting: Counting, kill: Kill) -> Casualties:
    """Run the experiment, killing it again and again, and resume until it is complete."""
    seed = random.randrange(1_000_000)
    print("seed", seed)
    moments = sorted(random.Random(seed).sample(range(5, ROWS - MARGIN), KILLS))
    casualties = Casualties()
    started = project.start("run", "exp.yaml")
    for moment in moments:
        counting.wait_total(moment + sum(casualties.lost))
        kill(project, started)
        server.wait_until(lambda s: s.open == 0)
        casualties.note(counting.asked, recorded(project.last), sum(casualties.lost))
        started = project.start("resume", "last")
    assert started.wait() == 0, started.printed
    return casualties


@pytest.mark.parametrize("kill", [_worker, _tree])
def test_kills_cost_only_the_requests_in_flight(
    kill: Kill, project: Project, server: HttpServer, counting: Counting
) -> None:
    """After kill -9 of the worker or of everything, what is on disk is never asked again."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    casualties = _run_through(project, server, counting, kill)
    lines = results(project.last)

    assert [line["slots"]["answer"] for line in lines] == [f"question {n}" for n in range(ROWS)]
    assert max(casualties.lost) <= CONCURRENCY
    assert counting.total - ROWS == sum(casualties.lost)
    assert {text: counting.asked[text] for text in casualties.safe} == casualties.safe


def test_killed_conversations_go_on_at_the_slot_they_had_reached(
    project: Project, server: HttpServer, counting: Counting
) -> None:
    """A slot that was answered is on disk before the next is asked, so a kill repeats no earlier slot."""
    project.rows(ROWS // 2)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY), prompt=TWO_SLOTS)
    casualties = _run_through(project, server, counting, _tree)
    lines = results(project.last)

    assert [line["slots"]["second"] for line in lines] == [f"again: question {n}" for n in range(ROWS // 2)]
    assert max(casualties.lost) <= CONCURRENCY
    assert counting.total - ROWS == sum(casualties.lost)
    assert {text: counting.asked[text] for text in casualties.safe} == casualties.safe

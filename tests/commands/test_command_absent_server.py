"""A server that isn't there is told before anything is written."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from runner.engines.reachable import unreachable
from runner.start import jobs_of
from tests.commands.conftest import MakeProject

ENGINE = "engine={{kind: openai_compatible, base_url: '{}'}}"


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that is nobody else's and refuses connections: bound, without listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_server_that_is_not_there_leaves_nothing(project: MakeProject, closed: int) -> None:
    """The address, what happened at it and what to do, at once; plan asks no server."""
    made = project({})
    url = f"http://127.0.0.1:{closed}/v1"

    refused = made.ran("run", "sums.yaml", ENGINE.format(url), "cluster=local", code=2)
    made.ran("plan", "sums.yaml", ENGINE.format(url))

    problem = f"there is no server at {url}: port {closed} of 127.0.0.1 refuses connections"
    hint = "start it first, or give the address where it runs"
    assert refused.err == f"runner: engine.base_url: {problem}\n    {hint}\n"
    assert not (made.root / "runs").exists()


def test_unknown_host_leaves_nothing(project: MakeProject) -> None:
    """Names under .invalid are nobody's."""
    made = project({})

    refused = made.ran("run", "sums.yaml", ENGINE.format("http://server.invalid/v1"), code=2)

    assert "no host is known by the name server.invalid" in refused.err
    assert not (made.root / "runs").exists()


def test_every_absent_server_of_a_sweep_is_told(project: MakeProject, closed: int) -> None:
    """Each address once, however many points ask it."""
    made = project({})
    urls = [f"http://{host}:{closed}/v1" for host in ("127.0.0.1", "localhost")]
    sweep = f"engine.base_url={','.join(urls)}"
    words = (ENGINE.format("http://h/v1"), sweep, "sampling.temperature=0,1")

    refused = made.ran("run", "sums.yaml", "-m", *words, code=2)

    assert [refused.err.count(url) for url in urls] == [1, 1]


def test_resume_asks_nothing_of_a_server_that_is_gone(project: MakeProject, closed: int) -> None:
    """The run stays as it was, without an attempt."""
    made = project({})
    run = made.prepare(ENGINE.format(f"http://127.0.0.1:{closed}/v1"))

    refused = made.ran("resume", code=2)

    assert f"port {closed} of 127.0.0.1 refuses connections" in refused.err
    assert not [one for job in jobs_of(run) for one in run.job(job.name).glob("[0-9]*")]


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_servers_behind_a_proxy_are_its_affair(
    monkeypatch: pytest.MonkeyPatch, closed: int, variable: str
) -> None:
    """What no_proxy names is asked directly."""
    url = f"http://127.0.0.1:{closed}/v1"
    monkeypatch.setenv(variable, "http://proxy.invalid:3128")

    assert unreachable([url]) == {}
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert unreachable([url]).keys() == {url}


def test_server_that_is_slow_to_answer_is_not_absent() -> None:
    """Connections that a full queue leaves waiting are no refusal."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        first, second = socket.socket(), socket.socket()
        with first, second:
            for one in (first, second):
                one.settimeout(0)
                one.connect_ex(address)
            assert unreachable([f"http://127.0.0.1:{address[1]}"], seconds=0.2) == {}

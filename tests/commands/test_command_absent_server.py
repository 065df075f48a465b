"""A server that isn't there is told before anything is written."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from runner.engines.reachable import unreachable
from runner.start import jobs_of
from tests.commands.adding_server import Adding
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer

ADDED = {"rows.jsonl": '{"question": "1+2", "answer": "3"}\n{"question": "3+4", "answer": "7"}\n'}
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
    assert refused.err == f"runner: engine.base_url (command line): {problem}\n    {hint}\n"
    assert not (made.root / "runs").exists()


def test_unknown_host_leaves_nothing(project: MakeProject) -> None:
    """Names under .invalid are nobody's."""
    made = project({})

    refused = made.ran("run", "sums.yaml", ENGINE.format("http://server.invalid/v1"), code=2)

    assert "no host is known by the name server.invalid" in refused.err
    assert not (made.root / "runs").exists()


def test_every_absent_server_of_a_sweep_is_told(project: MakeProject, closed: int) -> None:
    """Each address once with the points that ask it; where no other point is left, none can be skipped."""
    made = project({})
    urls = [f"http://{host}:{closed}/v1" for host in ("127.0.0.1", "localhost")]
    words = (ENGINE.format("http://h/v1"), f"engine.base_url={','.join(urls)}", "sampling.temperature=0,1")

    refused = made.ran("run", "sums.yaml", "-m", *words, code=2)
    skipped = made.ran("run", "sums.yaml", "-m", *words, "--skip-refused", code=2)

    for told in (refused.err, skipped.err):
        assert [told.count(f"there is no server at {url}") for url in urls] == [1, 1]
        where = f"[engine.base_url={urls[0]}, sampling.temperature=0 and 1 more]"
        assert f"engine.base_url {where} (command line): there is no server" in told
        assert "--skip-refused" not in told
    assert not (made.root / "runs").exists()


def test_points_whose_server_is_not_there_are_named_and_can_be_skipped(
    project: MakeProject, closed: int
) -> None:
    """Without --skip-refused nothing is begun; with it the points at the other address run."""
    made = project(ADDED)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        gone = f"http://127.0.0.1:{closed}/v1"
        sweep = ("-m", ENGINE.format("http://h/v1"), f"engine.base_url={gone},{server.url('/v1')}")

        refused = made.ran("run", "sums.yaml", *sweep, code=2)
        left = (made.root / "runs").exists()
        ran = made.ran("run", "sums.yaml", *sweep, "--skip-refused")

    problem = f"there is no server at {gone}: port {closed} of 127.0.0.1 refuses connections"
    told = f"engine.base_url [engine.base_url={gone}] (command line): {problem}"
    assert refused.err.startswith(f"runner: {told}\n")
    assert "--skip-refused leaves such points out" in refused.err
    assert not left
    assert any(line.startswith(f"  refused: {told}; start it first") for line in ran.lines)
    shown = made.ran("status", "--json").json
    assert [point["name"][:2] for point in shown["points"]] == ["1-"]
    assert [refusal["axes"] for refusal in shown["refused"]] == [{"engine.base_url": gone}]


def test_point_that_is_cached_needs_no_server_beside_one_that_asks(project: MakeProject) -> None:
    """At one address, too: only what has something to ask is left out."""
    made = project(ADDED)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        engine = ENGINE.format(server.url("/v1"))
        made.ran("run", "sums.yaml", engine)
    sweep = ("-m", engine, "sampling.temperature=0,1")

    refused = made.ran("run", "sums.yaml", *sweep, code=2)
    ran = made.ran("run", "sums.yaml", *sweep, "--skip-refused")

    told = "runner: engine.base_url [sampling.temperature=1] (command line): there is no server"
    assert refused.err.startswith(told)
    assert "complete: 100 % cached, 0 requests" in ran.lines


def test_parity_goes_on_without_an_engine_whose_server_is_not_there(
    project: MakeProject, closed: int
) -> None:
    """The engines that are left are compared."""
    gone = f"{{kind: openai_compatible, base_url: 'http://127.0.0.1:{closed}/v1'}}"
    engines = f"{{kind: fake}},{{kind: fake, latency: 0.001}},{gone}"

    made = project({})
    made.ran("parity", "sums.yaml", "--engines", engines, code=2)
    made.ran("parity", "sums.yaml", "--engines", engines, "--skip-refused")

    compared = json.loads((made.last.path / "parity.json").read_text())
    assert [pair["total"] for pair in compared["pairs"]] == [6]


def test_resume_names_the_point_whose_server_is_gone(project: MakeProject, closed: int) -> None:
    """It can be cancelled, and the others go on."""
    made = project(ADDED)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        gone = f"http://127.0.0.1:{closed}/v1"
        run = made.prepare(ENGINE.format("http://h/v1"), f"engine.base_url={server.url('/v1')},{gone}")

        refused = made.ran("resume", code=2)
        made.ran("cancel", run.name, "1")
        made.ran("resume", code=1)
    again = made.ran("resume", run.name, "1", code=2)

    assert refused.err.startswith(f"runner: engine.base_url [engine.base_url={gone}]: there is no server at")
    assert f"or go on without it: runner cancel {run.name} 1" in refused.err
    assert again.err.startswith("runner: engine.base_url: there is no server at")
    assert "go on without" not in again.err
    assert [point["ok"] for point in made.ran("status", "--json", code=1).json["points"]] == [2, 0]


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

"""Task embed from rows to Parquet parts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cache import connect
from runner.commands.report import print_outcome
from runner.errors import ConfigError
from runner.fold import fold_run
from runner.notices import forget_notices
from runner.outcome import run_outcome
from runner.points import PointRecords
from runner.runs import RunFolder
from runner.values import decode_response
from tests.http_server import HttpServer
from tests.work.embedding_server import DIMENSION, Embeddings, vector
from tests.work.work_kit import Lab, Result, served

parquet = pytest.importorskip("pyarrow.parquet")

EMBEDDINGS = "/v1/embeddings"


@pytest.fixture
def server() -> Iterator[tuple[Embeddings, str]]:
    """An embeddings endpoint and its base URL."""
    endpoint = Embeddings()
    with HttpServer({EMBEDDINGS: endpoint}) as running:
        yield endpoint, running.url("/v1")


def embed(lab: Lab, url: str, *, engine: dict[str, Any] | None = None, **keys: Any) -> Result:
    """Run the lab's rows through a server's embeddings."""
    return lab.run(task="embed", engine=served(url, **(engine or {})), scorers={}, **keys)


def texts(count: int) -> list[dict[str, Any]]:
    """Return so many rows."""
    return [{"id": f"r{number}", "q": f"text {number}", "a": ""} for number in range(count)]


def vectors(run: RunFolder, part: int = 0, point: str = "0") -> dict[str, bytes]:
    """Return the vectors of a part by id, as float32."""
    table = parquet.read_table(run.point(point) / f"vectors-{part:05d}.parquet")
    return {row["id"]: struct.pack(f"<{len(row['vector'])}f", *row["vector"]) for row in table.to_pylist()}


def test_vectors_are_exact_through_records_cache_and_parquet(
    lab: Lab, server: tuple[Embeddings, str]
) -> None:
    """Every float32 that the server sent is the one in the Parquet file, in the dataset's order."""
    lab.rows(texts(20))

    result = embed(lab, server[1])

    assert vectors(result.run) == {f"r{number}": vector(f"text {number}") for number in range(20)}
    assert list(vectors(result.run)) == [f"r{number}" for number in range(20)]
    assert [line["value"] for line in result.lines()] == [{"dimension": DIMENSION}] * 20


def test_inputs_that_wait_together_share_a_request(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """With 8 in flight and batches of 4, no request has one input alone, none more than four."""
    lab.rows(texts(32))

    embed(lab, server[1], engine={"batch_size": 4})

    assert max(server[0].batches) == 4
    assert len(server[0].batches) <= 16
    assert sum(server[0].batches) == 32


def test_one_input_that_is_refused_spoils_no_other(lab: Lab) -> None:
    """A batch with an input that is too long is asked in parts: that row alone fails."""
    lab.rows(texts(8))
    refuse = {"text 3": (400, "This model's maximum context length is 8 tokens")}
    with HttpServer({EMBEDDINGS: Embeddings(refuse.get)}) as running:
        result = embed(lab, running.url("/v1"))

    assert (result.count.ok, result.count.errors) == (7, 1)
    assert [line["id"] for line in result.lines() if "error" in line] == ["r3"]


def test_cached_vectors_are_blobs(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """Both caches hold the vector's own bytes, and no text of them."""
    lab.rows(texts(1))

    run = embed(lab, server[1]).run

    for file in (run.cache, run.point("0") / "cache.sqlite"):
        (data,) = connect(file).execute("SELECT response FROM responses").fetchone()
        assert vector("text 0") in data
        assert decode_response(data).embeddings == (vector("text 0"),)


def test_a_second_run_asks_nothing(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """What one run was answered, the next takes from the shared cache, bit for bit."""
    lab.rows(texts(5))
    embed(lab, server[1])

    again = embed(lab, server[1])

    assert server[0].asked.total() == 5
    assert vectors(again.run)["r4"] == vector("text 4")


def test_a_vector_of_another_length_is_its_points_fault_alone(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outcome names it; the other point gets its vectors, and a second run asks nothing."""
    lab.rows(texts(3))
    sweep = {"prompt": ["{{ row.q }}", "other {{ row.q }}"]}
    endpoint = Embeddings(short={"text 1"})
    with HttpServer({EMBEDDINGS: endpoint}) as running:
        runs = [embed(lab, running.url("/v1"), sweep=sweep).run for _ in range(2)]

    for outcome in map(run_outcome, runs):
        assert print_outcome(outcome) == outcome.exit_code == 1
        assert outcome.state == "failed"
        assert "the vector of r1 has 7 numbers, others have 8" in outcome.points[0].fault
        assert list(vectors(RunFolder(Path(outcome.path)), point=outcome.points[1].name)) == [
            "r0",
            "r1",
            "r2",
        ]
    assert capsys.readouterr().out.count("cache=refresh") == 2
    assert endpoint.asked.total() == 6


@pytest.mark.parametrize("cache", [True, False])
def test_a_later_attempt_asks_only_what_is_missing(lab: Lab, cache: bool) -> None:
    """Rows that a server's failure left out are all that is asked again, with the cache and without."""
    lab.rows(texts(10))
    down: dict[str, tuple[int, str]] = {"text 7": (500, "down")}
    endpoint = Embeddings(down.get)
    with HttpServer({EMBEDDINGS: endpoint}) as running:
        first = embed(lab, running.url("/v1"), engine={"max_attempts": 1, "batch_size": 1}, cache=cache)
        assert first.count.missing == 1
        down.clear()
        endpoint.asked.clear()

        second = lab.work(first.run)

    assert endpoint.asked == {"text 7": 1}
    assert len(vectors(second.run)) == 10


def test_float16_is_what_the_parts_hold_when_asked(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """output.dtype decides the type in Parquet; the cache keeps float32."""
    lab.rows(texts(2))

    run = embed(lab, server[1], output={"dtype": "float16"}).run

    schema = parquet.read_schema(run.point("0") / "vectors-00000.parquet")
    assert str(schema.field("vector").type) == f"fixed_size_list<element: halffloat>[{DIMENSION}]"
    with PointRecords(run.point("0") / "cache.sqlite") as records:
        assert all(decode_response(data).embeddings for _, _, data in records.responses())


def test_numbers_instead_of_base64_are_read_exactly(lab: Lab) -> None:
    """A server that answers with numbers gives the same float32."""
    lab.rows(texts(3))
    with HttpServer({EMBEDDINGS: Embeddings(as_list=True)}) as running:
        run = embed(lab, running.url("/v1")).run

    assert vectors(run)["r2"] == vector("text 2")


def test_tokens_of_a_batch_are_shared_out(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """The inputs of a batch have its tokens between them, none lost."""
    lab.rows(texts(7))

    run = embed(lab, server[1]).run

    with PointRecords(run.point("0") / "cache.sqlite") as records:
        used = [decode_response(data).usage.prompt_tokens or 0 for _, _, data in records.responses()]
    assert sum(used) == sum(len(f"text {number}") for number in range(7))


def test_an_unchanged_part_is_not_written_again(lab: Lab, server: tuple[Embeddings, str]) -> None:
    """A fold that brings nothing new to a part leaves its file alone."""
    lab.rows(texts(3))
    result = embed(lab, server[1])
    part = result.run.point("0") / "vectors-00000.parquet"
    before = part.stat().st_ino
    (result.run.point("0") / "metrics.json").unlink()

    lab.work(result.run)

    assert part.stat().st_ino == before


@pytest.mark.parametrize("data", [b"", b"PAR1", b"garbage" * 99])
def test_a_damaged_part_is_made_anew(
    lab: Lab, server: tuple[Embeddings, str], data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the next fold, which names it."""
    forget_notices()
    lab.rows(texts(3))
    run = embed(lab, server[1]).run
    part = run.point("0") / "vectors-00000.parquet"
    before = vectors(run)
    part.write_bytes(data)

    fold_run(run)

    assert vectors(run) == before
    assert f"note: {part} is gone or damaged, and made anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"prompt": {"system": "a", "user": "b"}}, "task embed takes no system or assistant message"),
        ({"samples": 2}, "every sample would be the same"),
        ({"sampling": {"temperature": 0}}, "can't honour temperature"),
        ({"scorers": {"exact": {"kind": "exact_match"}}}, "can't score the answers of task embed"),
        ({"engine": {"kind": "fake"}}, "engine fake can't do embed"),
        ({"task": "score"}, "task score takes pair, and nothing else"),
    ],
)
def test_what_embed_does_not_go_with_is_refused(lab: Lab, keys: dict[str, Any], said: str) -> None:
    """Each is one fault of the plan, and nothing is asked."""
    lab.rows(texts(1))
    declared = {"task": "embed", "engine": served("http://127.0.0.1:9/v1"), "scorers": {}} | keys

    with pytest.raises(ConfigError, match=said):
        lab.prepare(**declared)


def test_points_of_different_tasks_share_no_start(lab: Lab) -> None:
    """A sweep over tasks makes a job for each kind of start."""
    lab.rows(texts(1))
    url = "http://127.0.0.1:9/v1"

    run = lab.prepare(
        engine=served(url), scorers={}, sweep={"task": ["chat", "embed"], "dataset.limit": [1, 2]}
    )

    assert len(run.jobs) == 2

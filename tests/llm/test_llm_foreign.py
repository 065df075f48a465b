"""Inputs and values of Arrow and pydantic, and answers that JSON and Arrow store whole."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import UserList, deque
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pydantic
import pytest
from typing_extensions import TypedDict

from runner import LLM
from runner.errors import ConfigError, InputError
from runner.values import Choice, Response, TokenLogprob
from tests.http_server import HttpServer
from tests.llm.test_llm_calls import fake, sent
from tests.llm.test_llm_values import pooler
from tests.llm.values_server import endpoints

pytestmark = pytest.mark.usefixtures("lab")


class Answer(pydantic.BaseModel):
    """A schema with a part that it refers to."""

    number: int
    parts: list[Part]


class Part(pydantic.BaseModel):
    """The part."""

    word: str


class Plain(TypedDict):
    """A type without methods of its own."""

    word: str


@dataclasses.dataclass
class Turn:
    """A message."""

    role: str
    content: str


class Label(enum.Enum):
    """Two texts."""

    YES = "yes"
    NO = "no"


PART = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


def untitled(schema: Any) -> Any:
    """Return a schema without what pydantic adds for people."""
    if isinstance(schema, dict):
        return {k: untitled(v) for k, v in schema.items() if k not in {"title", "description"}}
    return [untitled(one) for one in schema] if isinstance(schema, list) else schema


def deeper(times: int) -> list[Any]:
    """Return lists within each other."""
    found: list[Any] = []
    for _ in range(times):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        (Answer, untitled(Answer.model_json_schema())),
        (Part, PART),
        (Plain, PART),
        (list[Part], {"type": "array", "items": {"$ref": "#/$defs/Part"}, "$defs": {"Part": PART}}),
        (pydantic.TypeAdapter(Part), PART),
        (Label, {"type": "string", "enum": ["yes", "no"]}),
    ],
)
def test_python_types_are_json_schemas(given: Any, schema: dict[str, Any]) -> None:
    """A class is what a file says by its schema, in a call and in the LLM's own sampling."""
    with HttpServer(endpoints()) as server, pooler(server) as llm:
        in_call = llm._call({"json_schema": given}).point.sampling["json_schema"]
        own = pooler(server, sampling={"json_schema": given})
        in_sampling = own._call({}).point.sampling["json_schema"]

    assert untitled(in_call) == untitled(in_sampling) == schema


def test_tools_take_pydantic_parameters() -> None:
    """Their schema is sent."""
    tool = {"type": "function", "function": {"name": "note", "parameters": Part}}
    assert untitled(sent("x", tools=[tool])["tools"][0]["function"]["parameters"]) == PART


def test_type_without_a_schema_is_refused() -> None:
    """The error names it and where it was given."""
    with HttpServer(endpoints()) as server, pooler(server) as llm:
        with pytest.raises(ConfigError, match="json_schema: Choices has no JSON Schema"):
            llm.generate_sync("x", json_schema=type("Choices", (), {}))
        with pytest.raises(ConfigError, match="temperature: type given, expected text, a number"):
            llm.generate_sync("x", temperature=float)


@pytest.mark.parametrize(
    "given",
    [
        [Turn("user", "hi")],
        deque([{"role": "user", "content": "hi"}]),
        UserList(["hi"]),
        pa.array(["hi"]),
        pa.scalar("hi"),
        pa.chunked_array([["hi"]]),
        pa.table({"role": ["user"], "content": ["hi"]}),
        pa.table({"role": ["user"], "content": ["hi"]}).to_batches()[0],
        [{"role": pa.scalar("user"), "content": pa.scalar("hi")}],
        pa.array([[{"role": "user", "content": "hi"}]])[0],
        [pydantic.create_model("Message", role=(str, "user"), content=(str, "hi"), refusal=(None, None))()],
    ],
)
def test_messages_of_other_libraries_are_messages(given: Any) -> None:
    """One input is sent as its plain form is."""
    assert sent(given)["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("column", [pa.array(["a", "b"]), pa.chunked_array([["a"], ["b"]]), deque("ab")])
def test_columns_are_many_inputs(column: Any) -> None:
    """Of text, and of pairs, for every method that takes many."""
    with fake() as llm:
        assert [one.text for one in llm.batch(column, progress=False)] == ["a", "b"]
    with HttpServer(endpoints()) as server, pooler(server) as llm:
        assert len(llm.embed_sync(column, progress=False)) == 2
        assert llm.score_sync(column) == 0.25
        assert llm.score_sync(zip(column, column, strict=True), progress=False) == [0.25, 0.25]
        assert llm.reward_sync(column, progress=False) == [0.25, 0.25]
        assert llm.rerank_sync(column[0], column) == [0.25, 0.25]
        assert len(llm.loglikelihood_sync(column[0], column)) == 2


def test_sampling_and_sample_take_scalars_of_other_libraries() -> None:
    """Wherever a number, a text or a list may be given."""
    given = {
        "temperature": pa.scalar(0.7, pa.float32()),
        "max_tokens": pa.scalar(5),
        "stop": pa.array(["x", "y"]),
        "logit_bias": {pa.scalar(5): pa.scalar(1.5)},
    }
    body = sent("hi", **given)

    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.7, 5, ["x", "y"])
    assert body["logit_bias"] == {"5": 1.5}
    with fake("{{ sample }}", sampling={"max_tokens": pa.scalar(5)}, cache=pa.scalar(value=False)) as llm:
        assert llm.generate_sync("x", sample=pa.scalar(2)).text == "2"


@pytest.mark.parametrize("number", [3.4028234663852886e38, 65504.0, 16777215.0, 0.1])
def test_float32_is_the_decimal_that_it_was_written_as(number: float) -> None:
    """The largest too, which fewer digits would round up beyond what 32 bits hold."""
    (bias,) = sent("hi", logit_bias={5: pa.scalar(number, pa.float32())})["logit_bias"].values()

    assert bias in (number, 3.4028235e38)


def test_every_other_argument_takes_scalars_too() -> None:
    """Errors, progress, the project and the model."""
    with LLM(pa.scalar("fake:m"), project=pa.scalar(".")) as llm:
        errors, progress = pa.scalar("return"), pa.scalar(value=False)
        (answer,) = llm.batch(["a"], errors=errors, progress=progress, timeout=pa.scalar(9.5))
    assert answer.text == "a"


@pytest.mark.parametrize("given", [str, Answer, pydantic.BaseModel, Label, range(0), deeper(2000)])
def test_what_is_no_input_is_told(given: Any) -> None:
    """Whatever it is."""
    with fake() as llm, pytest.raises(InputError, match="expected"):
        llm.generate_sync(given)


@pytest.mark.parametrize("given", [pa.table({"q": ["a"], "a": ["b"]}), pa.table({"q": ["a"]})])
def test_table_in_place_of_a_column_is_refused(given: Any) -> None:
    """The error names its columns and how one is taken."""
    with fake() as llm, pytest.raises(ConfigError, match=r"its columns: q.*\n.*table\['q'\]"):
        llm.batch(given)


@pytest.mark.parametrize("given", [5, None, pa.scalar("x"), pa.scalar(5)])
def test_one_value_in_place_of_many_inputs_is_refused(given: Any) -> None:
    """Whatever it is, it is no iterable of inputs."""
    with fake() as llm, pytest.raises(ConfigError, match=r"inputs: .*given, expected"):
        llm.batch(given)


def test_missing_value_in_a_column_is_told() -> None:
    """Arrow's null is None, which is no text."""
    with fake() as llm:
        _, missing = llm.batch(pa.array(["a", None]), errors="return", progress=False)
    assert isinstance(missing, InputError)
    assert str(missing) == "input: expected text or a list of messages, not None"


def test_answers_are_stored_whole() -> None:
    """Vectors, scores and log probabilities, by JSON and by Arrow, to the last digit."""
    with HttpServer(endpoints()) as server, pooler(server) as llm:
        answers = {
            "vector": llm.embed_sync(["a", "bc"], progress=False),
            "score": llm.score_sync([("a", "b"), ("a", "bc")], progress=False),
            "class": llm.classify_sync(["a", "b" * 9], progress=False),
            "likely": [llm.loglikelihood_sync(text, ["x"]) for text in "ab"],
        }
    with fake() as llm:
        said = llm.batch(["a b", "c"], progress=False, logprobs=True)
    answers["tokens"] = [one.to_dict()["choices"][0]["logprobs"] for one in said]

    assert json.loads(json.dumps(answers)) == answers
    assert pa.table(answers).to_pydict() == answers
    assert answers["tokens"][1] == [{"token": "c", "logprob": 0.0, "token_id": None, "top": [], "rank": None}]


def test_response_as_a_dict_has_every_field() -> None:
    """The same columns for each response, whatever it has."""
    choice = Choice("x", logprobs=(TokenLogprob("x", -0.5, 3, (("x", -0.5),)),), tool_calls=({"id": "1"},))
    whole = Response(choices=(choice,), embeddings=(b"\x00\x00\x80\x3f",)).to_dict()

    assert whole.keys() == Response().to_dict().keys() == set(Response.__struct_fields__)
    assert whole["embeddings"] == [[1.0]]
    assert whole["choices"][0]["logprobs"] == [
        {"token": "x", "logprob": -0.5, "token_id": 3, "top": [{"token": "x", "logprob": -0.5}], "rank": None}
    ]
    assert json.loads(json.dumps(whole)) == whole
    assert pa.Table.from_pylist([whole]).to_pylist() == [whole]


def test_parsed_value_validates_into_its_class() -> None:
    """As the documentation shows it."""
    with LLM("fake:m", engine={"kind": "fake", "template": '{"word": "hi"}'}) as llm:
        assert Part.model_validate_json(llm.generate_sync("x").text) == Part(word="hi")


class Frame:
    """A table as pandas has them: iterating over it gives the names of its columns."""

    columns = ("first", "second")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return 1

    def to_dict(self, orient: str) -> list[dict[str, str]]:
        assert orient == "records"
        return [{"first": "a", "second": "b"}]


@pytest.mark.parametrize("table", [pa.table({"first": ["a"], "second": ["b"]}), Frame()])
@pytest.mark.parametrize("task", ["embed", "score", "classify", "reward"])
def test_table_is_refused_by_each_task_with_the_names_of_its_columns(task: str, table: Any) -> None:
    """A table of pairs is no pair either, though the names of its columns are texts."""
    with (
        HttpServer(endpoints()) as server,
        pooler(server) as llm,
        pytest.raises(ConfigError, match=r"a table given.*columns: first, second"),
    ):
        getattr(llm, f"{task}_sync")(table, progress=False)

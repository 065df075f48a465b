"""A call's request on its way: what is asked, by which key, and what came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.engines.chunks import Chunk
from runner.engines.input_rules import input_findings
from runner.engines.sending import Sending
from runner.errors import InputError
from runner.llm.declared import Call, Declared
from runner.llm.inputs import Input, request_input
from runner.plan import PlannedPoint
from runner.values import Input as RequestInput
from runner.values import Request, Response


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a call; built where its caller waits."""

    call: Call
    input: RequestInput
    sample: int
    seconds: float | None = None
    """Most time from sending to the response."""

    def sending(self, hear: Callable[[Chunk], None] | None) -> Sending | None:
        """Return how it is sent to a caller who hears its chunks, or who limits the time."""
        point = self.call.point
        experiment = point.experiment
        if hear is not None and point.kind.honours(experiment.engine).no_pieces(
            experiment.task, point.sampling
        ):
            hear = None
        return None if hear is None and self.seconds is None else Sending(hear, self.seconds)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its key."""

    point: PlannedPoint
    request: Request
    canonical: bytes
    key: bytes
    sending: Sending | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and whether it was stored before."""

    response: Response
    cached: bool


def ask_for(declared: Declared, call: Call, given: Input, sample: int, seconds: float | None = None) -> Ask:
    """Return the request that a call makes of its input.

    Raises:
        InputError: nothing can be made of the input.
        ConfigError: the engine takes no such input.
    """
    point = call.point
    root = declared.places.root
    content = request_input(given, point.experiment.task, point.kind, root)
    for found in input_findings(content, point.sampling, point.experiment.task):
        raise InputError(f"{found.place}: {found.problem}; {found.hint}")
    return Ask(call, content, sample, seconds)

"""Sampling parameters, spelled as vLLM and the OpenAI API spell them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from runner.spec.base import LARGEST, Spec
from runner.spec.exact import FILLED

CONSTRAINTS = ("json_schema", "regex", "choice")
"""Parameters that an answer has to obey; at most one of them."""

GO_WITH = {
    "top_logprobs": ("logprobs", "needs logprobs"),
    "tool_choice": ("tools", "needs tools"),
    "length_penalty": ("use_beam_search", "needs beam search"),
}
"""Parameter -> what it is nothing without, and what is told then."""


def _as_list(value: Any) -> Any:
    """Let one string stand for a list of it."""
    return [value] if isinstance(value, str) else value


Texts: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])
]
"""Several texts, or one that stands for a list of it."""
_Stop: TypeAlias = Annotated[str, Field(min_length=1)]
_Token: TypeAlias = Annotated[int, Field(ge=0)]
_Stops: TypeAlias = Annotated[tuple[_Stop, ...], Field(max_length=16)]


MOST_SAMPLES = 1_000_000
"""Most independent answers for a row."""

MOST_CHOICES = 1000
"""Most choices in one response."""


def is_template(value: Any) -> bool:
    """Tell whether a value is a template that each row fills, such as ``"{{ row.temperature }}"``."""
    return isinstance(value, str) and "{{" in value


def _widened(schema: dict[str, Any]) -> None:
    """Let every parameter also be a template in the JSON Schema."""
    template = {
        "type": "string",
        "pattern": r"\{\{.*\}\}",
        "patternErrorMessage": 'a template such as "{{ row.x }}"',
        "title": "Template that each row fills",
    }
    for name, told in schema["properties"].items():
        if name == "as":
            continue
        shown = {key: told.pop(key) for key in ("title", "description", "default") if key in told}
        options = told.pop("anyOf", None) or [dict(told)]
        told.clear()
        told.update(shown, anyOf=[*options, template])


def _some_mass(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Refuse the 0 that some libraries take for greedy decoding, and vLLM and most others refuse."""
    if type(value) in {int, float} and value == 0:
        raise ValueError("0 leaves no token; for the likeliest one, write temperature: 0")
    return read(value)


class Sampling(Spec, json_schema_extra=_widened):
    """What is left out is resolved to the engine's stated default when the plan is made, and sent.

    Any value may be a template, such as ``"{{ row.temperature }}"``: each row then has its own.
    """

    temperature: float | None = Field(None, ge=0)
    """0 is greedy."""
    top_p: Annotated[float | None, WrapValidator(_some_mass)] = Field(None, gt=0, le=1)
    """Nucleus sampling: the smallest set of tokens with this much probability."""
    top_k: int | None = Field(None, ge=1)
    """Only the k most likely tokens; left out means all of them."""
    min_p: float | None = Field(None, ge=0, le=1)
    """Only tokens at least this likely, relative to the most likely one."""
    max_tokens: int | None = Field(None, ge=1)
    """Most tokens to generate for one answer."""
    min_tokens: int | None = Field(None, ge=0)
    """Fewest tokens to generate before the answer may end."""
    stop: Annotated[_Stops, BeforeValidator(_as_list, json_schema_input_type=_Stop | _Stops)] | None = None
    """Strings that end the answer; they are not part of it. One string or a list."""
    stop_token_ids: tuple[_Token, ...] | None = None
    """Tokens that end the answer, beside the model's own."""
    ignore_eos: bool | None = None
    """Go on past the model's own end, up to max_tokens."""
    seed: int | None = Field(None, ge=0, le=LARGEST - MOST_SAMPLES * MOST_CHOICES)
    """Seed of the first sample; sample k is sent seed + k x n, a signed 64-bit integer."""
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    """Choices in one response; `samples` asks for independent answers instead."""
    logprobs: bool | None = None
    """Return the log probability of each token of the answer."""
    top_logprobs: int | None = Field(None, ge=0, le=20)
    """Also return this many alternatives for each token; needs logprobs."""
    prompt_logprobs: int | None = Field(None, ge=0, le=20)
    """Return the log probability of each token of the prompt, with this many alternatives."""
    return_token_ids: bool | None = None
    """Return the token ids of prompt and answer."""
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    """Flat penalty on tokens that already appeared in the answer."""
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    """Penalty that grows with each appearance in the answer."""
    repetition_penalty: float | None = Field(None, gt=0)
    """Divides the scores of tokens seen in prompt or answer; 1 is none."""
    logit_bias: dict[_Token, float] | None = None
    """Added to the scores of tokens, by token id."""
    use_beam_search: bool | None = None
    """Search the n likeliest answers instead of drawing."""
    length_penalty: float | None = None
    """Of beam search: above 1 favours long answers."""
    json_schema: dict[str, JsonValue] | str | None = None
    """JSON Schema that the answer obeys: a map, or the path of a .json file; the value is in `parsed`."""
    regex: str | None = Field(None, min_length=1)
    """Regular expression that the whole answer matches."""
    choice: tuple[str, ...] | None = Field(None, min_length=1)
    """The answer is one of these strings."""
    tools: tuple[dict[str, JsonValue], ...] | str | None = None
    """Tools in the OpenAI form, or the path of a .json file; calls are returned, never executed."""
    tool_choice: Literal["auto", "none", "required"] | dict[str, JsonValue] | None = None
    """Whether the model must call a tool, or which one."""
    reasoning_effort: str | None = Field(None, min_length=1)
    """How long a reasoning model thinks, such as low, medium or high."""
    continue_final_message: bool | None = None
    """The last message is the assistant's, and the answer goes on from where it ends."""
    chat_template_kwargs: dict[str, JsonValue] | None = None
    """Variables of the model's chat template, such as enable_thinking."""
    passthrough: dict[str, JsonValue] | None = None
    """Sent verbatim beside the rest: what the engine takes and this list hasn't."""
    _templates: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _by_row(cls, data: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Set templates apart from the values: only a row can fill them."""
        found: dict[str, str] = {}
        if isinstance(data, dict) and info.context != FILLED:
            found = {k: v for k, v in data.items() if k in cls.model_fields and k != "as" and is_template(v)}
            data = {name: value for name, value in data.items() if name not in found}
        sampling = validate(data)
        sampling._templates = found  # noqa: SLF001 - its own
        # Of templates, each row may fill another one.
        given = [name for name in CONSTRAINTS if getattr(sampling, name) is not None]
        if len(given) > 1:
            raise ValueError(f"an answer obeys one of {', '.join(CONSTRAINTS)}; given: {', '.join(given)}")
        return sampling

    @model_serializer(mode="wrap")
    def _whole(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**serialize(self), **self._templates}

    def given(self) -> dict[str, Any]:
        """Return the parameters that were declared, as JSON has them; templates as they were written."""
        own = {name: list(v) if isinstance(v, tuple) else v for name, v in self if v is not None}
        if self.logit_bias is not None:
            own["logit_bias"] = {str(token): bias for token, bias in self.logit_bias.items()}
        return own | self._templates

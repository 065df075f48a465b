"""The model that an experiment asks."""

from __future__ import annotations

from pydantic import Field

from runner.spec.base import Spec


class Model(Spec):
    """Weights or the name of a served model.

    In YAML a model may also carry `engine`, `topology` and `sampling`: they are laid under the
    experiment's own when the config is composed, and do not reach this value.
    """

    name: str = Field(min_length=1)
    """A folder of weights, a hub name such as Qwen/Qwen2.5-7B-Instruct, or an API's model name."""
    revision: str | None = None
    """Hub commit, tag or branch; for a served model, what names the weights behind the address."""
    dtype: str | None = None
    """Such as bfloat16 or float32; left out means what the weights are stored in."""
    quantization: str | None = None
    """As the engine spells it, such as awq, gptq or fp8."""
    tokenizer: str | None = None
    """Another tokenizer than the model's own: a folder or file (relative to the root), or a hub name."""
    chat_template: str | None = None
    """Another chat template than the model's own: a Jinja2 file below the project root."""
    adapter: str | None = Field(None, min_length=1)
    """A LoRA adapter on top of the weights: a folder with adapter_config.json, or a hub name."""
    omit: tuple[str, ...] = ()
    """Sampling parameters that are not sent to this model, whatever the experiment says."""

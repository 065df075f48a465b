"""GPUs that one copy of a model is spread over."""

from __future__ import annotations

from pydantic import Field

from runner.spec.base import Spec


class Topology(Spec):
    """Sizes multiply: a model needs tensor x pipeline x data parallel devices."""

    tensor_parallel_size: int = Field(1, ge=1)
    """Devices that share each layer."""
    pipeline_parallel_size: int = Field(1, ge=1)
    """Groups of devices that hold successive layers."""
    data_parallel_size: int = Field(1, ge=1)
    """Copies of the model behind one engine."""
    replicas: int = Field(1, ge=1)
    """Engines of their own behind one job; more than 1 is not built yet."""

    @property
    def devices(self) -> int:
        """Devices for one engine."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

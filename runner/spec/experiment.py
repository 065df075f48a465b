"""One point of an experiment, validated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SerializeAsAny

from runner.spec.base import Spec, said
from runner.spec.cluster import Cluster, LocalCluster
from runner.spec.dataset import Dataset
from runner.spec.engine import EngineSettings
from runner.spec.model import Model
from runner.spec.output import Output
from runner.spec.prompt import Prompt
from runner.spec.sampling import MOST_SAMPLES, Sampling
from runner.spec.scorer import FailedRows, ScorerSettings
from runner.spec.topology import Topology


class Experiment(Spec):
    """Everything that one point needs to run.

    The fields `engine` and `scorers` are narrowed to the registered kinds by
    `runner.schema.experiment_type`, which is what validates a config.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        json_schema_extra=said(
            "a letter or digit, then up to 99 letters, digits, dots, _ and -, such as addition-2"
        ),
    )
    """Names the folder under runs/; left out means the file's name."""
    task: Literal["chat", "complete", "embed", "score", "rerank", "classify", "reward", "loglikelihood"] = (
        "chat"
    )
    """chat sends messages; complete sends the prompt as it is, without a chat template; embed gives vectors,
    score a number for a pair, rerank one for each document, classify classes, reward a number for a text or
    a conversation, loglikelihood how likely continuations are."""
    model: Model
    """An option of conf/model/, hf:ORG/NAME, KIND:NAME for an engine kind, or a map."""
    engine: SerializeAsAny[EngineSettings]
    """An option of conf/engine/ or a map with `kind`; a model may bring its own."""
    topology: Topology = Topology()
    """GPUs for one copy of the model."""
    sampling: Sampling = Sampling()
    """How answers are drawn."""
    samples: int = Field(1, ge=1, le=MOST_SAMPLES)
    """Independent answers for each row."""
    prompt: Prompt
    """A folder of templates/, one string, or a map."""
    dataset: Dataset
    """An option of conf/dataset/, a path, or a map."""
    scorers: dict[str, SerializeAsAny[ScorerSettings]] = Field(default_factory=dict)
    """Scorers by name: a list of options of conf/scorers/, or a map."""
    failed_rows: FailedRows = "exclude"
    """What a row that failed for good, or that a scorer failed on, counts as: exclude leaves it out of the
    scores, wrong gives it the score 0. A scorer may have its own."""
    cluster: Cluster = LocalCluster()
    """An option of conf/cluster/: local, inline, slurm; or a map, of kind local unless it names another."""
    cache: bool | Literal["refresh", "strict"] = True
    """true asks only what no earlier run asked; strict also counts the engine's version; refresh asks anew;
    false neither reads nor fills the cache."""
    output: Output = Output()
    """What results are written as."""
    max_errors: int | None = Field(None, ge=1)
    """Stop the job once this many rows have failed for good."""

    @property
    def reads_cache(self) -> bool:
        """Whether answers of earlier runs count."""
        return self.cache in {True, "strict"}

    @property
    def fills_cache(self) -> bool:
        """Whether its answers count for later runs, and for equal requests of this one."""
        return self.cache is not False

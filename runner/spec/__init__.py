"""What YAML declares, as frozen values."""

from runner.spec.base import LARGEST
from runner.spec.cluster import CLUSTER_KINDS, Cluster, InlineCluster, LocalCluster, SlurmCluster, gpus_of
from runner.spec.dataset import CsvDataset, Dataset, JsonlDataset, ParquetDataset, Shard
from runner.spec.engine import ENV_NAME, EngineSettings, EnvName
from runner.spec.experiment import Experiment
from runner.spec.model import Model
from runner.spec.output import Output
from runner.spec.prompt import Prompt, Slot, Turn
from runner.spec.sampling import Sampling
from runner.spec.scorer import FailedRows, ScorerSettings
from runner.spec.topology import Topology

__all__ = [
    "CLUSTER_KINDS",
    "ENV_NAME",
    "LARGEST",
    "Cluster",
    "CsvDataset",
    "Dataset",
    "EngineSettings",
    "EnvName",
    "Experiment",
    "FailedRows",
    "InlineCluster",
    "JsonlDataset",
    "LocalCluster",
    "Model",
    "Output",
    "ParquetDataset",
    "Prompt",
    "Sampling",
    "ScorerSettings",
    "Shard",
    "Slot",
    "SlurmCluster",
    "Topology",
    "Turn",
    "gpus_of",
]

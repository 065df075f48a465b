"""The only user of Hydra and OmegaConf: file + overrides (+ sweep) -> points."""

from runner.config.complete import completions
from runner.config.compose import compose, experiment_names, find_experiment
from runner.config.interpolation import literal
from runner.config.overrides import OwnOverride, override_text, sweep_values
from runner.config.point import Composition, Point, RefusedPoint
from runner.config.show import defaults_info, raw_config
from runner.config.user_schema import json_schema
from runner.config.verdict import axes_text, located

__all__ = [
    "Composition",
    "OwnOverride",
    "Point",
    "RefusedPoint",
    "axes_text",
    "completions",
    "compose",
    "defaults_info",
    "experiment_names",
    "find_experiment",
    "json_schema",
    "literal",
    "located",
    "override_text",
    "raw_config",
    "sweep_values",
]

"""The only user of Hydra and OmegaConf: file + overrides (+ sweep) -> points."""

from runner.config.compose import compose
from runner.config.point import Composition, Point

__all__ = ["Composition", "Point", "compose"]

"""stub"""
from __future__ import annotations
from runner.config.document import Document
from runner.config.reader import Reader
from runner.values import Json
def needs_hydra(document: Document) -> bool: return False
def hydra_option(reader: Reader, group: str, name: str) -> dict[str, Json]: raise NotImplementedError

"""Rows of a dataset: streamed, in the order an experiment reads them."""

from runner.data.check import DatasetFacts, check_rows, columns
from runner.data.csv_table import undivided
from runner.data.guard import RowGuard
from runner.data.rows import Rows, open_rows

__all__ = ["DatasetFacts", "RowGuard", "Rows", "check_rows", "columns", "open_rows", "undivided"]

"""Submits jobs to Slurm, and cancels them there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from itertools import batched
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from runner.errors import ConfigError, Fault, RunnerError, UserError
from runner.launch.attempts import next_attempt
from runner.launch.submission import JobRequest, Submission, submitit_folder, write_submission
from runner.spec import SlurmCluster

_OWN_KEYS = {
    "account": "account",
    "array": "array_parallelism",
    "cpus_per_task": "cpus",
    "gpus_per_node": "gpus",
    "gres": "gres",
    "mem": "memory",
    "partition": "partition",
    "qos": "qos",
    "time": "time",
}
_RESERVED = frozenset({"error", "open_mode", "output", "parsable", "wrap"})
_SECONDS = 120
"""How long one of Slurm's commands may take."""

"""Inference servers that a job starts: their processes, from the command line to the last child."""

from runner.servers.process import Server, ServerExitedError, ServerStart, free_port
from runner.servers.watch import Watch

__all__ = ["Server", "ServerExitedError", "ServerStart", "Watch", "free_port"]

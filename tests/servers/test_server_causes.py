"""The message about a server that failed gives the first cause in its log, not the last consequence."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from runner.servers.cause import causes

PROGRAMS = {
    "the first of a chain": (
        """
        try:
            raise MemoryError("7.41 of 10.21 GiB are free")
        except MemoryError as error:
            raise RuntimeError("Engine core initialization failed. See root cause above.") from error
        """,
        ["MemoryError: 7.41 of 10.21 GiB are free"],
    ),
    "another exception while one was handled": (
        """
        try:
            {}["rope"]
        except KeyError:
            raise ValueError("the config has no rope")
        """,
        ["KeyError: 'rope'", "ValueError: the config has no rope"],
    ),
    "a child process": (
        """
        import multiprocessing, sys
        def work():
            raise ValueError("No available memory for the cache blocks. Try less")
        child = multiprocessing.get_context("fork").Process(target=work, name="EngineCore_DP0")
        child.start()
        child.join()
        sys.stderr.flush()
        raise RuntimeError("Engine core proc EngineCore_DP0 died unexpectedly, see stack trace above")
        """,
        ["ValueError: No available memory for the cache blocks. Try less"],
    ),
    "logged with a prefix": (
        """
        import logging, sys
        class Lines(logging.Formatter):
            def format(self, record):
                return "\\n".join(f"(EngineCore_DP0 pid=7) ERROR 12-01 12:00:00 [core.py:100] {line}"
                                 for line in super().format(record).splitlines())
        handler = logging.StreamHandler()
        handler.setFormatter(Lines())
        logging.getLogger().addHandler(handler)
        try:
            open("/nowhere/config.json")
        except OSError:
            logging.exception("EngineCore failed to start.")
        raise RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")
        """,
        ["FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/config.json'"],
    ),
    "a wrong option": (
        """
        import argparse
        argparse.ArgumentParser(prog="vllm serve").parse_args(["--nonsense"])
        """,
        ["vllm serve: error: unrecognized arguments: --nonsense"],
    ),
    "a module that is missing": (
        "import nonsense_that_is_nowhere",
        ["ModuleNotFoundError: No module named 'nonsense_that_is_nowhere'"],
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_cause_of_a_program_that_failed(case: str) -> None:
    program, expected = PROGRAMS[case]

    command = [sys.executable, "-c", dedent(program)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ended.returncode != 0
    assert causes(ended.stderr.splitlines()) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "[rank0]: torch.OutOfMemoryError: CUDA out of memory.",
            "torch.OutOfMemoryError: CUDA out of memory.",
        ),
        ("[2026-12-01 12:00:00 TP0] RuntimeError: Not enough memory.", "RuntimeError: Not enough memory."),
        ("2026-12-01 12:00:00,123 - ERROR - OSError: gone is no folder", "OSError: gone is no folder"),
        ("\x1b[31mERROR\x1b[0m 12-01 12:00:00 [core.py:7] AssertionError", "AssertionError"),
        ("ERROR:    [Errno 98] error while binding: address already in use", "address already in use"),
    ],
)
def test_prefixes_of_loggers_are_passed_over(line: str, expected: str) -> None:
    found = causes(["INFO starting", line, "Received sigquit from a child process. The child failed."])

    assert len(found) == 1
    assert found[0].endswith(expected)


def test_without_an_exception_the_last_telling_lines_count() -> None:
    assert causes(["loading", "cannot open the device", "bye"]) == ["cannot open the device"]
    assert causes(["one", "two", "three", "four"]) == ["two", "three", "four"]
    assert causes([]) == []

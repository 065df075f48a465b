"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--repeat", type=int, default=1, help="how often to run each test: trials of chance")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if (times := metafunc.config.getoption("--repeat")) > 1:
        metafunc.fixturenames.append("trial")
        metafunc.parametrize("trial", range(times))


@pytest.fixture(autouse=True, scope="session")
def _signals_of_a_terminal() -> None:
    """Whatever runs in the background, or under nohup, is given these ignored, and so is what it starts."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

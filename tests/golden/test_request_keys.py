"""The keys of requests never change by accident: a cache that was paid for stays good."""

from __future__ import annotations

import json

import pytest

from tests.golden.golden_keys import EXPERIMENTS, KEYS, keys_of


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_request_keys_are_those_of_earlier_versions(name: str) -> None:
    """Each request of the experiment has the key that it had when it was first recorded."""
    golden = json.loads(KEYS.read_text(encoding="utf-8"))

    assert keys_of(EXPERIMENTS[name]) == golden[name]

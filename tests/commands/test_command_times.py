"""Times of answers that come in pieces stand in the table of results."""

from __future__ import annotations

import json
import re

from tests.commands.conftest import MakeProject


def test_medians_stand_beside_the_scores(project: MakeProject) -> None:
    """In run and status, in milliseconds; status --json has them in seconds, as metrics.json does."""
    made = project({})

    ran = made.ran("run", "sums.yaml", "engine={kind: fake, latency: 0.05, stream: true, template: one two}")
    status = made.ran("status")
    (point,) = json.loads(made.ran("status", "--json").out)["points"]

    for outcome in (ran, status):
        names, values = next(
            (above, below)
            for above, below in zip(outcome.lines, outcome.lines[1:], strict=False)
            if above.startswith("point")
        )
        assert re.split(r" {2,}", names.strip()) == [
            "point",
            "answered",
            "exact_match",
            "first token",
            "inter-token",
        ]
        first, between = re.findall(r"([\d.]+) ms", values)
        # A timer of uvloop may ring some milliseconds early.
        assert 30 <= float(first) < 5000
        assert float(first) == round(point["times"]["first_token"]["median"] * 1000, 1)
        assert float(between) < float(first)


def test_answers_at_once_have_no_such_column(project: MakeProject) -> None:
    """Nothing is made up for them."""
    ran = project({}).ran("run", "sums.yaml")

    assert not any("token" in line for line in ran.lines if line.startswith("point"))

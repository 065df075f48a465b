"""How much memory jobs of this machine may use, as the files of its control groups tell."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from runner.launch.memory import host_memory

TOTAL = psutil.virtual_memory().total
UNLIMITED = "9223372036854771712"


def machine(root: Path, groups: str, files: dict[str, str]) -> int:
    """Return the memory of a machine whose files lie below *root*."""
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return host_memory(root)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {}, TOTAL),
        ("0::/job/step", {"sys/fs/cgroup/job/step/memory.max": "max"}, TOTAL),
        ("0::/job/step", {"sys/fs/cgroup/job/step/memory.max": "5000000"}, 5_000_000),
        (
            "0::/job/step",
            {
                "sys/fs/cgroup/memory.max": "8000000",
                "sys/fs/cgroup/job/memory.max": "3000000",
                "sys/fs/cgroup/job/step/memory.max": "max",
            },
            3_000_000,
        ),
        ("0::/../gone", {"sys/fs/cgroup/memory.max": "7000000"}, 7_000_000),
        ("0::/job", {"sys/fs/cgroup/job/memory.max": str(2 * TOTAL)}, TOTAL),
        (
            "5:cpu,memory:/slurm/job\n1:cpu:/other\n0::/",
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED,
                "sys/fs/cgroup/memory/slurm/job/memory.limit_in_bytes": "6000000",
                "sys/fs/cgroup/memory/other/memory.limit_in_bytes": "1000000",
            },
            6_000_000,
        ),
    ],
)
def test_least_limit_of_the_groups_around_counts(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int
) -> None:
    """In either version of control groups; others' groups and those out of sight don't count."""
    assert machine(tmp_path, groups, files) == expected


def test_machine_without_control_groups_has_all_of_its_memory(tmp_path: Path) -> None:
    """Such as one that runs no Linux."""
    assert host_memory(tmp_path) == TOTAL


def test_this_machine_can_be_asked() -> None:
    """Whatever limits it sets."""
    assert 0 < host_memory() <= TOTAL

"""Whether what a plan wants can be launched from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.launch import check_cluster

if TYPE_CHECKING:
    from runner.plan import Plan
    from runner.spec import Cluster


def check_clusters(plan: Plan) -> None:
    """Refuse a plan that can't be launched here; each cluster is asked once, for its largest job.

    Raises:
        UserError: too few GPUs, or no Slurm that answers.
    """
    largest: dict[str, tuple[Cluster, int]] = {}
    for job in plan.jobs:
        cluster = job.points[0].experiment.cluster
        key = cluster.model_dump_json()
        largest[key] = (cluster, max(job.devices, largest.get(key, (cluster, 0))[1]))
    for cluster, devices in largest.values():
        check_cluster(cluster, devices)

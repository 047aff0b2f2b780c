"""The one way out: an exact aggregate share goes in, a noisy one comes out.

Every aggregator adds the full noise of the task to its own share, so any one honest
aggregator gives the whole privacy guarantee. Source: design.md, section 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance import privacy
from grievance.pool.noisy import NoisyAggregateShare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.task import Task


def add_noise(
    task: Task, release: str, aggregator: str, aggregate: Sequence[int], statistics: Sequence[str]
) -> NoisyAggregateShare:
    """Project our aggregate share onto the released statistics and add fresh full noise.

    `aggregate` has one field element per bit of the layout. Run once per release, inside the
    step that charges the ledger; noise is never drawn twice for one release.

    Raises PrivacyError when the sampler would add less noise than the task was charged for.
    """
    modulus = task.vdaf.field.MODULUS
    layout, reports = task.layout, task.plan.privacy.reports_per_worker
    values: dict[str, tuple[int, ...]] = {}
    for name in statistics:
        given, statistic = task.allocations[name], layout.statistics[name]
        if given.mechanism == "gaussian":
            sensitivity = reports**2 * statistic.l2_squared
        else:
            sensitivity = reports * statistic.l1
        privacy.check_opendp(given.mechanism, given.scale, sensitivity, given.cost.amount)
        exact = layout.project(name, aggregate, modulus)
        scales = [given.scale * factor for factor in layout.noise_scale(name)]
        noise = privacy.draw(given.mechanism, scales)
        values[name] = tuple((a + b) % modulus for a, b in zip(exact, noise, strict=True))
    return NoisyAggregateShare(release, aggregator, values)

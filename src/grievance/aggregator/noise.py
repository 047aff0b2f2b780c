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
    layout, plan = task.layout, task.plan
    values: dict[str, tuple[int, ...]] = {}
    for name in statistics:
        sigma, statistic = task.allocations[name].sigma, layout.statistics[name]
        l2_squared = plan.privacy.reports_per_worker**2 * statistic.l2_squared
        privacy.check_opendp(sigma, l2_squared, task.allocations[name].cost.amount)
        exact = layout.project(name, aggregate, modulus)
        noise = privacy.draw([sigma * scale for scale in layout.noise_scale(name)])
        values[name] = tuple((a + b) % modulus for a, b in zip(exact, noise, strict=True))
    return NoisyAggregateShare(release, aggregator, values)

"""The one way out: an exact aggregate share goes in, a noisy one comes out.

Every aggregator adds the full noise of the task to its own share, so any one honest
aggregator gives the whole privacy guarantee. Source: docs/design.md, section 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance import privacy
from grievance.crypto.documents import b64encode, sign_document
from grievance.pool.noisy import KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey
    from grievance.task import Task


def add_noise(
    task: Task, aggregate: Sequence[int], statistics: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Project an aggregate share onto the released statistics and add fresh full noise.

    `aggregate` has one field element per bit of the layout. Returns, for each statistic, its
    noisy coordinates as field elements.

    Raises PrivacyError when the sampler would add less noise than the task was charged for.
    """
    modulus = task.vdaf.field.MODULUS
    layout, reports = task.layout, task.plan.privacy.reports_per_worker
    values: dict[str, tuple[int, ...]] = {}
    for name in statistics:
        given, statistic = task.allocations[name], layout.statistics[name]
        noisy = privacy.noise_of(given.mechanism)
        sensitivity = noisy.whole(noisy.sensitivity(statistic), reports)
        privacy.check_opendp(given.mechanism, given.scale, sensitivity, given.cost.amount)
        exact = layout.project(name, aggregate, modulus)
        scales = [given.scale * factor for factor in layout.noise_scale(name)]
        noise = privacy.draw(given.mechanism, scales)
        values[name] = tuple((a + b) % modulus for a, b in zip(exact, noise, strict=True))
    return values


class NoisyAggregateShare:
    """One aggregator's share of a release: the only thing derived from answers that it signs.

    Making one draws the noise, so there is none without, and a second one is other noise: it is
    made at one place, inside the step that charges the ledger. What others read of it is a
    `PublishedNoisyShare`, which has no signature to give. One share alone is uniform noise.
    """

    __slots__ = ("_aggregator", "_release", "_task", "_values")

    def __init__(
        self,
        task: Task,
        release: str,
        aggregator: str,
        aggregate: Sequence[int],
        statistics: Sequence[str],
    ) -> None:
        self._task, self._release, self._aggregator = task, release, aggregator
        self._values = add_noise(task, aggregate, statistics)

    def sign(self, key: SigningKey) -> bytes:
        """Make the signed file. Signing is deterministic: the same share gives the same bytes."""
        field = self._task.vdaf.field
        body = {
            "task": self._task.digest.hex(),
            "release": self._release,
            "aggregator": self._aggregator,
            "statistics": {n: b64encode(field.encode_vec(v)) for n, v in self._values.items()},
        }
        return sign_document(KIND, body, key)

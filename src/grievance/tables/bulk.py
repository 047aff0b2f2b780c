"""Sealing many rows at once: the kernels split them, everything else is as for one report.

Same bytes as the reference for the same randomness. Loads NumPy and Numba, so only large
tables come here. Source: docs/design.md, sections 6 and 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grievance.client.commitment import nonce_of
from grievance.client.seal import draw, seal_shares
from grievance.errors import AnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.kernels import BatchPrio3
    from grievance.task import Task


class BulkSealer:
    """Seals chunks of rows for one task. Made once per process; it holds tables."""

    def __init__(self, task: Task) -> None:
        from grievance.kernels import BatchPrio3

        self._task = task
        self._kernels: BatchPrio3 = BatchPrio3(task.vdaf)

    def seal(self, rows: Sequence[Mapping[str, object]]) -> list[bytes | AnswerError]:
        """Return for every row the report's bytes, or why the plan refuses its answers."""
        task = self._task
        sealed: list[bytes | AnswerError] = [b""] * len(rows)
        drawn, places = [], []
        for place, answers in enumerate(rows):
            try:
                drawn.append(draw(task, answers))
                places.append(place)
            except AnswerError as error:
                sealed[place] = error
        if not drawn:
            return sealed
        bits = np.array([row.bits for row in drawn], np.uint8)
        nonces = _matrix([nonce_of(row.commitment) for row in drawn])
        rand = _matrix([row.rand for row in drawn])
        publics, inputs = self._kernels.shard(task.ctx, bits, nonces, rand)
        for number, place in enumerate(places):
            shares = [share[number].tobytes() for share in inputs]
            report = seal_shares(task, drawn[number], publics[number].tobytes(), shares)
            sealed[place] = report.to_bytes()
        return sealed


def _matrix(rows: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)

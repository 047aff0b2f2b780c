"""Test points that are roots of unity, among ordinary ones in one batch.

No hash gives such a point in a lifetime, so doubles put it there: for the kernel one that
writes it into the query randomness just before the query, for the reference one that
returns it.
"""

from __future__ import annotations

from types import FunctionType
from typing import ClassVar

import numba
import numpy as np
import pytest
from kernels_world import CTX, Table, assert_same

from grievance.kernels import BatchPrio3, verify
from grievance.pool.decisions import Status
from grievance.vdaf import FIELD128, Block, Prio3BlockCountVec

BLOCKS = [Block(2, 1), Block(4, 2, (0, 0, 1, 1)), Block(2, None, (0, 1))]
BITS = [1, 0, 1, 1, 0, 0, 1, 0]
NUM_CALLS, WIRE_LEN = 3, 4
P_TH, DOUBLE, FOURFOLD = (FIELD128.nth_root_powers(k * WIRE_LEN) for k in (1, 2, 4))
POINTS = {0: P_TH[0], 3: P_TH[1], 8: P_TH[2], 10: P_TH[3]}  # refused, row by row
POINTS |= {1: DOUBLE[1], 4: DOUBLE[3], 9: DOUBLE[7], 12: FOURFOLD[1], 13: 0}  # not refused
NUM_ROWS = 20

CHOSEN = np.zeros((NUM_ROWS, 16), np.uint8)
IS_CHOSEN = np.zeros(NUM_ROWS, np.bool_)
for _row, _t in POINTS.items():
    CHOSEN[_row] = np.frombuffer(_t.to_bytes(16, "little"), np.uint8)
    IS_CHOSEN[_row] = True
TRUE_QUERY = verify.query_lane


class ChosenPoints(Prio3BlockCountVec):
    """The reference with the same points, told apart by the nonces."""

    points: ClassVar[dict[bytes, int]] = {}

    def query_rands(self, verify_key, ctx, nonce):
        *rest, t = super().query_rands(verify_key, ctx, nonce)
        return [*rest, self.points.get(nonce, t)]


@numba.njit
def query_lane(shape, group, lane, meas, query_rands, weights, running, verifiers, row):
    if IS_CHOSEN[row]:
        at = (shape.query_rand_len - 1) * shape.width
        for i in range(shape.width):
            query_rands[lane, at + i] = CHOSEN[row, i]
    return TRUE_QUERY(shape, group, lane, meas, query_rands, weights, running, verifiers, row)


class Double:
    """The kernel, with the query above in place of its own."""

    def __init__(self):
        function = verify.verify_rows._function
        names = {**function.__globals__, "query_lane": query_lane}
        self.run = numba.njit(nogil=True, error_model="numpy")(
            FunctionType(function.__code__, names)
        )

    def prepare(self, variant):
        assert variant == 0

    def __call__(self, *arguments):
        return self.run(*arguments)


@pytest.fixture
def doubled(monkeypatch):
    monkeypatch.setattr(verify, "verify_rows", Double())


@pytest.mark.slow  # the kernel is compiled anew; the reference's refusal: tests/vdaf
def test_roots_of_unity_are_refused_and_disturb_nobody(doubled):
    vdaf = ChosenPoints(2, BLOCKS, 4)
    assert vdaf.circuit.GADGET_CALLS == (NUM_CALLS,)
    table = Table(vdaf, [BITS] * NUM_ROWS)
    ChosenPoints.points = {table.nonces[row].tobytes(): t for row, t in POINTS.items()}
    verdicts = assert_same(BatchPrio3(vdaf), table)
    refused = [0, 3, 8, 10]
    for agg_id in range(2):
        found = BatchPrio3(vdaf).verify(
            table.key, CTX, agg_id, table.nonces, table.public, table.inputs[agg_id]
        )
        assert np.flatnonzero(found.statuses == Status.TEST_POINT).tolist() == refused
        assert not found.verifier_shares[refused].any()
    kept = np.delete(verdicts, refused)
    assert (kept == Status.OK).all()

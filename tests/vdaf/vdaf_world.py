"""Reports of every variant on their way through verification, for the tests to tamper with."""

from __future__ import annotations

import secrets

import pytest

from grievance.secret import VerifyKey
from grievance.vdaf import (
    Block,
    Prio3BlockCountVec,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    Prio3SumVecWithMultiproof,
)

CTX = b"a task"
BLOCKS = [Block(2, 1), Block(4, 2, (0, 0, 1, 1))]
BITS = [1, 0, 1, 1, 0, 0]
ALL = [
    (Prio3Count(2), 1),
    (Prio3Sum(3, 10), 7),
    (Prio3SumVec(2, 3, 9, 2), [0, 9, 4]),
    (Prio3Histogram(5, 4, 2), 3),
    (Prio3MultihotCountVec(2, 4, 2, 2), [0, 1, 1, 0]),
    (Prio3SumVecWithMultiproof(3, 2, 3, 2), [1, 3]),
    (Prio3BlockCountVec(2, BLOCKS, 3), BITS),
    (Prio3BlockCountVec(3, BLOCKS, 3), BITS),
    (Prio3BlockCountVec(5, BLOCKS, 3), BITS),
]
EVERY_VDAF = pytest.mark.parametrize(
    ("vdaf", "measurement"), ALL, ids=[f"{type(v).__name__}-{v.SHARES}" for v, _ in ALL]
)


class World:
    """A report on its way; change a part, then `verify`."""

    def __init__(self, vdaf, measurement):
        self.vdaf = vdaf
        self.key = VerifyKey.generate()
        self.nonce = secrets.token_bytes(16)
        self.public, self.inputs = vdaf.shard(CTX, measurement, self.nonce)
        self.ctxs = [CTX] * vdaf.SHARES
        self.nonces = [self.nonce] * vdaf.SHARES

    def begin(self):
        return [
            self.vdaf.verify_init(
                self.key, self.ctxs[i], i, self.nonces[i], self.public, self.inputs[i]
            )
            for i in range(self.vdaf.SHARES)
        ]

    def finish(self, begun, shares=None):
        shares = shares or [share for _, share in begun]
        message = self.vdaf.verifier_shares_to_message(CTX, shares)
        return [self.vdaf.verify_next(CTX, state, message) for state, _ in begun]

    def verify(self):
        return self.finish(self.begin())

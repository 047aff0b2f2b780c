"""Reports in arrays, and the reference's answer to each, for comparing kernels with it."""

from __future__ import annotations

import os
import secrets

import numpy as np
from hypothesis import strategies as st

from grievance.errors import GrievanceError, ProofError, TestPointError, WireError
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
STANDARD = [
    (Prio3Count(2), 1),
    (Prio3Count(3), 0),
    (Prio3Sum(3, 10), 7),
    (Prio3Sum(2, 1), 1),
    (Prio3SumVec(2, 3, 9, 2), [0, 9, 4]),
    (Prio3SumVec(2, 10, 1_000_003, 9), [12] * 10),
    (Prio3Histogram(5, 4, 2), 3),
    (Prio3Histogram(2, 11, 3), 10),
    (Prio3MultihotCountVec(2, 4, 2, 2), [0, 1, 1, 0]),
    (Prio3SumVecWithMultiproof(3, 2, 3, 2), [1, 3]),
    (Prio3SumVecWithMultiproof(2, 9, 7, 5, 4), [5] * 9),
    (Prio3BlockCountVec(2, BLOCKS, 3), [1, 0, 1, 1, 0, 0]),
    (Prio3BlockCountVec(3, BLOCKS, 1), [0, 1, 0, 0, 1, 0]),
]


def name_of(case):
    vdaf, _ = case
    return f"{type(vdaf).__name__}-{vdaf.SHARES}-{vdaf.flp.MEAS_LEN}"


def drawn(num_rows, width):
    return np.frombuffer(os.urandom(num_rows * width), np.uint8).reshape(num_rows, width).copy()


def rows_of(pieces):
    return np.array([np.frombuffer(piece, np.uint8) for piece in pieces])


@st.composite
def plans(draw):
    """Some blocks with parents, valid bits for them, and a chunk length."""
    blocks, bits = [], []
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 9))
        earlier = st.integers(0, len(bits) - 1) if bits else st.none()
        parents = tuple(draw(st.one_of(st.none(), earlier)) for _ in range(length))
        wanted = draw(st.lists(st.integers(0, 1), min_size=length, max_size=length))
        own = [b if q is None else b & bits[q] for b, q in zip(wanted, parents, strict=True)]
        weight = draw(st.integers(max(1, sum(own)), length))
        max_weight = None if None not in parents and draw(st.booleans()) else weight
        has_parents = any(parent is not None for parent in parents)
        blocks.append(Block(length, max_weight, parents if has_parents else None))
        bits += own
    return blocks, bits, draw(st.integers(1, 20))


class Table:
    """Reports made by the reference, as rows; change some, then `expect`."""

    def __init__(self, vdaf, measurements, encoded=False):
        self.vdaf = vdaf
        self.key = VerifyKey.generate()
        shard = vdaf._shard_encoded if encoded else vdaf._shard_with_rand
        nonces, publics, inputs = [], [], [[] for _ in range(vdaf.SHARES)]
        for measurement in measurements:
            nonces.append(secrets.token_bytes(16))
            rand = secrets.token_bytes(vdaf.RAND_SIZE)
            public, shares = shard(CTX, measurement, nonces[-1], rand)
            publics.append(vdaf.encode_public_share(public))
            for rows, share in zip(inputs, shares, strict=True):
                rows.append(vdaf.encode_input_share(share))
        self.nonces, self.public = rows_of(nonces), rows_of(publics)
        self.inputs = [rows_of(rows) for rows in inputs]

    def tiled(self, order):
        """The same reports again, in this order of indices."""
        self.nonces, self.public = self.nonces[order], self.public[order]
        self.inputs = [rows[order] for rows in self.inputs]
        return self

    def expected(self, agg_id, row):
        """Status, verifier share, seed and output share of one row, by the reference."""
        vdaf = self.vdaf
        try:
            state, share = vdaf.verify_init(
                self.key,
                CTX,
                agg_id,
                self.nonces[row].tobytes(),
                vdaf.decode_public_share(self.public[row].tobytes()),
                vdaf.decode_input_share(agg_id, self.inputs[agg_id][row].tobytes()),
            )
        except (WireError, TestPointError) as error:
            status = 4 if isinstance(error, WireError) else 5
            return status, bytes(vdaf.VERIFIER_SHARE_SIZE), bytes(32), vdaf.agg_init()
        seed = state.joint_rand_seed or bytes(32)
        return 0, vdaf.encode_verifier_share(share), seed, state.out_share

    def verdict(self, encoded, row):
        """What the reference makes of one row's verifier shares: (verdict, culprit)."""
        vdaf, shares = self.vdaf, []
        for agg_id, data in enumerate(encoded):
            try:
                shares.append(vdaf.decode_verifier_share(data[row].tobytes()))
            except WireError:
                return 4, agg_id
        public = vdaf.decode_public_share(self.public[row].tobytes())
        if public is not None and public != [share.joint_rand_part for share in shares]:
            return 7, -1
        try:
            vdaf.verifier_shares_to_message(CTX, shares)
        except ProofError:
            return 6, -1
        return 0, -1


def assert_same(batch, table, rows=None, statuses=None):
    """Verify and decide a table both ways; compare `rows`, or all. Returns the verdicts."""
    num_rows = len(table.nonces)
    rows = range(num_rows) if rows is None else rows
    encoded = []
    for agg_id in range(table.vdaf.SHARES):
        found = batch.verify(
            table.key, CTX, agg_id, table.nonces, table.public, table.inputs[agg_id], statuses
        )
        encoded.append(found.verifier_shares)
        total = table.vdaf.agg_init()
        for row in rows:
            if statuses is not None and statuses[row]:
                want = statuses[row], bytes(table.vdaf.VERIFIER_SHARE_SIZE), bytes(32), None
            else:
                want = table.expected(agg_id, row)
                total = table.vdaf.agg_update(total, want[3])
            got = found.statuses[row], found.verifier_shares[row], found.joint_rand_seeds[row]
            assert (got[0], got[1].tobytes(), got[2].tobytes()) == want[:3], (agg_id, row)
        if len(rows) == num_rows:
            assert found.total == total
    verdicts, culprits = batch.decide(table.public, encoded)
    for row in rows:
        assert (verdicts[row], culprits[row]) == table.verdict(encoded, row), row
    return verdicts


def refusal(work):
    try:
        work()
    except GrievanceError as error:
        return type(error), error.code
    return None

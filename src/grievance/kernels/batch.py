"""BatchPrio3: a Prio3 instance over whole batches of reports, byte for byte the reference's.

Rows are uint8 arrays, one encoded message to a row, read-only or not. There is no Python
object per row, and memory is flat: kernels work on eight rows at a time, and write results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.errors import ShapeError, TestPointError, WireError
from grievance.kernels import verify as kernels
from grievance.kernels.encode import encode_rows
from grievance.kernels.shape import NONCE_SIZE, messages_of, shape_of
from grievance.kernels.shard import shard_rows
from grievance.kernels.xof import SEED_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from grievance.kernels.shape import Messages
    from grievance.secret import VerifyKey
    from grievance.vdaf.prio3 import Prio3

    Bytes = NDArray[np.uint8]

ROWS_AT_ONCE = 2048  # between two chances to interrupt


@dataclass(frozen=True, repr=False)
class BatchVerified:
    """What one aggregator found. No field holds anything of a row that was not OK.

    statuses: (N,), OK, DECODE or TEST_POINT; rows that came with another status keep it.
    verifier_shares: (N, VERIFIER_SHARE_SIZE), zero where not OK.
    joint_rand_seeds: (N, 32), what `verify_next` compares; zero where not OK, or without use.
    total: (OUTPUT_LEN,), the sum of the output shares of all rows that are OK.
    """

    statuses: Bytes
    verifier_shares: Bytes
    joint_rand_seeds: Bytes
    total: list[int]


class BatchPrio3:
    """Shards, verifies, decides and sums rows for one Prio3 instance.

    Raises VdafError for a circuit without kernels (see `is_known`). Every method raises
    ShapeError for arrays that do not fit each other or the instance. Keeps tables but no state;
    threads may share one, as kernels run without the interpreter's lock.
    """

    def __init__(self, prio3: Prio3[Any, Any]) -> None:
        self.prio3 = prio3
        self.shape = shape_of(prio3)
        self._variant = 0 if self.shape.width == 16 else 1
        self._messages = lru_cache(maxsize=4)(lambda ctx: messages_of(prio3, ctx))

    def __repr__(self) -> str:
        return f"<BatchPrio3 for {self.prio3!r}>"

    def prepare(self) -> None:
        """Load or compile now what the methods would at their first call."""
        for each in (kernels.verify_rows, kernels.decide_rows, kernels.sum_rows, shard_rows):
            each.prepare(self._variant)

    def shard(
        self, ctx: bytes, measurements: ArrayLike, nonces: Bytes, rand: Bytes
    ) -> tuple[Bytes, list[Bytes]]:
        """Split N measurements into encoded public shares, and input shares per aggregator.

        nonces: (N, 16); rand: (N, RAND_SIZE) uniform bytes, fresh for every row. measurements:
        as `encode_rows` takes them. Raises VdafError "vdaf.measurement" for any that is not valid.
        """
        return self.shard_encoded(ctx, encode_rows(self.prio3, measurements), nonces, rand)

    def shard_encoded(
        self, ctx: bytes, meas: Bytes, nonces: Bytes, rand: Bytes
    ) -> tuple[Bytes, list[Bytes]]:
        """As `shard`, from encoded vectors: (N, MEAS_LEN) of 0 and 1, which need not be valid."""
        prio3, num_rows = self.prio3, len(meas)
        meas = _rows(meas, num_rows, self.shape.meas_len, "encoded measurements")
        if meas.size and meas.max() > 1:
            raise ShapeError("an encoded measurement has an element that is no bit")
        nonces = _rows(nonces, num_rows, NONCE_SIZE, "nonces")
        rand = _rows(rand, num_rows, prio3.RAND_SIZE, "sharding randomness")
        public = np.zeros((num_rows, prio3.PUBLIC_SHARE_SIZE), np.uint8)
        leader = np.zeros((num_rows, prio3.input_share_size(0)), np.uint8)
        left_over = np.zeros(num_rows, np.uint8)
        messages = self._messages(ctx)
        shard_rows.prepare(self._variant)
        for rows in _pieces(num_rows):
            shard_rows(
                self.shape, messages, meas[rows], nonces[rows], rand[rows],
                public[rows], leader[rows], left_over[rows],
            )  # fmt: skip
        for row in np.flatnonzero(left_over):
            encoded = self._reference_shard(ctx, meas[row], nonces[row], rand[row])
            public[row], leader[row] = encoded
        return public, [leader, *self._helper_shares(rand)]

    def verify(
        self,
        verify_key: VerifyKey,
        ctx: bytes,
        agg_id: int,
        nonces: Bytes,
        public_shares: Bytes,
        input_shares: Bytes,
        statuses: Bytes | None = None,
    ) -> BatchVerified:
        """Compute one aggregator's verifier share of every row whose status is 0.

        (N, 16), (N, PUBLIC_SHARE_SIZE), (N, input_share_size(agg_id)), (N,). As with the
        reference's `verify_init`: once per nonce and key, a pure function, and no row has any
        effect on another.
        """
        prio3, num_rows = self.prio3, len(nonces)
        nonces = _rows(nonces, num_rows, NONCE_SIZE, "nonces")
        public_shares = _rows(public_shares, num_rows, prio3.PUBLIC_SHARE_SIZE, "public shares")
        share_size = prio3.input_share_size(agg_id)
        input_shares = _rows(input_shares, num_rows, share_size, "input shares")
        found = np.zeros(num_rows, np.uint8) if statuses is None else np.array(statuses, np.uint8)
        if found.shape != (num_rows,):
            raise ShapeError("expected one status for each row")
        verifiers = np.zeros((num_rows, prio3.VERIFIER_SHARE_SIZE), np.uint8)
        seeds = np.zeros((num_rows, SEED_SIZE), np.uint8)
        totals = self._no_totals()
        messages = self._keyed(ctx, verify_key)
        chosen = np.flatnonzero(found == kernels.OK).astype(np.int64)
        kernels.verify_rows.prepare(self._variant)
        for rows in _pieces(len(chosen)):
            kernels.verify_rows(
                self.shape, messages, agg_id, chosen[rows], nonces, public_shares, input_shares,
                found, verifiers, seeds, totals,
            )  # fmt: skip
        refused = chosen[found[chosen] != kernels.OK]
        verifiers[refused] = 0
        seeds[refused] = 0
        total = self._truncated(totals)
        for row in chosen[found[chosen] == kernels.LEFT_OVER]:
            inputs = (nonces[row], public_shares[row], input_shares[row])
            try:
                encoded, seed, out_share = self._reference_verify(verify_key, ctx, agg_id, *inputs)
            except TestPointError:
                found[row] = kernels.TEST_POINT
                continue
            found[row], verifiers[row], seeds[row] = kernels.OK, encoded, seed
            total = prio3.agg_update(total, out_share)
        return BatchVerified(found, verifiers, seeds, total)

    def decide(
        self, public_shares: Bytes, verifier_shares: Sequence[Bytes]
    ) -> tuple[Bytes, NDArray[np.int64]]:
        """Decide N rows from all aggregators' verifier shares, in the aggregators' order.

        Returns (N,) verdicts: OK; DECODE when an aggregator's verifier share is no encoding;
        JOINT_RANDOMNESS when the public share is not the parts that the aggregators computed,
        which is when `verify_next` fails at one of them; PROOF when a proof does not hold. And
        (N,) the index of the aggregator whose share does not decode, else -1.
        """
        prio3, num_rows = self.prio3, len(public_shares)
        public_shares = _rows(public_shares, num_rows, prio3.PUBLIC_SHARE_SIZE, "public shares")
        if len(verifier_shares) != prio3.SHARES:
            raise ShapeError(f"{len(verifier_shares)} verifier shares, expected {prio3.SHARES}")
        size = prio3.VERIFIER_SHARE_SIZE
        shares = [_rows(s, num_rows, size, "verifier shares") for s in verifier_shares]
        verdicts, culprits = np.zeros(num_rows, np.uint8), np.zeros(num_rows, np.int64)
        kernels.decide_rows.prepare(self._variant)
        for rows in _pieces(num_rows):
            together = np.stack([share[rows] for share in shares])
            kernels.decide_rows(
                self.shape, public_shares[rows], together, verdicts[rows], culprits[rows]
            )
        return verdicts, culprits

    def sum_out_shares(self, ctx: bytes, agg_id: int, input_shares: Bytes) -> list[int]:
        """Add up the output shares of N rows, verifying nothing: (OUTPUT_LEN,).

        Raises WireError when a share does not decode.
        """
        prio3, num_rows = self.prio3, len(input_shares)
        share_size = prio3.input_share_size(agg_id)
        input_shares = _rows(input_shares, num_rows, share_size, "input shares")
        statuses, totals = np.zeros(num_rows, np.uint8), self._no_totals()
        messages = self._messages(ctx)
        kernels.sum_rows.prepare(self._variant)
        for rows in _pieces(num_rows):
            kernels.sum_rows(
                self.shape, messages, agg_id, input_shares[rows], statuses[rows], totals
            )
        if (statuses == kernels.DECODE).any():
            raise WireError("an input share is not reduced mod p", code="vdaf.modulus")
        total = self._truncated(totals)
        for row in np.flatnonzero(statuses):
            share = prio3.decode_input_share(agg_id, input_shares[row].tobytes())
            meas_share, _, _ = prio3.expand_input_share(ctx, agg_id, share)
            total = prio3.agg_update(total, prio3.circuit.truncate(meas_share))
        return total

    # -- what kernels leave to plain integers ------------------------------------------------

    def _keyed(self, ctx: bytes, verify_key: VerifyKey) -> Messages:
        """Put the verify key into the message that the query randomness is expanded from."""
        messages = self._messages(ctx)
        query, at = messages.query.copy(), messages.seed_at
        query[at : at + SEED_SIZE] = np.frombuffer(verify_key.reveal(), np.uint8)
        return messages._replace(query=query)

    def _no_totals(self) -> NDArray[np.uint64]:
        return np.zeros((self.shape.meas_len, 3), np.uint64)

    def _truncated(self, totals: NDArray[np.uint64]) -> list[int]:
        """Truncate a sum of measurement shares, which is the sum of the output shares."""
        p = self.prio3.field.MODULUS
        meas = [(low + (mid << 64) + (high << 128)) % p for low, mid, high in totals.tolist()]
        return self.prio3.circuit.truncate(meas)

    def _helper_shares(self, rand: Bytes) -> list[Bytes]:
        """Every helper's seed and blind, as they stand in the randomness."""
        size = self.prio3.input_share_size(1)
        return [
            rand[:, (agg_id - 1) * size : agg_id * size].copy()
            for agg_id in range(1, self.prio3.SHARES)
        ]

    def _reference_shard(self, ctx: bytes, *row: Bytes) -> tuple[Bytes, Bytes]:
        meas, nonce, rand = row
        prio3 = self.prio3
        public, inputs = prio3._shard_encoded(ctx, meas.tolist(), nonce.tobytes(), rand.tobytes())
        return (
            np.frombuffer(prio3.encode_public_share(public), np.uint8),
            np.frombuffer(prio3.encode_input_share(inputs[0]), np.uint8),
        )

    def _reference_verify(
        self, verify_key: VerifyKey, ctx: bytes, agg_id: int, *row: Bytes
    ) -> tuple[Bytes, Bytes, list[int]]:
        nonce, public, share = (part.tobytes() for part in row)
        prio3 = self.prio3
        state, verifier_share = prio3.verify_init(
            verify_key, ctx, agg_id, nonce,
            prio3.decode_public_share(public), prio3.decode_input_share(agg_id, share),
        )  # fmt: skip
        encoded = prio3.encode_verifier_share(verifier_share)
        seed = state.joint_rand_seed or bytes(SEED_SIZE)
        return np.frombuffer(encoded, np.uint8), np.frombuffer(seed, np.uint8), state.out_share


def _pieces(num_rows: int) -> list[slice]:
    return [slice(i, i + ROWS_AT_ONCE) for i in range(0, num_rows, ROWS_AT_ONCE)]


def _rows(rows: Bytes, num_rows: int, size: int, what: str) -> Bytes:
    """Return rows as kernels need them: C-contiguous. Raises ShapeError."""
    if rows.dtype != np.uint8 or rows.shape != (num_rows, size):
        raise ShapeError(f"expected {what} as uint8 of shape ({num_rows}, {size})")
    return np.ascontiguousarray(rows)

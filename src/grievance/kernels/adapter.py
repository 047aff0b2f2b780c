"""KernelPrio3: the reference's methods, one report at a time, computed by the kernels.

For replaying known answers. Messages are the reference's types, so each goes through its
encoding on the way in and out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.errors import ProofError, ShapeError, TestPointError, WireError
from grievance.kernels import verify as kernels
from grievance.kernels.batch import BatchPrio3
from grievance.vdaf.messages import (
    InputShare,
    PublicShare,
    VerifierMessage,
    VerifierShare,
    VerifyState,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from grievance.secret import VerifyKey
    from grievance.vdaf.prio3 import Prio3


class KernelPrio3:
    """A Prio3 instance whose sharding and proof checks are done by kernels.

    Encoding, aggregation and everything else that is not named here is the instance's own.
    """

    def __init__(self, prio3: Prio3[Any, Any]) -> None:
        self._prio3 = prio3
        self._batch = BatchPrio3(prio3)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._prio3, name)

    def _shard_with_rand(
        self, ctx: bytes, measurement: object, nonce: bytes, rand: bytes
    ) -> tuple[PublicShare, list[InputShare]]:
        prio3 = self._prio3
        meas = np.array([prio3.circuit.encode(measurement)], np.uint8)
        public, inputs = self._batch.shard_encoded(ctx, meas, _row(nonce), _row(rand))
        shares = [
            prio3.decode_input_share(agg_id, share.tobytes()) for agg_id, share in enumerate(inputs)
        ]
        return prio3.decode_public_share(public.tobytes()), shares

    def verify_init(
        self,
        verify_key: VerifyKey,
        ctx: bytes,
        agg_id: int,
        nonce: bytes,
        public_share: PublicShare,
        input_share: InputShare,
    ) -> tuple[VerifyState, VerifierShare]:
        """As the reference's."""
        prio3 = self._prio3
        public = _row(prio3.encode_public_share(public_share))
        share = _row(prio3.encode_input_share(input_share))
        found = self._batch.verify(verify_key, ctx, agg_id, _row(nonce), public, share)
        if found.statuses[0] == kernels.DECODE:
            raise WireError("an input share is not reduced mod p", code="vdaf.modulus")
        if found.statuses[0] == kernels.TEST_POINT:
            raise TestPointError("the test point is a root of unity: this report is refused")
        seed = found.joint_rand_seeds.tobytes() if prio3.has_joint_rand else None
        verifier_share = prio3.decode_verifier_share(found.verifier_shares.tobytes())
        return VerifyState(found.total, seed), verifier_share

    def verifier_shares_to_message(
        self, ctx: bytes, verifier_shares: Sequence[VerifierShare]
    ) -> VerifierMessage:
        """As the reference's. That the parts are the public share's is for `verify_next` to see."""
        prio3 = self._prio3
        encoded = [_row(prio3.encode_verifier_share(share)) for share in verifier_shares]
        parts = [share.joint_rand_part or b"" for share in verifier_shares]
        if len(parts) != prio3.SHARES:
            raise ShapeError(f"{len(parts)} verifier shares, expected {prio3.SHARES}")
        verdicts, _ = self._batch.decide(_row(b"".join(parts)), encoded)
        if verdicts[0] != kernels.OK:
            raise ProofError("the proof does not hold")
        return prio3.joint_rand_seed(ctx, parts) if prio3.has_joint_rand else None


def _row(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(1, len(data))

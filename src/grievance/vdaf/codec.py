"""The byte form of every Prio3 message: exact lengths, canonical elements, nothing left over.

Source: VDAF draft-20, 7.2.7 "Message Serialization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grievance.errors import ShapeError, WireError
from grievance.vdaf.messages import (
    HelperShare,
    InputShare,
    LeaderShare,
    PublicShare,
    VerifierMessage,
    VerifierShare,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf.field import Field, Vec
    from grievance.vdaf.flp import Flp


class Prio3Codec:
    """Encoders raise ShapeError for a message of another instance, decoders only WireError."""

    SHARES: int
    PROOFS: int
    SEED_SIZE: int
    field: Field
    flp: Flp[Any, Any]
    has_joint_rand: bool

    # -- sizes in bytes ----------------------------------------------------------------

    @property
    def _tail_size(self) -> int:
        """Size of the blind or joint randomness part at the end of a message, or 0."""
        return self.SEED_SIZE if self.has_joint_rand else 0

    @property
    def PUBLIC_SHARE_SIZE(self) -> int:  # noqa: N802
        """Size of a public share."""
        return self._tail_size * self.SHARES

    @property
    def VERIFIER_SHARE_SIZE(self) -> int:  # noqa: N802
        """Size of a verifier share."""
        return self.field.ENCODED_SIZE * self.flp.VERIFIER_LEN * self.PROOFS + self._tail_size

    @property
    def VERIFIER_MESSAGE_SIZE(self) -> int:  # noqa: N802
        """Size of a verifier message."""
        return self._tail_size

    @property
    def AGG_SHARE_SIZE(self) -> int:  # noqa: N802
        """Size of an output share, and of an aggregate share."""
        return self.field.ENCODED_SIZE * self.flp.OUTPUT_LEN

    def input_share_size(self, agg_id: int) -> int:
        """Return the size of an aggregator's input share."""
        if not 0 <= agg_id < self.SHARES:
            raise ShapeError(f"there is no aggregator {agg_id} of {self.SHARES}")
        if agg_id > 0:
            return self.SEED_SIZE + self._tail_size
        num_elements = self.flp.MEAS_LEN + self.flp.PROOF_LEN * self.PROOFS
        return self.field.ENCODED_SIZE * num_elements + self._tail_size

    # -- messages ----------------------------------------------------------------------

    def encode_public_share(self, public_share: PublicShare) -> bytes:
        """Write the joint randomness parts, or nothing."""
        if not self.has_joint_rand:
            return self._encode_tail(public_share)
        return b"".join(self._expect_parts(public_share))

    def decode_public_share(self, data: bytes) -> PublicShare:
        """Read a public share."""
        self._expect_size(data, self.PUBLIC_SHARE_SIZE, "public share")
        if not self.has_joint_rand:
            return None
        size = self.SEED_SIZE
        return [bytes(data[i : i + size]) for i in range(0, len(data), size)]

    def encode_input_share(self, input_share: InputShare) -> bytes:
        """Write an input share; its type says whether it is the leader's."""
        tail = self._encode_tail(input_share.blind)
        if isinstance(input_share, HelperShare):
            return self._expect_bytes(input_share.seed, self.SEED_SIZE, "seed") + tail
        meas_share, proofs_share = input_share.meas_share, input_share.proofs_share
        self._expect_vec(meas_share, self.flp.MEAS_LEN, "measurement share")
        self._expect_vec(proofs_share, self.flp.PROOF_LEN * self.PROOFS, "proofs share")
        return self.field.encode_vec(meas_share) + self.field.encode_vec(proofs_share) + tail

    def decode_input_share(self, agg_id: int, data: bytes) -> InputShare:
        """Read the input share of aggregator `agg_id`."""
        self._expect_size(data, self.input_share_size(agg_id), "input share")
        body, blind = self._split_tail(data)
        if agg_id > 0:
            return HelperShare(body, blind)
        vec = self.field.decode_vec(body)
        return LeaderShare(vec[: self.flp.MEAS_LEN], vec[self.flp.MEAS_LEN :], blind)

    def encode_verifier_share(self, verifier_share: VerifierShare) -> bytes:
        """Write a verifier share."""
        self._expect_vec(
            verifier_share.verifiers, self.flp.VERIFIER_LEN * self.PROOFS, "verifier share"
        )
        tail = self._encode_tail(verifier_share.joint_rand_part)
        return self.field.encode_vec(verifier_share.verifiers) + tail

    def decode_verifier_share(self, data: bytes) -> VerifierShare:
        """Read a verifier share."""
        self._expect_size(data, self.VERIFIER_SHARE_SIZE, "verifier share")
        body, joint_rand_part = self._split_tail(data)
        return VerifierShare(self.field.decode_vec(body), joint_rand_part)

    def encode_verifier_message(self, verifier_message: VerifierMessage) -> bytes:
        """Write a verifier message, which is empty without joint randomness."""
        return self._encode_tail(verifier_message)

    def decode_verifier_message(self, data: bytes) -> VerifierMessage:
        """Read a verifier message."""
        self._expect_size(data, self.VERIFIER_MESSAGE_SIZE, "verifier message")
        return bytes(data) if self.has_joint_rand else None

    def encode_out_share(self, out_share: Sequence[int]) -> bytes:
        """Write an output share."""
        self._expect_vec(out_share, self.flp.OUTPUT_LEN, "output share")
        return self.field.encode_vec(out_share)

    def decode_out_share(self, data: bytes) -> Vec:
        """Read an output share."""
        self._expect_size(data, self.AGG_SHARE_SIZE, "output share")
        return self.field.decode_vec(data)

    def encode_agg_share(self, agg_share: Sequence[int]) -> bytes:
        """Write an aggregate share."""
        self._expect_vec(agg_share, self.flp.OUTPUT_LEN, "aggregate share")
        return self.field.encode_vec(agg_share)

    def decode_agg_share(self, data: bytes) -> Vec:
        """Read an aggregate share."""
        self._expect_size(data, self.AGG_SHARE_SIZE, "aggregate share")
        return self.field.decode_vec(data)

    # -- checks ------------------------------------------------------------------------

    def _split_tail(self, data: bytes) -> tuple[bytes, bytes | None]:
        if not self.has_joint_rand:
            return bytes(data), None
        return bytes(data[: -self.SEED_SIZE]), bytes(data[-self.SEED_SIZE :])

    def _encode_tail(self, tail: object) -> bytes:
        if self.has_joint_rand:
            return self._expect_bytes(tail, self.SEED_SIZE, "seed at the end")
        if tail is not None:
            raise ShapeError("this VDAF has no joint randomness, and the message has some")
        return b""

    def _expect_parts(self, parts: Sequence[bytes | None] | None) -> list[bytes]:
        """Return a copy of one joint randomness part per aggregator, or raise ShapeError."""
        if parts is None or len(parts) != self.SHARES:
            raise ShapeError(f"expected {self.SHARES} joint randomness parts")
        return [self._expect_bytes(part, self.SEED_SIZE, "joint randomness part") for part in parts]

    @staticmethod
    def _expect_size(data: bytes, size: int, what: str) -> None:
        if len(data) != size:
            code = "wire.short" if len(data) < size else "wire.long"
            raise WireError(f"a {what} of {len(data)} bytes, expected {size}", code=code)

    @staticmethod
    def _expect_bytes(data: object, size: int, what: str) -> bytes:
        if not isinstance(data, bytes) or len(data) != size:
            raise ShapeError(f"expected a {what} of {size} bytes")
        return data

    @staticmethod
    def _expect_vec(vec: Sequence[int], length: int, what: str) -> None:
        if len(vec) != length:
            raise ShapeError(f"the {what} has {len(vec)} elements, expected {length}")

"""What Prio3's parties hold and exchange. None of it prints its contents.

Vectors are plain lists of field elements; the byte forms are made by `Prio3.encode_...`
and read by `Prio3.decode_...`.
Source: VDAF draft-20, 7.2.7 "Message Serialization", for the parts of each message.
"""

from __future__ import annotations

from dataclasses import dataclass

Vec = list[int]
PublicShare = list[bytes] | None  # one joint randomness part per aggregator, where there is any
VerifierMessage = bytes | None  # the joint randomness seed


class _Quiet:
    """A repr that names the type and shows nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


@dataclass(frozen=True, repr=False)
class LeaderShare(_Quiet):
    """Aggregator 0's input share: (MEAS_LEN,), (PROOF_LEN * PROOFS,), and its 32-byte blind."""

    meas_share: Vec
    proofs_share: Vec
    blind: bytes | None


@dataclass(frozen=True, repr=False)
class HelperShare(_Quiet):
    """Any other aggregator's input share: a 32-byte seed for both vectors, and its blind."""

    seed: bytes
    blind: bytes | None


InputShare = LeaderShare | HelperShare


@dataclass(frozen=True, repr=False)
class VerifyState(_Quiet):
    """What an aggregator keeps between `verify_init` and `verify_next`."""

    out_share: Vec
    joint_rand_seed: bytes | None


@dataclass(frozen=True, repr=False)
class VerifierShare(_Quiet):
    """What an aggregator tells the others: (VERIFIER_LEN * PROOFS,), and its part."""

    verifiers: Vec
    joint_rand_part: bytes | None

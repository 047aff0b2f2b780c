"""Prio3: shares a measurement, lets aggregators check it together, adds the shares up.

The client runs `shard`, or `_shard_with_rand` on randomness it has hedged. Each aggregator runs
`verify_init`; anyone who has all verifier shares runs `verifier_shares_to_message`; each
aggregator runs `verify_next` and adds its output share to its aggregate share; the collector
runs `unshard`.

This module keeps no state, so it cannot refuse a nonce that was verified before. Whoever
calls `verify_init` must verify each nonce once, under one key that was fixed before any
report was seen: draft-20, 9.1 "The Verification Key" and 9.2 "The Nonce".
Source: VDAF draft-20, 7.2 "Specification". Prio3 has no aggregation parameter, so none is passed.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, ClassVar, Generic

from grievance.errors import ProofError, ShapeError, VdafError
from grievance.vdaf.circuits import AggResult, Measurement, Valid
from grievance.vdaf.codec import Prio3Codec
from grievance.vdaf.field import FIELD64, Vec
from grievance.vdaf.flp import Flp
from grievance.vdaf.messages import (
    HelperShare,
    InputShare,
    LeaderShare,
    PublicShare,
    VerifierMessage,
    VerifierShare,
    VerifyState,
)
from grievance.vdaf.xof import CLASS_VDAF, XofTurboShake128, format_dst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.secret import VerifyKey

USAGE_MEAS_SHARE = 1
USAGE_PROOF_SHARE = 2
USAGE_JOINT_RANDOMNESS = 3
USAGE_PROVE_RANDOMNESS = 4
USAGE_QUERY_RANDOMNESS = 5
USAGE_JOINT_RAND_SEED = 6
USAGE_JOINT_RAND_PART = 7


class Prio3(Prio3Codec, Generic[Measurement, AggResult]):
    """Prio3 for one circuit and a number of aggregators. Subclasses name the algorithm's ID.

    shares: 2 to 255 aggregators; proofs: 1 to 255. Raises VdafError "vdaf.parameters" for
    anything else, and for a circuit with joint randomness over Field64 with fewer than three
    proofs, which an offline search could forge (draft-20, 9.7 "Choosing FLP Parameters").
    """

    ID: ClassVar[int]
    SEED_SIZE = XofTurboShake128.SEED_SIZE
    VERIFY_KEY_SIZE = SEED_SIZE
    NONCE_SIZE = 16

    def __init__(
        self, shares: int, circuit: Valid[Measurement, AggResult], num_proofs: int = 1
    ) -> None:
        if not isinstance(shares, int) or not 2 <= shares <= 255:
            raise VdafError("Prio3 takes 2 to 255 aggregators", code="vdaf.parameters")
        if not isinstance(num_proofs, int) or not 1 <= num_proofs <= 255:
            raise VdafError("Prio3 takes 1 to 255 proofs", code="vdaf.parameters")
        self.SHARES = shares
        self.PROOFS = num_proofs
        self.circuit = circuit
        self.flp: Flp[Measurement, AggResult] = Flp(circuit)
        self.field = circuit.field
        self.has_joint_rand = self.flp.JOINT_RAND_LEN > 0
        self.RAND_SIZE = self.SEED_SIZE * shares * (2 if self.has_joint_rand else 1)
        self._check_soundness()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.SHARES} aggregators>"

    def _check_soundness(self) -> None:
        if self.has_joint_rand and self.field is FIELD64 and self.PROOFS < 3:
            raise VdafError(
                "a circuit with joint randomness needs Field128, or three proofs over Field64",
                code="vdaf.parameters",
            )

    # -- the client ------------------------------------------------------------------

    def shard(
        self, ctx: bytes, measurement: Measurement, nonce: bytes
    ) -> tuple[PublicShare, list[InputShare]]:
        """Split a measurement into one input share per aggregator. Run by the client.

        Raises VdafError "vdaf.measurement" when the measurement is not a valid one.
        Source: draft-20, 7.2.1 "Sharding".
        """
        return self._shard_with_rand(ctx, measurement, nonce, secrets.token_bytes(self.RAND_SIZE))

    def _shard_with_rand(
        self, ctx: bytes, measurement: Measurement, nonce: bytes, rand: bytes
    ) -> tuple[PublicShare, list[InputShare]]:
        """Shard with RAND_SIZE given bytes, uniform and used once.

        For known answers, and for a client that hedges its randomness (`client.seal`): with the
        same bytes for two measurements of one nonce their difference would be in the open.
        """
        return self._shard_encoded(ctx, self.circuit.encode(measurement), nonce, rand)

    def _shard_encoded(
        self, ctx: bytes, meas: Sequence[int], nonce: bytes, rand: bytes
    ) -> tuple[PublicShare, list[InputShare]]:
        """Shard any vector of MEAS_LEN integers, taken mod p: how a dishonest client begins."""
        self._expect_bytes(nonce, self.NONCE_SIZE, "nonce")
        self._expect_bytes(rand, self.RAND_SIZE, "sharding randomness")
        self._expect_vec(meas, self.flp.MEAS_LEN, "encoded measurement")
        meas = [x % self.field.MODULUS for x in meas]
        size = self.SEED_SIZE
        seeds = [rand[i : i + size] for i in range(0, len(rand), size)]
        prove_seed = seeds.pop()
        # With joint randomness the order is: each helper's seed and blind, the leader's blind.
        blinds: list[bytes | None] = [None] * self.SHARES
        if self.has_joint_rand:
            blinds = [seeds[-1], *seeds[1:-1:2]]
            seeds = seeds[0:-1:2]

        leader_meas = meas
        helper_meas = []
        for agg_id, seed in enumerate(seeds, 1):
            helper_meas.append(self.helper_meas_share(ctx, agg_id, seed))
            leader_meas = self.field.sub(leader_meas, helper_meas[-1])

        public_share: PublicShare = None
        joint_rands: Vec = []
        if self.has_joint_rand:
            public_share = [
                self.joint_rand_part(ctx, agg_id, blind, share, nonce)
                for agg_id, (blind, share) in enumerate(
                    zip(blinds, [leader_meas, *helper_meas], strict=True)
                )
                if blind is not None
            ]
            joint_rands = self.joint_rands(ctx, self.joint_rand_seed(ctx, public_share))

        prove_rands = self.prove_rands(ctx, prove_seed)
        leader_proofs: Vec = []
        for prove_rand, joint_rand in zip(
            self._per_proof(prove_rands), self._per_proof(joint_rands), strict=True
        ):
            leader_proofs += self.flp.prove(meas, prove_rand, joint_rand)
        for agg_id, seed in enumerate(seeds, 1):
            helper_proofs = self.helper_proofs_share(ctx, agg_id, seed)
            leader_proofs = self.field.sub(leader_proofs, helper_proofs)

        input_shares: list[InputShare] = [LeaderShare(leader_meas, leader_proofs, blinds[0])]
        for seed, blind in zip(seeds, blinds[1:], strict=True):
            input_shares.append(HelperShare(seed, blind))
        return public_share, input_shares

    # -- the aggregators -------------------------------------------------------------

    def verify_init(
        self,
        verify_key: VerifyKey,
        ctx: bytes,
        agg_id: int,
        nonce: bytes,
        public_share: PublicShare,
        input_share: InputShare,
    ) -> tuple[VerifyState, VerifierShare]:
        """Begin to verify a report. Run by each aggregator, ONCE per nonce and key.

        A pure function of its arguments. Raises ShapeError for parts that do not fit this
        instance, TestPointError (the report is refused for good) with probability about
        2**-120, and nothing on account of what a share contains.
        Source: draft-20, 7.2.2 "Verification".
        """
        self._expect_bytes(nonce, self.NONCE_SIZE, "nonce")
        meas_share, proofs_share, blind = self.expand_input_share(ctx, agg_id, input_share)

        joint_rand_part, joint_rand_seed = None, None
        joint_rands: Vec = []
        if self.has_joint_rand:
            parts = self._expect_parts(public_share)
            blind = self._expect_bytes(blind, self.SEED_SIZE, "blind")
            joint_rand_part = self.joint_rand_part(ctx, agg_id, blind, meas_share, nonce)
            parts[agg_id] = joint_rand_part  # the one part that need not be believed
            joint_rand_seed = self.joint_rand_seed(ctx, parts)
            joint_rands = self.joint_rands(ctx, joint_rand_seed)
        elif public_share is not None or blind is not None:
            raise ShapeError("this VDAF has no joint randomness, so no public share and no blind")

        verifiers: Vec = []
        for proof_share, query_rand, joint_rand in zip(
            self._per_proof(proofs_share),
            self._per_proof(self.query_rands(verify_key, ctx, nonce)),
            self._per_proof(joint_rands),
            strict=True,
        ):
            verifiers += self.flp.query(
                meas_share, proof_share, query_rand, joint_rand, self.SHARES
            )
        state = VerifyState(self.circuit.truncate(meas_share), joint_rand_seed)
        return state, VerifierShare(verifiers, joint_rand_part)

    def verifier_shares_to_message(
        self, ctx: bytes, verifier_shares: Sequence[VerifierShare]
    ) -> VerifierMessage:
        """Join all verifier shares, in the order of the aggregators, and check every proof.

        Run by anyone who has them. Raises ProofError when a proof does not hold, ShapeError when
        the shares are not one of the right length per aggregator.
        """
        if len(verifier_shares) != self.SHARES:
            raise ShapeError(f"{len(verifier_shares)} verifier shares, expected {self.SHARES}")
        verifiers = [0] * (self.flp.VERIFIER_LEN * self.PROOFS)
        for share in verifier_shares:
            verifiers = self.field.add(verifiers, share.verifiers)
        for verifier in self._per_proof(verifiers):
            self.flp.decide(verifier)
        parts = [share.joint_rand_part for share in verifier_shares]
        if self.has_joint_rand:
            return self.joint_rand_seed(ctx, self._expect_parts(parts))
        if any(part is not None for part in parts):
            raise ShapeError("this VDAF has no joint randomness, so no parts of it")
        return None

    def verify_next(
        self,
        ctx: bytes,  # noqa: ARG002
        verify_state: VerifyState,
        verifier_message: VerifierMessage,
    ) -> Vec:
        """Finish: return the output share, (OUTPUT_LEN,). Run by each aggregator.

        Raises ProofError when the joint randomness that this aggregator used is not that
        which all parts together give.
        """
        # None and b"" never meet: a state has a seed exactly when the circuit uses one.
        expected, seen = verify_state.joint_rand_seed, verifier_message
        if (expected is None) != (seen is None) or not hmac.compare_digest(
            expected or b"", seen or b""
        ):
            raise ProofError("the joint randomness does not hold", code="vdaf.joint-rand")
        return list(verify_state.out_share)

    def agg_init(self) -> Vec:
        """Return an empty aggregate share, (OUTPUT_LEN,)."""
        return [0] * self.flp.OUTPUT_LEN

    def agg_update(self, agg_share: Sequence[int], out_share: Sequence[int]) -> Vec:
        """Return the aggregate share with one more output share in it."""
        return self.field.add(agg_share, out_share)

    def merge(self, agg_shares: Sequence[Sequence[int]]) -> Vec:
        """Add aggregate shares up: of several batches, or of all aggregators."""
        total = self.agg_init()
        for agg_share in agg_shares:
            total = self.field.add(total, agg_share)
        return total

    # -- the collector ---------------------------------------------------------------

    def unshard(self, agg_shares: Sequence[Sequence[int]], num_measurements: int) -> AggResult:
        """Turn one aggregate share per aggregator into the aggregate result."""
        if len(agg_shares) != self.SHARES:
            raise ShapeError(f"{len(agg_shares)} aggregate shares, expected {self.SHARES}")
        return self.circuit.decode(self.merge(agg_shares), num_measurements)

    # -- derivations: draft-20, 7.2.6 "Auxiliary Functions" ----------------------------

    def expand_input_share(
        self, ctx: bytes, agg_id: int, input_share: InputShare
    ) -> tuple[Vec, Vec, bytes | None]:
        """Return an aggregator's measurement share, proofs share and blind."""
        if not 0 <= agg_id < self.SHARES:
            raise ShapeError(f"there is no aggregator {agg_id} of {self.SHARES}")
        if agg_id == 0 and isinstance(input_share, LeaderShare):
            self._expect_vec(input_share.meas_share, self.flp.MEAS_LEN, "measurement share")
            num_elements = self.flp.PROOF_LEN * self.PROOFS
            self._expect_vec(input_share.proofs_share, num_elements, "proofs share")
            return input_share.meas_share, input_share.proofs_share, input_share.blind
        if agg_id > 0 and isinstance(input_share, HelperShare):
            seed = self._expect_bytes(input_share.seed, self.SEED_SIZE, "seed")
            return (
                self.helper_meas_share(ctx, agg_id, seed),
                self.helper_proofs_share(ctx, agg_id, seed),
                input_share.blind,
            )
        raise ShapeError("the leader's input share is aggregator 0's, a helper's any other's")

    def domain_separation_tag(self, usage: int, ctx: bytes) -> bytes:
        """Tag one use of the XOF with this algorithm and the application's context."""
        return format_dst(CLASS_VDAF, self.ID, usage) + ctx

    def helper_meas_share(self, ctx: bytes, agg_id: int, seed: bytes) -> Vec:
        """Expand a helper's seed into its measurement share."""
        return self._expand(ctx, USAGE_MEAS_SHARE, seed, bytes([agg_id]), self.flp.MEAS_LEN)

    def helper_proofs_share(self, ctx: bytes, agg_id: int, seed: bytes) -> Vec:
        """Expand a helper's seed into its share of all proofs."""
        binder = bytes([self.PROOFS, agg_id])
        length = self.flp.PROOF_LEN * self.PROOFS
        return self._expand(ctx, USAGE_PROOF_SHARE, seed, binder, length)

    def prove_rands(self, ctx: bytes, prove_seed: bytes) -> Vec:
        """Expand the prover's seed into the masks of all proofs."""
        length = self.flp.PROVE_RAND_LEN * self.PROOFS
        return self._expand(ctx, USAGE_PROVE_RANDOMNESS, prove_seed, bytes([self.PROOFS]), length)

    def query_rands(self, verify_key: VerifyKey, ctx: bytes, nonce: bytes) -> Vec:
        """Derive the verifiers' secret randomness, test points included, for one report."""
        binder = bytes([self.PROOFS]) + nonce
        length = self.flp.QUERY_RAND_LEN * self.PROOFS
        return self._expand(ctx, USAGE_QUERY_RANDOMNESS, verify_key.reveal(), binder, length)

    def joint_rand_part(
        self, ctx: bytes, agg_id: int, blind: bytes, meas_share: Sequence[int], nonce: bytes
    ) -> bytes:
        """Commit to one aggregator's measurement share."""
        binder = bytes([agg_id]) + nonce + self.field.encode_vec(meas_share)
        dst = self.domain_separation_tag(USAGE_JOINT_RAND_PART, ctx)
        return XofTurboShake128.derive_seed(blind, dst, binder)

    def joint_rand_seed(self, ctx: bytes, parts: Sequence[bytes]) -> bytes:
        """Join all aggregators' parts into the seed of the joint randomness."""
        dst = self.domain_separation_tag(USAGE_JOINT_RAND_SEED, ctx)
        return XofTurboShake128.derive_seed(bytes(self.SEED_SIZE), dst, b"".join(parts))

    def joint_rands(self, ctx: bytes, seed: bytes) -> Vec:
        """Expand the joint randomness of all proofs."""
        length = self.flp.JOINT_RAND_LEN * self.PROOFS
        return self._expand(ctx, USAGE_JOINT_RANDOMNESS, seed, bytes([self.PROOFS]), length)

    def _expand(self, ctx: bytes, usage: int, seed: bytes, binder: bytes, length: int) -> Vec:
        dst = self.domain_separation_tag(usage, ctx)
        return XofTurboShake128.expand_into_vec(self.field, seed, dst, binder, length)

    def _per_proof(self, vec: Vec) -> list[Vec]:
        """Cut a vector for all proofs into one for each."""
        length = len(vec) // self.PROOFS
        return [vec[i * length : (i + 1) * length] for i in range(self.PROOFS)]

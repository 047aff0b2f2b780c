"""Five attacks on Prio3 used carelessly. Each function returns whether the attack worked.

They work against `Coalition`, which verifies whatever it is given. Whoever guards against
them subclasses it, refuses with a GrievanceError, and runs the same functions again.

    A  a client knows the verify key: it knows the test point, and any vector verifies
    B  a nonce is verified twice: the first verification gives the test point away
    C  one report is verified under two keys: the masks drop out, the bits can be solved for
    D  one report is verified with two public shares: likewise, for one dishonest aggregator
    E  as B, but the first report was refused and only ONE verifier share was seen
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from grievance.errors import GrievanceError, ProofError
from grievance.secret import VerifyKey
from grievance.vdaf import Block, LeaderShare, Prio3BlockCountVec
from grievance.vdaf.field import next_power_of_2
from grievance.vdaf.gadgets import wire_poly_len
from grievance.vdaf.polynomial import lagrange_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf import InputShare, PublicShare, VerifierShare, VerifyState
    from grievance.vdaf.field import Field, Vec

CTX = b"a task"
SPOILS = 1_000_000  # what a forged report adds to the first bin


def small_vdaf() -> Prio3BlockCountVec:
    """Nine bits with parents, wire polynomials of eight values."""
    blocks = [Block(3, 1), Block(6, 2, (0, 0, 1, 1, 2, 2))]
    return Prio3BlockCountVec(2, blocks, chunk_length=3)


class Coalition:
    """Aggregators that follow bare Prio3: no memory of nonces, no commitment to a key."""

    def __init__(self, vdaf: Prio3BlockCountVec | None = None, ctx: bytes = CTX) -> None:
        self.vdaf = vdaf or small_vdaf()
        self.ctx = ctx
        self.verify_key = VerifyKey.generate()
        self.states: dict[tuple[int, bytes], VerifyState] = {}

    def verify_init(
        self, agg_id: int, nonce: bytes, public_share: PublicShare, input_share: InputShare
    ) -> VerifierShare:
        """One aggregator verifies a report and publishes its verifier share."""
        state, verifier_share = self.vdaf.verify_init(
            self.verify_key, self.ctx, agg_id, nonce, public_share, input_share
        )
        self.states[agg_id, nonce] = state
        return verifier_share

    def finish(self, nonce: bytes, verifier_shares: Sequence[VerifierShare]) -> list[Vec]:
        """All of them decide; the output shares of an accepted report."""
        message = self.vdaf.verifier_shares_to_message(self.ctx, verifier_shares)
        return [
            self.vdaf.verify_next(self.ctx, self.states[agg_id, nonce], message)
            for agg_id in range(self.vdaf.SHARES)
        ]

    def change_key(self, verify_key: VerifyKey) -> None:
        """Go on under another verify key."""
        self.verify_key = verify_key

    def verify_all(
        self, nonce: bytes, public_share: PublicShare, input_shares: Sequence[InputShare]
    ) -> list[VerifierShare]:
        """Every aggregator verifies its share of a report."""
        return [
            self.verify_init(agg_id, nonce, public_share, input_share)
            for agg_id, input_share in enumerate(input_shares)
        ]


# -- the attacks -----------------------------------------------------------------------


def attack_a_known_key(coalition: Coalition) -> bool:
    """The client holds the verify key, so it derives the test point of its own nonce."""
    nonce = secrets.token_bytes(16)
    return _forgery_accepted(coalition, nonce, _test_point(coalition, nonce))


def attack_b_nonce_reuse(coalition: Coalition) -> bool:
    """An honest report first; both verifier shares are seen; then a forgery, same nonce."""
    vdaf, nonce = coalition.vdaf, secrets.token_bytes(16)
    meas = vdaf.circuit.encode([0] * vdaf.flp.OUTPUT_LEN)
    public_share, input_shares = _shard(coalition, meas, nonce)
    verifier_shares = coalition.verify_all(nonce, public_share, input_shares)
    coalition.finish(nonce, verifier_shares)
    proof = [0] * vdaf.flp.PROOF_LEN
    for agg_id, input_share in enumerate(input_shares):
        proof = vdaf.field.add(
            proof, vdaf.expand_input_share(coalition.ctx, agg_id, input_share)[1]
        )
    seen = vdaf.field.add(*(share.verifiers for share in verifier_shares))
    t = _solve_test_point(vdaf, meas, proof, _joint_rand(coalition, public_share), 1, seen)
    return _forgery_accepted(coalition, nonce, t)


def attack_e_refused_first(coalition: Coalition) -> bool:
    """A report that is refused first, of which only the helper's verifier share is seen."""
    vdaf, nonce = coalition.vdaf, secrets.token_bytes(16)
    public_share, input_shares = _shard(coalition, _invalid(vdaf), nonce)
    verifier_shares = coalition.verify_all(nonce, public_share, input_shares)
    try:
        coalition.finish(nonce, verifier_shares)
    except ProofError:
        refused = True
    else:
        refused = False
    meas_share, proof_share, _ = vdaf.expand_input_share(coalition.ctx, 1, input_shares[1])
    t = _solve_test_point(
        vdaf,
        meas_share,
        proof_share,
        _joint_rand(coalition, public_share),
        vdaf.SHARES,
        verifier_shares[1].verifiers,
    )
    return refused and _forgery_accepted(coalition, nonce, t)


def attack_c_two_keys(coalition: Coalition) -> bool:
    """An aggregator who knows both keys reads a victim's bits off two verifier messages."""
    vdaf, field, nonce = coalition.vdaf, coalition.vdaf.field, secrets.token_bytes(16)
    meas, public_share, input_shares = _victim(coalition, nonce)
    weights, messages = [], []
    for _ in range(2):
        try:
            shares = coalition.verify_all(nonce, public_share, input_shares)
            coalition.finish(nonce, shares)
            messages.append(field.add(*(share.verifiers for share in shares)))
            weights.append(lagrange_at(field, _wire_len(vdaf), _test_point(coalition, nonce)))
            coalition.change_key(VerifyKey.generate())
        except GrievanceError:
            return False
    # Both are (weight of the mask) * mask + sum of weights * wires: scale and subtract.
    (first, second), (y_first, y_second) = weights, messages
    without_mask = [
        a * second[0] - b * first[0] for a, b in zip(first[1:], second[1:], strict=True)
    ]
    powers = _powers(vdaf, _joint_rand(coalition, public_share))
    return _recovered(
        vdaf,
        [[w * r for w, r in zip(without_mask, column, strict=False)] for column in powers],
        [
            y_first[1 + 2 * j] * second[0] - y_second[1 + 2 * j] * first[0]
            for j in range(len(powers))
        ],
        meas,
    )


def attack_d_two_public_shares(coalition: Coalition) -> bool:
    """A leader has the honest helper verify one report with two public shares.

    The helper uses other joint randomness, but the same masks at the same point.
    """
    vdaf, field, nonce = coalition.vdaf, coalition.vdaf.field, secrets.token_bytes(16)
    meas, public_share, (leader, helper) = _victim(coalition, nonce)
    other_share = [secrets.token_bytes(32), public_share[1]]
    try:
        answers = [
            coalition.verify_init(1, nonce, public, helper).verifiers
            for public in (public_share, other_share)
        ]
    except GrievanceError:
        return False
    weights = lagrange_at(field, _wire_len(vdaf), _test_point(coalition, nonce))[1:]
    first, second = (
        _powers(vdaf, _joint_rand(coalition, public)) for public in (public_share, other_share)
    )
    coefficients = [
        [w * (r - s) for w, r, s in zip(weights, a, b, strict=False)]
        for a, b in zip(first, second, strict=True)
    ]
    targets = []
    for j, column in enumerate(coefficients):
        difference = answers[0][1 + 2 * j] - answers[1][1 + 2 * j]
        own = leader.meas_share[j :: vdaf.circuit.chunk_length]
        targets.append(difference + sum(a * x for a, x in zip(column, own, strict=False)))
    return _recovered(vdaf, coefficients, targets, meas)


# -- how a forgery is made ---------------------------------------------------------------


def forge(coalition: Coalition, nonce: bytes, t: int) -> tuple[PublicShare, list[InputShare]]:
    """Make a report that adds SPOILS to the first bin and verifies at the test point t.

    The honest gadget polynomial g of the invalid measurement passes the test at t, but its
    outputs do not sum to zero. So do those of g + c * (X - t), which is g at t.
    """
    vdaf, field, circuit = coalition.vdaf, coalition.vdaf.field, coalition.vdaf.circuit
    meas = _invalid(vdaf)
    public_share, (leader, *helpers) = _shard(coalition, meas, nonce)
    (gadget,), (num_calls,) = circuit.GADGETS, circuit.GADGET_CALLS
    joint_rand = _joint_rand(coalition, public_share)
    excess = circuit.eval(meas, joint_rand, 1, [lambda wires: gadget.eval(field, wires)])[0]
    calls = field.nth_root_powers(_wire_len(vdaf))[1 : num_calls + 1]
    c = -excess * field.inv(sum(x - t for x in calls)) % field.MODULUS
    proof = list(leader.proofs_share)
    nodes = field.nth_root_powers(next_power_of_2(len(proof) - gadget.ARITY))
    for i, x in zip(range(gadget.ARITY, len(proof)), nodes, strict=False):
        proof[i] = (proof[i] + c * (x - t)) % field.MODULUS
    return public_share, [replace(leader, proofs_share=proof), *helpers]


def _forgery_accepted(coalition: Coalition, nonce: bytes, t: int) -> bool:
    public_share, input_shares = forge(coalition, nonce, t)
    try:
        shares = coalition.verify_all(nonce, public_share, input_shares)
        out_shares = coalition.finish(nonce, shares)
    except GrievanceError:
        return False
    return coalition.vdaf.unshard(out_shares, 1)[0] == SPOILS


def _invalid(vdaf: Prio3BlockCountVec) -> Vec:
    """All zero but for the first bin; its block's weight, whose first digit counts 1, agrees."""
    meas = [0] * vdaf.flp.MEAS_LEN
    meas[0] = meas[vdaf.flp.OUTPUT_LEN] = SPOILS
    return meas


def _solve_test_point(
    vdaf: Prio3BlockCountVec,
    meas: Vec,
    proof: Vec,
    joint_rand: Vec,
    num_shares: int,
    verifier: Vec,
) -> int:
    """Find t from known polynomials and their values at t: it is their only common root."""
    field = vdaf.field
    (shim,) = vdaf.flp.query_gadgets(proof)
    vdaf.circuit.eval(meas, joint_rand, num_shares, [shim])
    common: Vec = []
    polys = [*zip(*shim.calls, strict=True), shim.poly]
    for values, value_at_t in zip(polys, verifier[1:], strict=True):
        padding = [0] * (next_power_of_2(len(values)) - len(values))
        poly = field.inv_ntt([*values, *padding])
        poly[0] = (poly[0] - value_at_t) % field.MODULUS
        common = _gcd(field, common, poly)
    constant, slope = common
    return -constant * field.inv(slope) % field.MODULUS


def _gcd(field: Field, a: Vec, b: Vec) -> Vec:
    """Euclid for polynomials, lowest degree first."""
    a, b = _stripped(a), _stripped(b)
    while b:
        if len(a) < len(b):
            a, b = b, a
            continue
        factor = a[-1] * field.inv(b[-1])
        shift = len(a) - len(b)
        low, high = a[:shift], a[shift:]
        high = [(x - factor * y) % field.MODULUS for x, y in zip(high, b, strict=True)]
        a = _stripped(low + high)
        if not a:
            return b
    return a


def _stripped(poly: Vec) -> Vec:
    end = len(poly)
    while end and poly[end - 1] == 0:
        end -= 1
    return poly[:end]


# -- how bits are solved for -------------------------------------------------------------


def _recovered(
    vdaf: Prio3BlockCountVec, coefficients: Sequence[Vec], targets: Sequence[int], meas: Vec
) -> bool:
    """For each wire try all bits: `sum of coefficient * bit = target` has one answer."""
    p, chunk = vdaf.field.MODULUS, vdaf.circuit.chunk_length
    for j, (column, target) in enumerate(zip(coefficients, targets, strict=True)):
        solutions = [
            bits
            for bits in product((0, 1), repeat=len(column))
            if (sum(a * b for a, b in zip(column, bits, strict=True)) - target) % p == 0
        ]
        truth = tuple((meas + [0] * chunk)[j + chunk * k] for k in range(len(column)))
        if solutions != [truth]:
            return False
    return True


def _powers(vdaf: Prio3BlockCountVec, joint_rand: Vec) -> list[Vec]:
    """For each product j in a chunk, r**(j + 1) of every call."""
    p = vdaf.field.MODULUS
    return [[pow(r, j + 1, p) for r in joint_rand] for j in range(vdaf.circuit.chunk_length)]


def _victim(
    coalition: Coalition, nonce: bytes
) -> tuple[Vec, list[bytes], tuple[LeaderShare, InputShare]]:
    """Shard an honest report whose parent and child bits are drawn at random."""
    vdaf = coalition.vdaf
    bits = [0] * vdaf.flp.OUTPUT_LEN
    group = secrets.randbelow(3)
    bits[group] = 1
    bits[3 + 2 * group] = secrets.randbelow(2)
    bits[4 + 2 * group] = secrets.randbelow(2)
    meas = vdaf.circuit.encode(bits)
    public_share, input_shares = _shard(coalition, meas, nonce)
    return meas, public_share, input_shares


def _shard(coalition: Coalition, meas: Vec, nonce: bytes) -> tuple[PublicShare, list[InputShare]]:
    rand = secrets.token_bytes(coalition.vdaf.RAND_SIZE)
    return coalition.vdaf._shard_encoded(coalition.ctx, meas, nonce, rand)


def _joint_rand(coalition: Coalition, public_share: PublicShare) -> Vec:
    seed = coalition.vdaf.joint_rand_seed(coalition.ctx, public_share)
    return coalition.vdaf.joint_rands(coalition.ctx, seed)


def _test_point(coalition: Coalition, nonce: bytes) -> int:
    return coalition.vdaf.query_rands(coalition.verify_key, coalition.ctx, nonce)[-1]


def _wire_len(vdaf: Prio3BlockCountVec) -> int:
    return wire_poly_len(vdaf.circuit.GADGET_CALLS[0])

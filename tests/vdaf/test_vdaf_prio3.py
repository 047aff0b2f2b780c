"""Prio3 end to end: messages, their encodings, and everything that may go wrong with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vdaf_world import BITS, BLOCKS, CTX, EVERY_VDAF, World

from grievance.errors import ProofError, ShapeError, TestPointError, VdafError
from grievance.secret import VerifyKey
from grievance.vdaf import (
    FIELD64,
    FIELD128,
    Block,
    HelperShare,
    Histogram,
    LeaderShare,
    Prio3,
    Prio3BlockCountVec,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    Prio3SumVecWithMultiproof,
    SumVec,
    VerifierShare,
)
from grievance.vdaf.gadgets import wire_poly_len


@pytest.fixture
def world():
    return World(Prio3BlockCountVec(2, BLOCKS, 3), BITS)


@EVERY_VDAF
def test_honest_reports_are_counted(vdaf, measurement):
    total = [vdaf.agg_init() for _ in range(vdaf.SHARES)]
    for _ in range(3):
        for i, out in enumerate(World(vdaf, measurement).verify()):
            total[i] = vdaf.agg_update(total[i], out)
    once = World(vdaf, measurement).verify()
    merged = [vdaf.merge([a, b]) for a, b in zip(total, once, strict=True)]
    result = vdaf.unshard(merged, 4)
    if isinstance(measurement, list):
        assert result == [4 * x for x in measurement]
    elif isinstance(result, list):
        assert result == [4 * (i == measurement) for i in range(len(result))]
    else:
        assert result == 4 * measurement


def test_two_hundred_honest_reports_none_refused():
    vdaf = Prio3BlockCountVec(2, BLOCKS, 2)
    for i in range(200):
        World(vdaf, [[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 1], [0] * 6][i % 3]).verify()


def test_255_aggregators():
    vdaf = Prio3Count(255)
    assert vdaf.unshard(World(vdaf, 1).verify(), 1) == 1


# -- what must be refused ------------------------------------------------------------------


def refused(world):
    with pytest.raises(ProofError):
        world.verify()


def test_every_element_of_the_leaders_share(world):
    leader = world.inputs[0]
    for name in ("meas_share", "proofs_share"):
        for i in range(len(getattr(leader, name))):
            vec = list(getattr(leader, name))
            vec[i] = (vec[i] + 1) % FIELD128.MODULUS
            world.inputs[0] = replace(leader, **{name: vec})
            refused(world)


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("at", [0, 31])
def test_seeds_blinds_and_public_share_flipped(world, at):
    leader, helper = world.inputs
    for changed in (
        [replace(leader, blind=flip(leader.blind, at)), helper],
        [leader, replace(helper, blind=flip(helper.blind, at))],
        [leader, replace(helper, seed=flip(helper.seed, at))],
    ):
        world.inputs = changed
        refused(world)
    world.inputs, public = [leader, helper], world.public
    for i in range(2):
        world.public = [flip(part, at) if i == j else part for j, part in enumerate(public)]
        refused(world)
    world.public = public[::-1]
    refused(world)
    world.public = public
    world.verify()


def test_verifier_message_flipped_is_refused_by_every_aggregator(world):
    begun = world.begin()
    message = world.vdaf.verifier_shares_to_message(CTX, [share for _, share in begun])
    for bad in (flip(message, 0), flip(message, 31), bytes(32), b"", None, message[:-1]):
        for state, _ in begun:
            with pytest.raises(ProofError) as caught:
                world.vdaf.verify_next(CTX, state, bad)
            assert caught.value.code == "vdaf.joint-rand"


def test_message_where_none_belongs_is_refused():
    world = World(Prio3Count(2), 1)
    (state, _), _ = world.begin()
    with pytest.raises(ProofError):
        world.vdaf.verify_next(CTX, state, b"")


def test_verifier_shares_of_other_reports_swapped_changed_or_missing(world):
    begun = world.begin()
    first, second = (share for _, share in begun)
    other = World(world.vdaf, BITS).begin()[1][1]
    with pytest.raises(ProofError):
        world.finish(begun, [first, other])
    with pytest.raises(ProofError):
        world.finish(begun, [second, first])  # the order of the parts is not that of the seed
    with pytest.raises(ProofError):
        world.finish(begun, [first, first])
    for i in range(len(first.verifiers)):
        vec = list(first.verifiers)
        vec[i] = (vec[i] + 1) % FIELD128.MODULUS
        with pytest.raises(ProofError):
            world.finish(begun, [replace(first, verifiers=vec), second])
    with pytest.raises(ProofError):
        world.finish(begun, [replace(first, joint_rand_part=bytes(32)), second])
    for shares in (
        [first],
        [first, second, second],
        [first, VerifierShare(second.verifiers, None)],
    ):
        with pytest.raises(ShapeError):
            world.finish(begun, shares)
    with pytest.raises(ShapeError):
        world.finish(begun, [first, VerifierShare(second.verifiers[:-1], second.joint_rand_part)])


def test_other_context_nonce_or_key_at_one_aggregator(world):
    world.ctxs = [CTX, b"another task"]
    refused(world)
    world.ctxs = [b"another task"] * 2
    refused(world)
    world.ctxs, world.nonces = [CTX] * 2, [world.nonce, bytes(16)]
    refused(world)
    world.nonces = [bytes(16)] * 2
    refused(world)
    world.nonces = [world.nonce] * 2
    first = world.begin()
    world.key = VerifyKey.generate()
    with pytest.raises(ProofError):
        world.finish([first[0], world.begin()[1]])


def test_another_id_is_another_vdaf(world):
    class Renamed(Prio3BlockCountVec):
        ID = 0xFFFF4743

    world.vdaf = Renamed(2, BLOCKS, 3)
    refused(world)


def test_another_wire_version_is_another_vdaf(world, monkeypatch):
    monkeypatch.setattr("grievance.vdaf.xof.VERSION", 17)
    refused(world)


def test_a_proof_of_another_circuit_of_equal_size_is_refused():
    honest = World(Prio3BlockCountVec(2, [Block(3, 1), Block(3, 3)], 3), [1, 0, 0, 1, 1, 1])
    honest.vdaf = Prio3BlockCountVec(2, [Block(3, 3), Block(3, 1)], 3)
    refused(honest)


def test_shares_of_the_wrong_aggregator(world):
    leader, helper = world.inputs
    for agg_id, share in ((0, helper), (1, leader), (2, helper), (-1, helper)):
        with pytest.raises(ShapeError):
            world.vdaf.verify_init(world.key, CTX, agg_id, world.nonce, world.public, share)
    three = World(Prio3BlockCountVec(3, BLOCKS, 3), BITS)
    three.inputs = [three.inputs[0], three.inputs[2], three.inputs[1]]
    refused(three)


def test_parts_of_a_wrong_shape(world):
    vdaf, (leader, helper) = world.vdaf, world.inputs
    good = {"agg_id": 1, "nonce": world.nonce, "public_share": world.public, "input_share": helper}
    for bad in (
        {"nonce": bytes(15)},
        {"nonce": bytes(17)},
        {"public_share": None},
        {"public_share": world.public[:1]},
        {"public_share": [world.public[0], bytes(31)]},
        {"input_share": HelperShare(helper.seed[:-1], helper.blind)},
        {"input_share": HelperShare(helper.seed, None)},
        {"input_share": HelperShare(helper.seed, bytes(33))},
        {"agg_id": 0, "input_share": replace(leader, meas_share=leader.meas_share[:-1])},
        {"agg_id": 0, "input_share": replace(leader, proofs_share=[*leader.proofs_share, 0])},
    ):
        with pytest.raises(ShapeError):
            vdaf.verify_init(world.key, CTX, **{**good, **bad})
    for name, size in (("nonce", 15), ("rand", vdaf.RAND_SIZE - 1)):
        sizes = {"nonce": bytes(16), "rand": bytes(vdaf.RAND_SIZE), name: bytes(size)}
        with pytest.raises(ShapeError):
            vdaf._shard_with_rand(CTX, BITS, **sizes)
    with pytest.raises(ShapeError):
        vdaf._shard_encoded(CTX, [0] * 8, bytes(16), bytes(vdaf.RAND_SIZE))
    with pytest.raises(ShapeError):
        vdaf.encode_input_share(LeaderShare(leader.meas_share, leader.proofs_share, None))
    with pytest.raises(ShapeError):
        vdaf.unshard([vdaf.agg_init()], 1)
    count = Prio3Count(2)
    with pytest.raises(ShapeError):
        count.encode_public_share([bytes(32)] * 2)
    with pytest.raises(ShapeError):
        count.verify_init(
            world.key, CTX, 1, bytes(16), [bytes(32)] * 2, HelperShare(bytes(32), None)
        )


# -- odd, but honest -------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [2, 3])
def test_zero_and_equal_helper_seeds_still_verify(shares):
    vdaf = Prio3BlockCountVec(shares, BLOCKS, 3)
    for rand in (bytes(vdaf.RAND_SIZE), bytes(range(32)) * (vdaf.RAND_SIZE // 32)):
        world = World(vdaf, BITS)
        world.public, world.inputs = vdaf._shard_with_rand(CTX, BITS, world.nonce, rand)
        assert vdaf.unshard(world.verify(), 1) == BITS


def test_verify_init_is_a_pure_function(world):
    first, second = world.begin(), world.begin()
    assert first == second
    for out_share in world.finish(first):
        out_share.clear()  # a copy: the state keeps its own
    assert first == second


def test_encoded_vectors_are_taken_mod_p(world):
    p, rand = FIELD128.MODULUS, bytes(world.vdaf.RAND_SIZE)
    reports = [
        world.vdaf._shard_encoded(CTX, [x, *[0] * 8], world.nonce, rand)
        for x in (-1, p - 1, 2 * p - 1)
    ]
    assert reports[0] == reports[1] == reports[2]


def test_shard_draws_its_own_randomness(world):
    other, _ = world.vdaf.shard(CTX, BITS, world.nonce)
    assert other != world.public


# -- the test point, by stubbing the query randomness ------------------------------------------


class Stubbed(Prio3BlockCountVec):
    """Query randomness that ends in a test point of our choice."""

    def query_rands(self, verify_key, ctx, nonce):
        return [*super().query_rands(verify_key, ctx, nonce)[:-1], self.test_point]


def test_a_root_of_unity_as_test_point_refuses_the_report_everywhere(world):
    vdaf = world.vdaf = Stubbed(2, BLOCKS, 3)
    P = wire_poly_len(vdaf.circuit.GADGET_CALLS[0])
    for vdaf.test_point in FIELD128.nth_root_powers(P):
        for i in range(2):
            with pytest.raises(TestPointError) as caught:
                vdaf.verify_init(world.key, CTX, i, world.nonce, world.public, world.inputs[i])
            assert caught.value.code == "vdaf.test-point"


def test_a_root_of_twice_the_order_is_an_ordinary_test_point(world):
    vdaf = world.vdaf = Stubbed(2, BLOCKS, 3)
    P = wire_poly_len(vdaf.circuit.GADGET_CALLS[0])
    leader = world.inputs[0]
    for vdaf.test_point in FIELD128.nth_root_powers(2 * P)[1::2]:
        world.inputs[0] = leader
        assert vdaf.unshard(world.verify(), 1) == BITS
        masks = [(leader.proofs_share[0] + 1) % FIELD128.MODULUS, *leader.proofs_share[1:]]
        world.inputs[0] = replace(leader, proofs_share=masks)
        refused(world)
    vdaf.test_point = 0
    world.inputs[0] = leader
    world.verify()


# -- parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [-1, 0, 1, 256, 2.0])
def test_numbers_of_aggregators(shares):
    with pytest.raises(VdafError) as caught:
        Prio3Count(shares)
    assert caught.value.code == "vdaf.parameters"


def test_weak_parameters_are_refused():
    for num_proofs in (1, 2):
        with pytest.raises(VdafError):
            Prio3SumVecWithMultiproof(2, 2, 1, 1, num_proofs)
        with pytest.raises(VdafError):
            Prio3(2, Histogram(FIELD64, 3, 1), num_proofs)
    Prio3SumVecWithMultiproof(2, 2, 1, 1, 1, FIELD128)
    Prio3(2, SumVec(FIELD64, 3, 1, 1), 3)
    for num_proofs in (0, 256):
        with pytest.raises(VdafError):
            Prio3SumVecWithMultiproof(2, 2, 1, 1, num_proofs)


def test_algorithm_ids():
    ids = [
        cls.ID for cls in (Prio3Count, Prio3Sum, Prio3SumVec, Prio3Histogram, Prio3MultihotCountVec)
    ]
    assert ids == [1, 2, 3, 4, 5]
    assert Prio3SumVecWithMultiproof.ID == 0xFFFFFFFF
    assert Prio3BlockCountVec.ID == 0xFFFF4742

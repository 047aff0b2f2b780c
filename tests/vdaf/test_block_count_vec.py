"""BlockCountVec: the same as MultihotCountVec for one block, and sound for many."""

from __future__ import annotations

import secrets
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.errors import ProofError, VdafError
from grievance.secret import VerifyKey
from grievance.vdaf import (
    FIELD128,
    Block,
    BlockCountVec,
    Flp,
    Prio3BlockCountVec,
    Prio3MultihotCountVec,
    best_chunk_length,
)

CTX = b"a task"


class OneBlock(Prio3BlockCountVec):
    """Under the standard's ID."""

    ID = Prio3MultihotCountVec.ID


def transcript(vdaf, measurement, nonce, rand, key):
    """Every byte that one report gives rise to."""
    public, inputs = vdaf._shard_with_rand(CTX, measurement, nonce, rand)
    sent = [vdaf.encode_public_share(public), *map(vdaf.encode_input_share, inputs)]
    begun = [vdaf.verify_init(key, CTX, i, nonce, public, share) for i, share in enumerate(inputs)]
    message = vdaf.verifier_shares_to_message(CTX, [share for _, share in begun])
    outs = [vdaf.verify_next(CTX, state, message) for state, _ in begun]
    return [
        *sent,
        *(vdaf.encode_verifier_share(share) for _, share in begun),
        vdaf.encode_verifier_message(message),
        *map(vdaf.encode_out_share, outs),
        vdaf.unshard(outs, 1),
    ]


@settings(max_examples=30)
@given(st.data())
def test_one_block_is_multihot_byte_for_byte(data):
    length = data.draw(st.integers(1, 12))
    max_weight = data.draw(st.integers(1, length))
    chunk_length = data.draw(st.integers(1, 14))
    shares = data.draw(st.integers(2, 4))
    ones = data.draw(st.sets(st.integers(0, length - 1), max_size=max_weight))
    measurement = [int(i in ones) for i in range(length)]
    ours = OneBlock(shares, [Block(length, max_weight)], chunk_length)
    theirs = Prio3MultihotCountVec(shares, length, max_weight, chunk_length)
    nonce, rand = secrets.token_bytes(16), secrets.token_bytes(theirs.RAND_SIZE)
    key = VerifyKey.generate()
    assert transcript(ours, measurement, nonce, rand, key) == transcript(
        theirs, measurement, nonce, rand, key
    )


@st.composite
def blocks_and_bits(draw):
    """Some blocks with parents, and valid bits for them."""
    blocks, bits = [], []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 5))
        earlier = st.integers(0, len(bits) - 1) if bits else st.none()
        parents = tuple(draw(st.one_of(st.none(), earlier)) for _ in range(length))
        wanted = draw(st.lists(st.integers(0, 1), min_size=length, max_size=length))
        own = [b if q is None else b & bits[q] for b, q in zip(wanted, parents, strict=True)]
        weight = draw(st.integers(max(1, sum(own)), length))
        max_weight = None if None not in parents and draw(st.booleans()) else weight
        blocks.append(Block(length, max_weight, parents if any_given(parents) else None))
        bits += own
    return blocks, bits


def any_given(parents):
    return any(parent is not None for parent in parents)


@settings(max_examples=40)
@given(blocks_and_bits(), st.integers(1, 9), st.integers(2, 3))
def test_valid_bits_are_accepted_and_counted(case, chunk_length, shares):
    blocks, bits = case
    vdaf = Prio3BlockCountVec(shares, blocks, chunk_length)
    weighted = sum(block.max_weight is not None for block in blocks)
    lengths = (vdaf.circuit.EVAL_OUTPUT_LEN, vdaf.circuit.OUTPUT_LEN)
    assert lengths == (1 + weighted, len(bits))
    nonce, rand = secrets.token_bytes(16), secrets.token_bytes(vdaf.RAND_SIZE)
    assert transcript(vdaf, bits, nonce, rand, VerifyKey.generate())[-1] == bits


P = FIELD128.MODULUS
# Group a, group b (at most one); ticks a0 a1 b0 b1 (at most two), value bits a, b, without a
# weight; then the weights: one element for the groups, two for the ticks.
VDAF = Prio3BlockCountVec(
    2, [Block(2, 1), Block(4, 2, (0, 0, 1, 1)), Block(2, None, (0, 1))], chunk_length=4
)
INVALID = {
    "a bit is 2": [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0],
    "a bit is 2, weight split": [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    "a bit is -1": [P - 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "minus a million": [1, 0, P - 10**6, 10**6, 0, 0, 0, 0, 1, 0, 0],
    "errors cancel": [1, 0, 2, P - 1, 0, 0, 0, 0, 1, 1, 0],
    "errors cancel across blocks": [1, 0, 2, 0, 0, 0, P - 1, 0, 1, 1, 0],
    "two groups": [1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    "three ticks": [1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1],
    "ticks without a group": [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0],
    "ticks in the other group": [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0],
    "a value without a group": [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    "a value in the other group": [1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0],
    "a value of 2": [1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0],
    "a value of -1": [1, 0, 0, 0, 0, 0, P - 1, 0, 1, 0, 0],
    "a half group": [(P + 1) // 2, 0, 0, 0, 0, 0, (P + 1) // 2, 0, (P + 1) // 2, 0, 0],
    "weight too low": [1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0],
    "weight too high": [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1],
    "weight digit of 2": [1, 0, 1, 1, 0, 0, 0, 0, 1, 2, 0],
    "weight digits cancel": [1, 0, 1, 0, 0, 0, 0, 0, 1, 2, P - 1],
    "weights swapped": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    "group weight missing": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
}


def verify(vdaf, meas, rounds=1):
    for _ in range(rounds):
        nonce, key = secrets.token_bytes(16), VerifyKey.generate()
        public, inputs = vdaf._shard_encoded(CTX, meas, nonce, secrets.token_bytes(vdaf.RAND_SIZE))
        shares = [
            vdaf.verify_init(key, CTX, i, nonce, public, share)[1] for i, share in enumerate(inputs)
        ]
        vdaf.verifier_shares_to_message(CTX, shares)


def test_the_valid_neighbours_of_the_invalid_ones_are_accepted():
    verify(VDAF, [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1])
    verify(VDAF, [0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0])
    verify(VDAF, [0] * 11)


@pytest.mark.parametrize("meas", INVALID.values(), ids=INVALID.keys())
def test_invalid_vectors_are_refused(meas):
    assert len(meas) == VDAF.flp.MEAS_LEN
    for _ in range(10):
        with pytest.raises(ProofError):
            verify(VDAF, meas)


@settings(max_examples=60)
@given(blocks_and_bits(), st.data())
def test_no_element_can_be_another(case, data):
    """Any one element of an honest vector changed to anything else that is not equivalent."""
    blocks, bits = case
    vdaf = Prio3BlockCountVec(2, blocks, data.draw(st.integers(1, 6)))
    meas = vdaf.circuit.encode(bits)
    i = data.draw(st.integers(0, len(meas) - 1))
    new = data.draw(st.one_of(st.sampled_from([2, 3, P - 1, P - 2]), st.integers(2, P - 1)))
    meas[i] = new
    with pytest.raises(ProofError):
        verify(vdaf, meas)


def honest_outputs_of(circuit, meas):
    """Evaluate the circuit as it is meant, without any proof."""
    gadget = circuit.GADGETS[0]
    joint_rand = FIELD128.rand_vec(circuit.JOINT_RAND_LEN)
    return circuit.eval(meas, joint_rand, 1, [lambda wires: gadget.eval(FIELD128, wires)])


@settings(max_examples=150)
@given(st.lists(st.sampled_from([0, 1, 2, P - 1]), min_size=11, max_size=11))
def test_the_circuit_accepts_exactly_what_it_should(meas):
    """Against the rules in words: a naive model of validity over bits and non-bits."""
    bits = meas[:8]
    parents = {2: 0, 3: 0, 4: 1, 5: 1, 6: 0, 7: 1}
    valid = (
        set(meas) <= {0, 1}
        and all(bits[i] <= bits[q] for i, q in parents.items())
        and sum(bits[:2]) == meas[8]
        and sum(bits[2:6]) == meas[9] + meas[10]
    )
    assert (set(honest_outputs_of(VDAF.circuit, meas)) == {0}) == valid


@pytest.mark.parametrize(
    "bits",
    [
        [1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1, 0, 0, 0],
        [2, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],
        None,
    ],
)
def test_encode_refuses_what_could_not_be_proved(bits):
    with pytest.raises(VdafError) as caught:
        VDAF.circuit.encode(bits)
    assert caught.value.code == "vdaf.measurement"


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [Block(0, 1)],
        [Block(-1, 1)],
        [Block(2, 0)],
        [Block(2, 3)],
        [Block(2, None)],
        [Block(2, 1), Block(2, None, (0, None))],
        [Block(2, 1, (None,))],
        [Block(2, 1), Block(2, 1, (0, 3))],  # its own index
        [Block(2, 1, (1, 0))],  # a circle
        [Block(2, 1, (1, None))],  # a later bit
        [Block(2, 1), Block(1, 1, (-1,))],
        [Block(2, 1), Block(1, 1, ("0",))],
        [Block(2, 1), Block(1, 1, (3,))],
        [Block(True, 1)],
        [Block(2, 1.0)],
    ],
)
def test_blocks_that_break_a_rule(blocks):
    with pytest.raises(VdafError) as caught:
        BlockCountVec(FIELD128, blocks, 2)
    assert caught.value.code == "vdaf.parameters"


def test_a_chain_of_parents_holds():
    vdaf = Prio3BlockCountVec(2, [Block(3, 3, (None, 0, 1))], 2)
    verify(vdaf, vdaf.circuit.encode([1, 1, 1]))
    with pytest.raises(ProofError):
        verify(vdaf, [1, 0, 1, 0, 1])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 80), st.integers(1, 80)), min_size=1, max_size=4))
def test_best_chunk_length_is_the_best_of_all(sizes):
    blocks = [Block(length, min(length, k)) for length, k in sizes]

    def proof_len(chunk_length):
        return Flp(BlockCountVec(FIELD128, blocks, chunk_length)).PROOF_LEN

    meas_len = BlockCountVec(FIELD128, blocks, 1).MEAS_LEN
    lengths = {c: proof_len(c) for c in range(1, meas_len + 1)}
    shortest = min(lengths.values())
    assert best_chunk_length(blocks) == min(c for c, n in lengths.items() if n == shortest)


def test_best_chunk_length_of_a_survey():
    assert best_chunk_length([Block(500, 1)]) == 17
    assert best_chunk_length([Block(1, 1)]) == 2
    assert abs(best_chunk_length([Block(4000, 1)]) - sqrt(4001)) < 40
    with pytest.raises(VdafError):
        best_chunk_length([])

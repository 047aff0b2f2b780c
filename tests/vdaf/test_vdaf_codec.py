"""The byte form of every message: one for each value, and nothing else decodes."""

from __future__ import annotations

import pytest
from vdaf_world import BITS, BLOCKS, CTX, EVERY_VDAF, World

from grievance.errors import WireError
from grievance.vdaf import FIELD128, Prio3BlockCountVec


@pytest.fixture
def world():
    return World(Prio3BlockCountVec(2, BLOCKS, 3), BITS)


@EVERY_VDAF
def test_encodings_have_their_sizes_and_are_undone(vdaf, measurement):
    world = World(vdaf, measurement)
    begun = world.begin()
    message = vdaf.verifier_shares_to_message(CTX, [share for _, share in begun])
    out = vdaf.verify_next(CTX, begun[0][0], message)
    cases = [
        (vdaf.encode_public_share, vdaf.decode_public_share, world.public, vdaf.PUBLIC_SHARE_SIZE),
        *(
            (
                vdaf.encode_input_share,
                lambda data, i=i: vdaf.decode_input_share(i, data),
                share,
                vdaf.input_share_size(i),
            )
            for i, share in enumerate(world.inputs)
        ),
        (
            vdaf.encode_verifier_share,
            vdaf.decode_verifier_share,
            begun[0][1],
            vdaf.VERIFIER_SHARE_SIZE,
        ),
        (
            vdaf.encode_verifier_message,
            vdaf.decode_verifier_message,
            message,
            vdaf.VERIFIER_MESSAGE_SIZE,
        ),
        (vdaf.encode_out_share, vdaf.decode_out_share, out, vdaf.AGG_SHARE_SIZE),
        (vdaf.encode_agg_share, vdaf.decode_agg_share, out, vdaf.AGG_SHARE_SIZE),
    ]
    for encode, decode, value, size in cases:
        data = encode(value)
        assert len(data) == size
        assert decode(data) == value
        for wrong in (data + b"\0", data + bytes(16), data[:-1] if data else b"\0"):
            with pytest.raises(WireError):
                decode(wrong)


def test_every_element_must_be_reduced(world):
    vdaf = world.vdaf
    overflow = FIELD128.MODULUS.to_bytes(16, "little")
    leader = vdaf.encode_input_share(world.inputs[0])
    share = vdaf.encode_verifier_share(world.begin()[0][1])
    agg = vdaf.encode_agg_share(vdaf.agg_init())
    for data, decode in (
        (leader, lambda data: vdaf.decode_input_share(0, data)),
        (share, vdaf.decode_verifier_share),
        (agg, vdaf.decode_agg_share),
        (agg, vdaf.decode_out_share),
    ):
        tail_size = 0 if data is agg else 32
        for at in range(0, len(data) - tail_size, 16):
            with pytest.raises(WireError) as caught:
                decode(data[:at] + overflow + data[at + 16 :])
            assert caught.value.code == "vdaf.modulus"


def test_equal_measurements_make_reports_of_equal_size(world):
    vdaf = world.vdaf
    sizes = set()
    for bits in (BITS, [0] * 6, [0, 1, 0, 0, 0, 1]):
        public, inputs = vdaf.shard(CTX, bits, world.nonce)
        sizes.add(
            (
                len(vdaf.encode_public_share(public)),
                *(len(vdaf.encode_input_share(s)) for s in inputs),
            )
        )
    assert len(sizes) == 1
    assert vdaf.input_share_size(1) == 64


def test_nothing_prints_its_contents(world):
    begun = world.begin()
    for thing in (*world.inputs, begun[0][0], begun[0][1]):
        assert repr(thing) == str(thing) == f"<{type(thing).__name__}>"

"""TurboSHAKE128 against the known answers of RFC 9861, and our XOF against a second sponge.

Our XOF fixes the domain byte to 1 and puts lengths before its inputs (VDAF draft-20, 6.2.1), so
the answers cannot be put to it as they stand. Two steps instead: the permutation written out
below, and the library the XOF stands on, both give the RFC's answers; then the XOF is compared
with the permutation for its own inputs. Source of the answers: RFC 9861, section 5.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from grievance.errors import ShapeError
from grievance.vdaf import xof
from grievance.vdaf.field import FIELD64, FIELD128
from grievance.vdaf.xof import XofTurboShake128, format_dst

RATE = 168
MASK = (1 << 64) - 1


def rotate(word: int, by: int) -> int:
    return (word << by | word >> 64 - by) & MASK if by else word


def round_constants() -> list[int]:
    """FIPS 202, 3.2.5: bits of a linear feedback shift register at the places 2^j - 1."""
    state, bits = 1, []
    for _ in range(7 * 24):
        bits.append(state & 1)
        state = state << 1 ^ (0x171 if state & 0x80 else 0)
    return [sum(bits[7 * number + j] << (1 << j) - 1 for j in range(7)) for number in range(24)]


CONSTANTS = round_constants()[12:]


def permute(lanes: list[int]) -> list[int]:
    """The last 12 rounds of Keccak-f[1600]. Source: FIPS 202, 3.2; RFC 9861, 2.1."""
    for constant in CONSTANTS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
                   for x in range(5)]  # fmt: skip
        lanes = [
            lane ^ columns[(at + 4) % 5] ^ rotate(columns[(at + 1) % 5], 1)
            for at, lane in enumerate(lanes)
        ]
        moved = [lanes[0]] * 25
        x, y = 1, 0
        for step in range(24):
            by = (step + 1) * (step + 2) // 2 % 64
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(lanes[x + 5 * y], by)
            x, y = y, (2 * x + 3 * y) % 5
        lanes = [
            moved[at] ^ (~moved[at - at % 5 + (at + 1) % 5] & moved[at - at % 5 + (at + 2) % 5])
            for at in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def turboshake128(message: bytes, domain: int, length: int) -> bytes:
    padded = bytearray(message + bytes([domain]))
    padded += bytes(-len(padded) % RATE)
    padded[-1] ^= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), RATE):
        for at in range(RATE // 8):
            lanes[at] ^= int.from_bytes(padded[start + 8 * at : start + 8 * at + 8], "little")
        lanes = permute(lanes)
    stream = b""
    while len(stream) < length:
        stream += b"".join(lane.to_bytes(8, "little") for lane in lanes[: RATE // 8])
        lanes = permute(lanes)
    return stream[:length]


def library(message: bytes, domain: int, length: int) -> bytes:
    """What the XOF is made of."""
    sponge = xof.TurboSHAKE128.new(domain=domain)
    sponge.update(message)
    return bytes(sponge.read(length))


def ptn(length: int) -> bytes:
    """RFC 9861, 5: the bytes 0 to 250, over and over."""
    return (bytes(range(0xFB)) * (length // 0xFB + 1))[:length]


EMPTY = (
    "1e415f1c5983aff2169217277d17bb538cd945a397ddec541f1ce41af2c1b74c"
    "3e8ccae2a4dae56c84a04c2385c03c15e8193bdf58737363321691c05462c8df"
)
LAST_OF_10032 = "a3b9b0385900ce761f22aed548e754da10a5242d62e8c658e3f3a923a7555607"
PATTERNS = {
    1: "55cedd6f60af7bb29a4042ae832ef3f58db7299f893ebb9247247d856958daa9",
    17: "9c97d036a3bac819db70ede0ca554ec6e4c2a1a4ffbfd9ec269ca6a111161233",
    17**2: "96c77c279e0126f7fc07c9b07f5cdae1e0be60bdbe10620040e75d7223a624d2",
    17**3: "d4976eb56bcf118520582b709f73e1d6853e001fdaf80e1b13e0d0599d5fb372",
    17**4: "da67c7039e98bf530cf7a37830c6664e14cbab7f540f58403b1b82951318ee5c",
    17**5: "b97a906fbf83ef7c812517abf3b2d0aea0c4f60318ce11cf103925127f59eecd",
}
DOMAINS = [
    (3, 0x01, "bf323f940494e88ee1c540fe660be8a0c93f43d15ec006998462fa994eed5dab"),
    (1, 0x06, "8ec9c66465ed0d4a6c35d13506718d687a25cb05c74cca1e42501abd83874a67"),
    (3, 0x07, "b658576001cad9b1e5f399a9f77723bba05458042d68206f7252682dba3663ed"),
    (7, 0x0B, "8deeaa1aec47ccee569f659c21dfa8e112db3cee37b18178b2acd805b799cc37"),
    (1, 0x30, "553122e2135e363c3292bed2c6421fa232bab03daa07c7d6636603286506325b"),
    (3, 0x7F, "16274cc656d44cefd422395d0f9053bda6d28e122aba15c765e5ad0e6eaf26f9"),
]


@pytest.mark.parametrize("sponge", [turboshake128, library])
def test_the_empty_message(sponge: object) -> None:
    assert sponge(b"", 0x1F, 32).hex() == EMPTY[:64]  # type: ignore[operator]
    assert sponge(b"", 0x1F, 64).hex() == EMPTY  # type: ignore[operator]
    assert sponge(b"", 0x1F, 10032)[-32:].hex() == LAST_OF_10032  # type: ignore[operator]


@pytest.mark.parametrize("length", PATTERNS)
def test_the_patterns(length: int) -> None:
    assert library(ptn(length), 0x1F, 32).hex() == PATTERNS[length]
    if length <= 17**3:  # the one below takes 0.3 ms a block
        assert turboshake128(ptn(length), 0x1F, 32).hex() == PATTERNS[length]


@pytest.mark.parametrize(("ones", "domain", "answer"), DOMAINS)
def test_other_domains_among_them_our_own(ones: int, domain: int, answer: str) -> None:
    assert library(b"\xff" * ones, domain, 32).hex() == answer
    assert turboshake128(b"\xff" * ones, domain, 32).hex() == answer


@settings(max_examples=40, derandomize=True, phases=[Phase.generate])
@given(
    seed=st.binary(max_size=255),
    dst=st.binary(max_size=400),
    binder=st.binary(max_size=400),
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=3),
)
def test_the_xof_is_turboshake128_of_its_inputs_with_their_lengths(
    seed: bytes, dst: bytes, binder: bytes, lengths: list[int]
) -> None:
    message = len(dst).to_bytes(2, "little") + dst + bytes([len(seed)]) + seed + binder
    expected = turboshake128(message, 1, sum(lengths))
    stream = XofTurboShake128(seed, dst, binder)
    assert b"".join(stream.next(length) for length in lengths) == expected
    assert XofTurboShake128.derive_seed(seed, dst, binder) == turboshake128(message, 1, 32)


@pytest.mark.parametrize("size", [RATE - 1, RATE, RATE + 1, 2 * RATE])
def test_inputs_about_as_long_as_a_block(size: int) -> None:
    dst = format_dst(0, 0xFFFF4742, 1)
    binder = ptn(size - 2 - len(dst) - 1 - 32)
    message = len(dst).to_bytes(2, "little") + dst + b"\x20" + ptn(32) + binder
    assert len(message) == size
    assert XofTurboShake128(ptn(32), dst, binder).next(200) == turboshake128(message, 1, 200)


@pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)
def test_elements_are_drawn_by_rejection(field: object) -> None:
    size, modulus = field.ENCODED_SIZE, field.MODULUS  # type: ignore[attr-defined]
    stream = turboshake128(b"\x01\x00d\x01sb", 1, 100 * size)
    drawn = [int.from_bytes(stream[at : at + size], "little") for at in range(0, 100 * size, size)]
    expected = [value for value in drawn if value < modulus][:90]
    assert XofTurboShake128.expand_into_vec(field, b"s", b"d", b"b", 90) == expected  # type: ignore[arg-type]


def test_lengths_that_do_not_fit_their_prefix_are_refused() -> None:
    for seed, dst in ((bytes(256), b""), (b"", bytes(65536))):
        with pytest.raises(ShapeError) as caught:
            XofTurboShake128(seed, dst, b"")
        assert caught.value.code == "shape"

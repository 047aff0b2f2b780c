"""Salts, commitment, what is sealed with an input share: layout, known answers, no way round."""

from __future__ import annotations

import hashlib
import itertools
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.client import commitment as commitments
from grievance.client import input_share_info, report_size, seal, seal_blank
from grievance.client.commitment import (
    COMMITMENT_SIZE,
    NO_TOKEN,
    OpeningReader,
    commitment_of,
    nonce_of,
    opening_size,
    openings,
    salt_hash,
)
from grievance.client.input_share import ciphertext_size
from grievance.errors import ReportError
from grievance.testing import with_envelope

SEAL = sys.modules["grievance.client.seal"]
TASK = bytes(range(32))
SALTS = [bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32]
# Made with `sha256sum` alone, from the formulas in docs/formats/report.md.
HASHES = [
    "4faf2cf75cbdd53f1d6206aac856b27809d7038ac493bae16c2be3935eef98c1",
    "5676a52b5654dcb0394f405fbb266ce785e8f9eeee6a7989941aaf0dc1c8d93c",
    "d961e60aabb309316f5f1c563a87204932470e7185cea53d7c778ecae8ffd03f",
]
KNOWN = {
    2: "8767fa462f4589ba8322b87cb09a50246633c2464b3b233c3fdbaae08669f7cd",
    3: "2ca1bb63e56b619243b6dcbb69d6db25fc35b967074dbab1bd7a485161127d82",
}
# Of two, the token part being b"token".
WITH_TOKEN = "1a849078bce3c5337baf9a246fbf0b49e7dc7a7f90ceb6d3b18acbda8a3eea11"


def salts_strategy(low: int = 2, high: int = 4) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.binary(min_size=32, max_size=32), min_size=low, max_size=high)


def test_known_answers() -> None:
    hashes = [salt_hash(salt) for salt in SALTS]
    assert [one.hex() for one in hashes] == HASHES
    assert {n: commitment_of(TASK, hashes[:n]).hex() for n in KNOWN} == KNOWN
    assert commitment_of(TASK, hashes[:2], b"token").hex() == WITH_TOKEN
    assert nonce_of(bytes.fromhex(KNOWN[2])).hex() == KNOWN[2][:32]


def test_openings_are_laid_out_as_documented() -> None:
    h = [bytes.fromhex(one) for one in HASHES]
    parts, hashes = openings(SALTS)
    assert hashes == h
    assert parts == [SALTS[0] + h[1] + h[2], SALTS[1] + h[0] + h[2], SALTS[2] + h[0] + h[1]]
    assert {len(part) for part in parts} == {opening_size(3)} == {96}
    with_token, _ = openings(SALTS[:2], b"token")
    assert with_token == [SALTS[0] + h[1] + b"token", SALTS[1] + h[0] + b"token"]


@given(salts_strategy(), st.binary(min_size=32, max_size=32))
def test_every_aggregator_computes_the_commitment_from_its_opening(
    salts: list[bytes], task: bytes
) -> None:
    parts, hashes = openings(salts)
    expected = commitment_of(task, hashes)
    for index, part in enumerate(parts):
        reader = OpeningReader(task, index, len(salts))
        assert reader.size == len(part)
        assert reader.commitment(part + b"an input share") == expected


@given(salts_strategy(), st.data())
def test_any_flipped_bit_of_an_opening_gives_another_commitment(
    salts: list[bytes], data: st.DataObject
) -> None:
    parts, hashes = openings(salts)
    index = data.draw(st.integers(0, len(salts) - 1))
    at = data.draw(st.integers(0, 8 * len(parts[index]) - 1))
    flipped = bytearray(parts[index])
    flipped[at // 8] ^= 1 << at % 8
    reader = OpeningReader(TASK, index, len(salts))
    assert reader.commitment(bytes(flipped)) != commitment_of(TASK, hashes)


@given(salts_strategy(3, 4))
def test_number_and_order_of_salts_task_and_token_are_in_it(salts: list[bytes]) -> None:
    hashes = openings(salts)[1]
    made = [
        commitment_of(TASK, hashes),
        commitment_of(TASK, hashes[:-1]),
        commitment_of(bytes(32), hashes),
        commitment_of(TASK, hashes, b"token"),
        commitment_of(TASK, hashes, bytes(32)),
    ]
    if hashes[0] != hashes[1]:
        made.append(commitment_of(TASK, [hashes[1], hashes[0], *hashes[2:]]))
    assert len(set(made)) == len(made)


def test_a_token_part_will_be_read_from_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NO_TOKEN has a length, readers take that much and hash it: nothing else changes."""
    token = bytes(range(100, 155))
    monkeypatch.setattr(commitments, "NO_TOKEN", bytes(len(token)))
    parts, hashes = openings(SALTS, token)
    for index, part in enumerate(parts):
        reader = OpeningReader(TASK, index, 3)
        assert reader.size == opening_size(3) == 96 + 55
        assert reader.commitment(part + b"share") == commitment_of(TASK, hashes, token)
    assert NO_TOKEN == b""


# -- what is sealed ---------------------------------------------------------------------


def plaintexts(round_, report) -> list[bytes]:
    """What each aggregator finds in its ciphertext."""
    task = round_.task
    return [
        key.open(
            report.ciphertexts[index],
            input_share_info(task.digest, index, report.commitment, report.public_share),
        )
        for index, key in enumerate(round_.keys)
    ]


@pytest.mark.parametrize("shares", [2, 3])
def test_what_is_sealed_is_laid_out_as_documented(make_round, small_text, shares) -> None:
    """By hand: salt, the others' hashes in order, no token part, input share."""
    round_ = make_round(small_text, shares)
    report = seal(round_.task, {"region": "Wales"})
    inside = plaintexts(round_, report)
    salts = [one[:32] for one in inside]
    hashes = [hashlib.sha256(b"grievance/2 salt" + salt).digest() for salt in salts]
    head = b"grievance/2 commitment" + round_.task.digest
    expected = hashlib.sha256(head + b"".join(hashes) + bytes(32)).digest()
    assert report.commitment == expected and len(expected) == COMMITMENT_SIZE
    for index, one in enumerate(inside):
        others = b"".join(hashes[:index] + hashes[index + 1 :])
        assert one[32 : 32 * shares] == others
        assert one[32 * shares :] == round_.open(report, index)
        assert len(one) == 32 * shares + round_.task.vdaf.input_share_size(index)


@pytest.mark.parametrize("shares", [2, 3])
def test_no_aggregator_is_sealed_anything_of_anothers_salt(make_round, small_text, shares) -> None:
    round_ = make_round(small_text, shares)
    for report in (seal(round_.task, {"region": "Wales"}), seal_blank(round_.task)):
        inside = plaintexts(round_, report)
        assert len({one[:32] for one in inside}) == shares
        for (i, one), (j, other) in itertools.permutations(enumerate(inside), 2):
            assert one[:32] not in other, (i, j)


def test_every_salt_is_drawn_by_itself(make_round, small_text, monkeypatch) -> None:
    """Three salts and the sharding randomness: four times fresh entropy, under four labels."""
    task = make_round(small_text, 3).task
    seeds, labels, hedged = [], [], SEAL._hedged
    urandom = SEAL.os.urandom

    def drawn(size: int) -> bytes:
        seeds.append(urandom(size))
        return seeds[-1]

    def noted(label: bytes, *rest: object) -> bytes:
        labels.append(label)
        return hedged(label, *rest)

    monkeypatch.setattr(SEAL.os, "urandom", drawn)
    monkeypatch.setattr(SEAL, "_hedged", noted)
    SEAL.draw(task, {"region": "Wales"})
    assert len({bytes(seed) for seed in seeds}) == len(set(labels)) == len(labels) == 4
    assert {len(seed) for seed in seeds} == {64}


def test_salts_differ_where_everything_that_should_change_stands_still(
    make_round, small_text, monkeypatch
) -> None:
    round_ = make_round(small_text, 3)
    monkeypatch.setattr(SEAL.os, "urandom", bytes)
    monkeypatch.setattr(SEAL.time, "time_ns", lambda: 0)
    monkeypatch.setattr(SEAL, "_calls", itertools.repeat(0))
    inside = plaintexts(round_, seal(round_.task, {"region": "Wales"}))
    assert len({one[:32] for one in inside}) == 3


@pytest.mark.parametrize("shares", [2, 3, 4])
@pytest.mark.parametrize(("envelope", "overhead"), [("x25519", 48), ("hybrid", 1136)])
def test_sizes_without_tokens(make_round, small_text, shares, envelope, overhead) -> None:
    """Sixteen bytes and n(n - 1) hashes more than with one salt and a bare nonce."""
    task = make_round(
        with_envelope(small_text.replace('envelope = "x25519"', ""), envelope), shares
    ).task
    vdaf = task.vdaf
    one_salt = 4 + 1 + 32 + 16 + 4 + vdaf.PUBLIC_SHARE_SIZE + 1
    for index in range(shares):
        one_salt += 4 + overhead + 32 + vdaf.input_share_size(index)
        expected = overhead + 32 * shares + vdaf.input_share_size(index)
        assert ciphertext_size(task, index) == expected
    assert report_size(task) == one_salt + 16 + shares * 32 * (shares - 1)
    assert len(seal_blank(task).to_bytes()) == report_size(task)


# -- and cannot be changed ------------------------------------------------------------------


def resealed(round_, report, index: int, plaintext: bytes, name: bytes):
    """The report under this name, with other words sealed to one aggregator."""
    task, parts = round_.task, list(report.ciphertexts)
    info = input_share_info(task.digest, index, name, report.public_share)
    parts[index] = task.aggregators[index].hpke.seal(plaintext, info)
    return replace(report, commitment=name, ciphertexts=tuple(parts))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), index=st.integers(0, 2))
def test_a_flipped_bit_of_salt_hash_or_commitment_is_refused(make_round, small_text, data, index):
    """Sealed anew, so that HPKE has nothing to say against it: the commitment has."""
    round_ = make_round(small_text, 3)
    report = seal(round_.task, {"region": "North"})
    words = plaintexts(round_, report)[index]
    at = data.draw(st.integers(0, 8 * (96 + COMMITMENT_SIZE) - 1))
    whole = bytearray(words[:96] + report.commitment)
    whole[at // 8] ^= 1 << at % 8
    bent = resealed(round_, report, index, bytes(whole[:96]) + words[96:], bytes(whole[96:]))
    with pytest.raises(ReportError) as caught:
        round_.open(bent, index)
    assert caught.value.code == "report.commitment"
    same = resealed(round_, report, index, words, report.commitment)
    assert round_.open(same, index) == words[96:]  # untouched, it opens


def test_a_commitment_to_fewer_or_more_salts_is_refused(make_round, small_text) -> None:
    """Two of three agree on one of two: what a coalition without the third could make."""
    round_ = make_round(small_text, 3)
    task, report = round_.task, seal(round_.task, {"region": "North"})
    parts, hashes = openings(SALTS)
    for some in (hashes[:2], [*hashes, hashes[0]], [hashes[1], hashes[0], hashes[2]]):
        name = commitment_of(task.digest, some)
        for index in range(3):
            share = round_.open(report, index)
            with pytest.raises(ReportError) as caught:
                round_.open(resealed(round_, report, index, parts[index] + share, name), index)
            assert caught.value.code == "report.commitment"
    name = commitment_of(task.digest, hashes)
    good = resealed(round_, report, 0, parts[0] + round_.open(report, 0), name)
    assert round_.open(good, 0) == round_.open(report, 0)

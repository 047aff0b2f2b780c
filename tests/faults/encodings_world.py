"""What a dishonest client may encode, and how many of a kind fare among honest reports."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from dishonest import (
    weigh,
)
from grievance.kernels import BatchPrio3
from grievance.pool.decisions import Status
from grievance.vdaf import Block, Prio3BlockCountVec
from grievance.vdaf.circuits import encode_range_checked_int
from kernels.kernels_world import CTX, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Kind = Callable[[random.Random], list[int]]

# Three groups; two ticks and one value bit in each, for whoever is in it; five free ticks.
BLOCKS = [
    Block(3, 1),
    Block(6, 2, (0, 0, 1, 1, 2, 2)),
    Block(3, None, (0, 1, 2)),
    Block(5, 2),
]
VDAF = Prio3BlockCountVec(2, BLOCKS, chunk_length=4)
P, BITS = VDAF.field.MODULUS, VDAF.flp.OUTPUT_LEN
FREE, WEIGHTS = 12, BITS  # where the free ticks and the weights begin
# Which weight has its digits where, and what it may be.
DIGITS = [(slice(17, 18), 1), (slice(18, 20), 2), (slice(20, 22), 2)]
BATCH = BatchPrio3(VDAF)
OK = "report.accepted"


# -- encoded measurements: block bits, then the digits of the weights -----------------------


def honest_bits(draw: random.Random) -> list[int]:
    bits = [0] * BITS
    if draw.random() < 0.9:
        group = draw.randrange(3)
        bits[group] = 1
        for place in (3 + 2 * group, 4 + 2 * group, 9 + group):
            bits[place] = draw.randrange(2)
    for place in draw.sample(range(FREE, BITS), draw.randrange(3)):
        bits[place] = 1
    return bits


def honest(draw: random.Random) -> list[int]:
    return list(VDAF.circuit.encode(honest_bits(draw)))


def weighed(bits: Sequence[int]) -> list[int]:
    """These bits with weights as honest as they can be."""
    return weigh(SimpleNamespace(vdaf=VDAF), bits)  # type: ignore[arg-type]


def free(draw: random.Random, *values: int) -> list[int]:
    """An honest report but for its free ticks: these values, anywhere among them."""
    bits = honest_bits(draw)[:FREE] + [0] * 5
    for place, value in zip(draw.sample(range(FREE, BITS), len(values)), values, strict=True):
        bits[place] = value
    return weighed(bits)


def a_two(draw: random.Random) -> list[int]:
    if draw.randrange(2):
        return free(draw, 2)  # whose weight agrees
    meas = honest(draw)
    meas[draw.randrange(BITS)] = 2
    return meas


def minus_one(draw: random.Random) -> list[int]:
    meas = honest(draw)
    meas[draw.randrange(BITS)] = P - 1
    return meas


def errors_that_cancel(draw: random.Random) -> list[int]:
    return free(draw, 1, -1)


def one_too_many(draw: random.Random) -> list[int]:
    if draw.randrange(2):
        return free(draw, 1, 1, 1)
    bits = [0] * BITS
    for group in draw.sample(range(3), 2):
        bits[group] = 1
    return weighed(bits)


def a_weight_that_lies(draw: random.Random) -> list[int]:
    bits = honest_bits(draw)
    meas = list(VDAF.circuit.encode(bits))
    (digits, most), block = draw.choice(
        list(zip(DIGITS, (slice(0, 3), slice(3, 9), slice(12, 17)), strict=True))
    )
    lies = [weight for weight in range(most + 1) if weight != sum(bits[block])]
    meas[digits] = encode_range_checked_int(draw.choice(lies), most)
    return meas


def digits_that_are_no_bits(draw: random.Random) -> list[int]:
    """The weight is right, its digits are not."""
    meas = free(draw, *[1] * draw.randrange(3))
    weight = sum(meas[FREE:BITS])
    value = draw.choice([2, 3, 10**6, P - 1])
    meas[DIGITS[2][0]] = [value, (weight - value) % P]
    return meas


def large_and_negative(draw: random.Random) -> list[int]:
    if draw.randrange(2):
        return free(draw, 10**6, -(10**6))
    meas = free(draw, 10**6)
    meas[DIGITS[2][0]] = [10**6, 0]
    return meas


# -- many of a kind, through the kernels -----------------------------------------------------


def judged(table: Table) -> tuple[list[str], list[int]]:
    """The public code of every row, and the totals of those that count."""
    found = [
        BATCH.verify(table.key, CTX, index, table.nonces, table.public, table.inputs[index])
        for index in range(2)
    ]
    verdicts, _ = BATCH.decide(table.public, [f.verifier_shares for f in found])
    for each in found:
        verdicts = np.where(each.statuses != Status.OK, each.statuses, verdicts)
    refused_rows = verdicts != Status.OK
    shares = []
    for index, each in enumerate(found):
        # As an aggregator does: sum what decodes, and take back what is refused.
        taken_back = refused_rows & (each.statuses == Status.OK)
        out = BATCH.sum_out_shares(CTX, index, table.inputs[index][taken_back])
        shares.append(VDAF.field.sub(each.total, out))
    accepted = int((~refused_rows).sum())
    return [Status(v).code for v in verdicts], VDAF.unshard(shares, accepted)


def none_is_accepted(
    kind: Kind,
    code: str,
    rows: int,
    *,
    client: Prio3BlockCountVec = VDAF,
    bend: Callable[[Table, Sequence[int]], None] | None = None,
) -> None:
    """Assert that `rows` reports of a kind are refused with `code`, honest ones among them not.

    `client` proves the bad ones; `bend` then alters the rows it is given.
    """
    draw = random.Random(rows)
    good = [honest(draw) for _ in range(rows // 10)]
    bad = Table(client, [kind(draw) for _ in range(rows)], encoded=True)
    if bend is not None:
        bend(bad, range(rows))
    table = Table(VDAF, good, encoded=True)
    order = np.array(draw.sample(range(rows + len(good)), rows + len(good)))
    table.nonces = np.concatenate([bad.nonces, table.nonces])[order]
    table.public = np.concatenate([bad.public, table.public])[order]
    table.inputs = [
        np.concatenate([b, g])[order] for b, g in zip(bad.inputs, table.inputs, strict=True)
    ]
    codes, totals = judged(table)
    assert {codes[at] for at, row in enumerate(order) if row < rows} == {code}
    assert {codes[at] for at, row in enumerate(order) if row >= rows} == {OK}
    assert totals == [sum(column) for column in zip(*good, strict=True)][:BITS]

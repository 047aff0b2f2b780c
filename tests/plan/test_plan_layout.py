"""Blocks, parents, implied statistics: what design's section 4 says, on plans small and real."""

from __future__ import annotations

import re
import tomllib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import answers_for, plans

from grievance.errors import ProofError
from grievance.plan import Layout, Plan
from grievance.plan.encode import range_bits, range_weights
from grievance.secret import VerifyKey
from grievance.vdaf import FIELD128, Block, Sum

LENIENT = settings(max_examples=80)

HEAD = """
title = "T"
campaign = "c"
opens = 2026-01-01
closes = 2026-02-01
[privacy]
mechanism = "gaussian"
epsilon = 1
delta = 1e-6
lifetime_epsilon = 2
"""
FIELDS = """
[fields.sex]
question = "Sex?"
choices = ["a", "b"]
required = true
[fields.place]
question = "Place?"
choices = ["x", "y", "z"]
[fields.issues]
question = "Issues?"
choices = ["i", "j", "k"]
pick = 2
[fields.hours]
question = "Hours?"
minimum = 0
maximum = 5
step = 1
bands = [0, 2, 4, 5]
"""


def layout_of(statistics: str, fields: str = FIELDS) -> Layout:
    """A layout with only the fields that the statistics use."""
    used = set(re.findall(r"[a-z]+", statistics))
    kept = "".join(
        "[fields." + part for part in fields.split("[fields.")[1:] if part.split("]", 1)[0] in used
    )
    return Layout(Plan.from_toml(HEAD + kept + statistics))


def test_the_designs_example_has_the_blocks_it_describes(example_toml: str) -> None:
    layout = Layout(Plan.from_toml(example_toml))
    assert layout.num_bits == 12 + 30 + 2 + 7 * 2 + 2 * 6
    problems, hours, spread = layout.statistics.values()
    assert [axis.name for axis in problems.axes] == ["problems", "region"]
    assert problems.multi is not None
    assert hours.axes[0].labels == ("London", "North")
    assert hours.grid_size == 80
    assert hours.num_value_bits == 7
    assert spread.axes[0].labels == ("London", "outside London")
    assert spread.axes[1].labels == (
        "0 to 0.5", "1 to 4.5", "5 to 9.5", "10 to 19.5", "20 to 40", "not answered",
    )  # fmt: skip
    assert layout.blocks == (
        Block(12, 1),
        Block(30, 3, tuple(2 * region for _ in range(5) for region in range(6))),
        Block(2, 1),
        Block(14, None, tuple(42 + group for _ in range(7) for group in range(2))),
        Block(12, 1),
    )
    assert [s.num_released for s in layout.statistics.values()] == [42, 4, 12]
    assert layout.noise_scale("unpaid_hours") == (80, 80, 1, 1)
    # Ticks move by 5 * 64^2 within a group, the most, and have 71 times the noise of people.
    moved = [s.l2_squared for s in layout.statistics.values()]
    assert moved == [Fraction(5 * 64**2, 71**2), 4, 2]
    shapes = layout.shapes()
    assert shapes[0].error == 6 * (5 * Fraction(71**2 + 32**2, 64**2) + 2)
    assert [shape.error for shape in shapes[1:]] == [2, 12]
    assert [shape.scale for shape in shapes] == [71, 80, 1]
    assert [shape.importance for shape in shapes] == [Fraction(2), Fraction(1), Fraction(1)]


def test_the_designs_example_is_encoded_as_described(example_toml: str) -> None:
    layout = Layout(Plan.from_toml(example_toml))
    answers = {"region": "North", "problems": ["caseload", "targets"], "unpaid_hours": 39.5}
    bits = layout.encode(layout.answers(answers))
    ones = [at for at, bit in enumerate(bits) if bit]
    value = [44 + 2 * row + 1 for row, bit in enumerate(range_bits(79, 80)) if bit]
    assert ones == sorted([2, 12 + 6 + 1, 12 + 24 + 1, 43, *value, 58 + 6 + 4])


@LENIENT
@given(st.data())
def test_encoded_answers_are_accepted_by_the_circuit(data: st.DataObject) -> None:
    plan = data.draw(plans())
    layout = Layout(plan)
    circuit = layout.vdaf(2).circuit
    assert sum(block.length for block in layout.blocks) == layout.num_bits == circuit.OUTPUT_LEN
    bits = layout.encode(layout.answers(data.draw(answers_for(plan))))
    assert len(bits) == layout.num_bits
    meas = circuit.encode(bits)
    assert len(meas) == circuit.MEAS_LEN
    rand = data.draw(st.lists(st.integers(0, 2**120), min_size=circuit.JOINT_RAND_LEN,
                              max_size=circuit.JOINT_RAND_LEN))  # fmt: skip
    gadgets = [lambda inputs, g=gadget: g.eval(FIELD128, inputs) for gadget in circuit.GADGETS]
    assert circuit.eval(meas, rand, 1, gadgets) == [0] * circuit.EVAL_OUTPUT_LEN
    assert circuit.truncate(meas) == bits


def _accepted(layout: Layout, meas: list[int]) -> bool:
    vdaf = layout.vdaf(2)
    key, nonce = VerifyKey(bytes(range(32))), bytes(16)
    public, shares = vdaf._shard_encoded(b"ctx", meas, nonce, bytes(vdaf.RAND_SIZE))
    verifiers = [
        vdaf.verify_init(key, b"ctx", at, nonce, public, share)[1]
        for at, share in enumerate(shares)
    ]
    try:
        vdaf.verifier_shares_to_message(b"ctx", verifiers)
    except ProofError:
        return False
    return True


def test_nobody_can_put_a_value_or_ticks_where_they_did_not_answer(example_toml: str) -> None:
    layout = Layout(Plan.from_toml(example_toml))
    answers = {"region": "North", "problems": ["caseload"], "unpaid_hours": 40}
    encode = layout.vdaf(2).circuit.encode
    good = encode(layout.encode(layout.answers(answers)))
    assert _accepted(layout, good)
    for moved_from, moved_to in ((12 + 24 + 1, 12 + 24 + 2), (45, 44)):
        bad = list(good)
        assert (bad[moved_from], bad[moved_to]) == (1, 0)
        bad[moved_from], bad[moved_to] = 0, 1
        assert not _accepted(layout, bad)


def test_blank_reports_are_all_zero() -> None:
    layout = layout_of('[statistics.s]\ncount = ["place"]\n[statistics.h]\nmean = "hours"\n')
    assert layout.blank() == [0] * layout.num_bits
    for raw in ({}, {"place": None}, {"place": None, "hours": None}):
        assert layout.encode(layout.answers(raw)) == layout.blank()
    assert sum(layout.encode(layout.answers({"hours": 0}))) == 2  # "not answered", and answered
    assert sum(layout.encode(layout.answers({"place": "x"}))) == 1


@pytest.mark.parametrize("top", [1, 2, 3, 4, 5, 6, 7, 8, 80, 127, 128, 255, 1000])
def test_grid_values_are_written_as_range_checked_integers(top: int) -> None:
    weights = range_weights(top)
    assert sum(weights) == top
    circuit = Sum(FIELD128, top)
    for value in range(top + 1):
        bits = range_bits(value, top)
        assert bits == circuit.encode(value)
        assert sum(w * b for w, b in zip(weights, bits, strict=True)) == value


IMPLIED = [
    # (a, b, which is implied by which)
    ('count = ["sex"]', 'count = ["sex", "place"]', {"a": "b"}),
    ('count = ["sex", "place"]', 'count = ["sex"]', {"b": "a"}),
    ('count = ["place", "sex"]', 'count = ["sex", "place"]', {"b": "a"}),
    ('count = ["sex"]', 'count = ["sex"]', {"b": "a"}),
    ('count = ["sex"]', 'count = ["place"]', {}),
    ('count = ["sex"]', 'distribution = "hours"\nby = ["sex"]', {"a": "b"}),
    ('distribution = "hours"', 'distribution = "hours"\nby = ["sex"]', {"a": "b"}),
    ('mean = "hours"', 'distribution = "hours"\nby = ["sex"]', {}),
    ('count = ["sex"]', 'mean = "hours"\nby = ["sex"]', {}),
    ('mean = "hours"', 'mean = "hours"\nby = ["sex"]', {}),
    ('mean = "hours"', 'mean = "hours"', {}),
    ('count = ["issues"]', 'count = ["issues", "sex"]', {"a": "b"}),
    ('count = ["sex"]', 'count = ["issues", "sex"]', {"a": "b"}),
    ('count = ["issues"]', 'count = ["sex", "place"]', {}),
    # people differ
    ('count = ["sex"]\nwhere = { place = ["x"] }', 'count = ["sex", "place"]', {}),
    ('count = ["sex"]', 'count = ["sex", "place"]\nwhere = { place = ["x"] }', {}),
    ('count = ["sex"]', 'count = ["sex", "place"]\nwhere = { place = ["x", "y", "z"] }', {}),
    (
        'count = ["sex"]\nwhere = { place = ["y", "x"] }',
        'count = ["sex", "place"]\nwhere = { place = ["x", "y"] }',
        {"a": "b"},
    ),
    # merges differ, on an axis that is shared or on one that is summed over
    ('count = ["place"]\nmerge = { place = { m = ["x", "y"] } }', 'count = ["place", "sex"]', {}),
    (
        'count = ["place"]\nmerge = { place = { m = ["x", "y"] } }',
        'count = ["place", "sex"]\nmerge = { place = { m = ["y", "x"] } }',
        {"a": "b"},
    ),
    (
        'count = ["sex"]',
        'count = ["place", "sex"]\nmerge = { place = { m = ["y", "x"] } }',
        {"a": "b"},
    ),
    (
        'count = ["issues"]\nmerge = { issues = { m = ["i", "j"] } }',
        'count = ["issues", "sex"]',
        {},
    ),
    (
        'count = ["issues"]',
        'count = ["issues", "sex"]\nmerge = { issues = { m = ["i", "j"] } }',
        {},
    ),
    (
        'count = ["sex"]',
        'count = ["issues", "sex"]\nmerge = { issues = { m = ["i", "j"] } }',
        {"a": "b"},
    ),
]


@pytest.mark.parametrize(("a", "b", "expected"), IMPLIED)
def test_what_implies_what(a: str, b: str, expected: dict[str, str]) -> None:
    layout = layout_of(f"[statistics.a]\n{a}\n[statistics.b]\n{b}\n")
    implied = {n: s.implied_by for n, s in layout.statistics.items() if s.implied_by}
    assert implied == expected
    for name in implied:
        statistic = layout.statistics[name]
        assert (statistic.num_released, statistic.num_bits, statistic.l2_squared) == (0, 0, 0)
        assert layout.project(name, layout.blank(), FIELD128.MODULUS) == []
        assert layout.noise_scale(name) == ()
        assert name not in [shape.name for shape in layout.shapes()]


def test_a_chain_is_read_off_its_end() -> None:
    layout = layout_of(
        '[statistics.a]\ncount = ["sex"]\n'
        '[statistics.b]\ncount = ["sex", "place"]\n'
        '[statistics.c]\ncount = ["issues", "sex", "place"]\n'
    )
    a, b, c = layout.statistics.values()
    assert (a.implied_by, b.implied_by, c.implied_by) == ("c", "c", None)
    assert b.parts[0].terms == 2  # answered, and not answered
    assert a.parts[0].terms == 2 * 4
    assert all(len(summed) == 8 for summed in a.reads)
    assert layout.num_bits == 2 * 4 * 2 + 3 * 2 * 4


def test_of_two_sources_the_one_with_fewer_terms_is_read() -> None:
    layout = layout_of(
        '[statistics.wide]\ncount = ["sex", "place"]\n'
        '[statistics.narrow]\ncount = ["issues", "sex"]\n'
        '[statistics.a]\ncount = ["sex"]\n'
    )
    assert layout.statistics["a"].implied_by == "narrow"


def test_merged_ticks_count_people_who_ticked_any_of_them() -> None:
    layout = layout_of(
        '[statistics.a]\ncount = ["issues"]\nmerge = { issues = { m = ["i", "j"] } }\n'
    )
    statistic = layout.statistics["a"]
    assert statistic.axes[0].labels == ("m", "k")
    assert statistic.pick == 2
    bits = layout.encode(layout.answers({"issues": ["i", "j"]}))
    assert bits == [1, 0, 1, 0]


def test_the_same_words_make_the_same_layout(example_toml: str) -> None:
    plan = Plan.from_toml(example_toml)
    raw = tomllib.loads(example_toml)
    assert list(Layout(plan).statistics) == list(raw["statistics"])
    again = Layout(Plan.from_json(plan.to_json()))
    assert again.statistics == Layout(plan).statistics
    assert again.blocks == Layout(plan).blocks
    assert repr(again) == "<Layout of 'mhw-2026': 70 bits>"

"""One round with every kind of dishonest report among honest ones, between two aggregators.

Each refused row must carry its one public reason, each honest row must be counted, and both
aggregators must come to the same decision. Sources: docs/design.md, sections 4, 6 and 8;
docs/faults.md, faults B3 to B16 and C1 to C18.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from dishonest import (
    at_bench,
    bad_measurements,
    decisions,
    exact_totals,
    flip,
    new_seed,
    publish,
    seal_plaintexts,
    shares_of,
    weigh,
    with_parts,
)
from federation import ANSWERS, PLAN, Federation, encode, seal_measurement
from grievance.aggregator.releases import accepted_set
from grievance.client import Report, seal
from grievance.client.input_share import open_input_share
from grievance.errors import OpenError, ReportError
from grievance.pool.decisions import Status
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.task import Task

OK = (Status.OK, -1)
OPEN_0, OPEN_1 = (Status.OPEN, 0), (Status.OPEN, 1)
COMMITMENT_0 = (Status.COMMITMENT, 0)
BURNT_0, BURNT_1 = (Status.BURNT, 0), (Status.BURNT, 1)
DECODE_0 = (Status.DECODE, 0)
PROOF, JOINT, REPLAY = (Status.PROOF, -1), (Status.JOINT_RANDOMNESS, -1), (Status.REPLAY, -1)


@dataclass
class Case:
    """A row, what has to become of it, and what an accepted one adds to the totals."""

    label: str
    report: Report
    expected: tuple[Status, int] = OK
    bits: list[int] | None = None


@dataclass
class Story:
    """Batches in the order in which the leader ordered them."""

    federation: Federation
    batches: list[tuple[str, list[Case]]] = field(default_factory=list)

    @property
    def cases(self) -> Iterator[tuple[int, int, Case]]:
        for place, (_, cases) in enumerate(self.batches):
            for row, case in enumerate(cases):
                yield place, row, case


def honest(task: Task, label: str, answers: dict[str, object] | None = None) -> Case:
    answers = ANSWERS if answers is None else answers
    bits = task.layout.encode(task.layout.answers(answers))
    return Case(f"honest: {label}", seal(task, answers), OK, bits)


def bad_shares(task: Task) -> Iterator[Case]:
    """Input shares that were altered before they were sealed, which only their client can do."""
    p, meas = task.vdaf.field.MODULUS, encode(task)
    flp = task.vdaf.flp
    for element in (p, p + 1, 2**128 - 1):
        for at in (0, flp.MEAS_LEN - 1, flp.MEAS_LEN, flp.MEAS_LEN + flp.PROOF_LEN - 1):
            seed = new_seed()
            public, (leader, helper) = shares_of(task, meas, seed)
            leader = leader[: 16 * at] + element.to_bytes(16, "little") + leader[16 * at + 16 :]
            yield Case(
                f"element {at} not reduced",
                seal_plaintexts(task, seed, public, [leader, helper]),
                DECODE_0,
            )
    altered = {
        "a byte of the measurement share": (0, 16 * 3, JOINT),
        "the leader's blind": (0, -1, JOINT),
        "the helper's seed": (1, 0, JOINT),
        "the helper's blind": (1, -1, JOINT),
    }
    proof = 16 * flp.MEAS_LEN
    for element in {0, 1, flp.PROOF_LEN // 2, flp.PROOF_LEN - 2, flp.PROOF_LEN - 1}:
        altered[f"proof element {element}"] = (0, proof + 16 * element, PROOF)
    for label, (index, at, expected) in altered.items():
        seed = new_seed()
        public, shares = shares_of(task, meas, seed)
        shares[index] = flip(shares[index], at)
        yield Case(label, seal_plaintexts(task, seed, public, shares), expected)
    for at in (0, 32):
        seed = new_seed()
        public, shares = shares_of(task, meas, seed)
        lie = flip(public, at)
        yield Case(f"a lie in public share {at}", seal_plaintexts(task, seed, lie, shares), JOINT)
    zeros = bytes(task.vdaf.RAND_SIZE)
    yield Case(
        "honest: all randomness zero",
        seal_measurement(task, meas, seed=new_seed(), rand=zeros),
        OK,
        meas[: task.layout.num_bits],
    )


def of_another_task(task: Task) -> Iterator[Case]:
    """A report sealed for another round with the same plan, and three ways to bend it."""
    other = make_coalition(PLAN.decode()).task
    foreign = seal(other, ANSWERS)
    bent = Report(task.digest, foreign.commitment, foreign.public_share, foreign.ciphertexts)
    yield Case("sealed for another round", bent, OPEN_0)
    seed, meas = new_seed(), encode(task)
    public, shares = shares_of(other, meas, seed)
    yield Case(
        "the commitment of another round",
        seal_plaintexts(task, seed, public, shares, commitment=foreign.commitment),
        COMMITMENT_0,
    )
    public, shares = shares_of(task, meas, seed, ctx=other.ctx)
    yield Case("proved in another context", seal_plaintexts(task, seed, public, shares), JOINT)


def repeats(task: Task, story: Story) -> None:
    """Three batches: what came first must neither spoil nor be counted again."""
    victims = [honest(task, f"victim {i}") for i in range(6)]
    reports = [victim.report for victim in victims]
    own = seal(task, ANSWERS)
    seed = new_seed()
    public, shares = shares_of(task, encode(task), seed)
    a, b = reports[3], reports[4]
    invalid, once = new_seed(), new_seed()
    wrong = weigh(task, [1] * task.layout.num_bits)
    refused = Case("refused first", seal_measurement(task, wrong, seed=invalid), PROOF)
    kept, kept_shares = shares_of(task, encode(task), once)
    counted = Case(
        "honest: counted once",
        seal_plaintexts(task, once, kept, kept_shares),
        OK,
        encode(task)[: task.layout.num_bits],
    )
    first = [
        Case(
            "a stolen commitment, relabelled",
            with_parts(own, commitment=reports[0].commitment),
            OPEN_0,
        ),
        Case(
            "a stolen commitment, sealed for it",
            seal_plaintexts(task, seed, public, shares, commitment=reports[0].commitment),
            COMMITMENT_0,
        ),
        Case(
            "the helper's part corrupted",
            with_parts(reports[1], second=flip(reports[1].ciphertexts[1], 70)),
            OPEN_1,
        ),
        Case(
            "the leader's part corrupted",
            with_parts(reports[2], first=flip(reports[2].ciphertexts[0], 99)),
            OPEN_0,
        ),
        Case("public shares swapped", with_parts(a, public=b.public_share), OPEN_0),
        Case("leader's ciphertexts swapped", with_parts(a, first=b.ciphertexts[0]), OPEN_0),
        Case("helper's ciphertexts swapped", with_parts(a, second=b.ciphertexts[1]), OPEN_1),
        Case(
            "both ciphertexts swapped",
            with_parts(a, first=b.ciphertexts[0], second=b.ciphertexts[1]),
            OPEN_0,
        ),
        Case("commitments swapped", with_parts(a, commitment=b.commitment), OPEN_0),
        Case("a blank ciphertext", with_parts(a, second=bytes(len(a.ciphertexts[1]))), OPEN_1),
        refused,
        counted,
    ]
    story.batches.append(("carers", first))
    twice, changed = honest(task, "sent twice"), new_seed()
    fresh = [seal_measurement(task, encode(task), seed=changed) for _ in range(2)]
    again = seal_plaintexts(task, once, kept, kept_shares)
    second = [
        *victims,
        Case("the same bytes in a second batch", counted.report, REPLAY),
        Case(
            "other shares after acceptance",
            seal_measurement(task, encode(task), seed=once),
            BURNT_0,
        ),
        Case("the same shares sealed again", again, BURNT_0),
        Case(
            "only the helper's part sealed again",
            with_parts(counted.report, second=again.ciphertexts[1]),
            BURNT_1,
        ),
        Case("the same bytes after a refusal", refused.report, PROOF),
        Case(
            "valid bytes after a refusal",
            seal_measurement(task, encode(task), seed=invalid),
            BURNT_0,
        ),
        twice,
        Case("the same bytes in the same batch", twice.report, REPLAY),
        Case("honest: first of two", fresh[0], OK, encode(task)[: task.layout.num_bits]),
        Case("second of two with the same salts", fresh[1], BURNT_0),
        Case("honest: a blank report", seal(task, {}), OK, task.layout.blank()),
    ]
    story.batches.append(("nurses", second))
    story.batches.append(
        (
            "carers",
            [
                Case("the same bytes by another relay", twice.report, REPLAY),
                Case("the same bytes a third time", counted.report, REPLAY),
                honest(task, "after them"),
            ],
        )
    )


def flipped(task: Task) -> Iterator[Case]:
    """One bit turned over, all through the row; then the honest row itself, which must count."""
    case, draw = honest(task, "after all its flipped copies"), random.Random(1)
    report = case.report
    for at in range(len(report.commitment)):
        bit = draw.randrange(8)
        yield Case(
            f"commitment {at}",
            with_parts(report, commitment=flip(report.commitment, at, bit)),
            OPEN_0,
        )
    for at in range(len(report.public_share)):
        yield Case(
            f"public share {at}",
            with_parts(report, public=flip(report.public_share, at, draw.randrange(8))),
            OPEN_0,
        )
    sizes = [len(ciphertext) for ciphertext in report.ciphertexts]
    for at in [*range(33), *draw.sample(range(33, sizes[0]), 60), sizes[0] - 1]:
        part = flip(report.ciphertexts[0], at, draw.randrange(8))
        yield Case(f"leader's ciphertext {at}", with_parts(report, first=part), OPEN_0)
    for at in [0, 31, 32, *draw.sample(range(33, sizes[1]), 20), sizes[1] - 1]:
        part = flip(report.ciphertexts[1], at, draw.randrange(8))
        yield Case(f"helper's ciphertext {at}", with_parts(report, second=part), OPEN_1)
    yield case


def any_answers(draw: random.Random) -> dict[str, object]:
    found: dict[str, object] = {"region": draw.choice(["London", "North", "Wales"])}
    if draw.random() < 0.8:
        problems = ["overtime", "targets", "bullying", "caseload"]
        found["problems"] = draw.sample(problems, draw.randrange(3))
    if draw.random() < 0.8:
        found["hours"] = draw.randrange(11)
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    federation = Federation.opened(tmp_path_factory.mktemp("refusals"))
    task = federation.task
    made, draw = Story(federation), random.Random(7)
    repeats(task, made)
    encodings = [
        Case(label, seal_measurement(task, meas, seed=new_seed()), PROOF)
        for label, meas in bad_measurements(task).items()
    ]
    mixed = [*encodings, *bad_shares(task), *of_another_task(task)]
    mixed += [honest(task, f"among liars {i}", any_answers(draw)) for i in range(10)]
    draw.shuffle(mixed)
    made.batches.append(("nurses", mixed))
    made.batches.append(("carers", list(flipped(task))))
    everyone = [honest(task, f"of 250: {i}", any_answers(draw)) for i in range(250)]
    made.batches.append(("nurses", everyone))
    for relay, cases in made.batches:
        publish(federation, relay, [case.report for case in cases])
        federation.sync("north")  # the leader orders it before the next one is there
    federation.settle()
    return made


def test_every_row_gets_its_one_public_reason(story: Story) -> None:
    batches = story.federation.chain().batches
    assert [b.partner for b in batches] == [relay for relay, _ in story.batches]
    found = [decisions(story.federation, batch)[0].refused for batch in batches]
    wrong = [
        (place, row, case.label, found[place].get(row, OK))
        for place, row, case in story.cases
        if found[place].get(row, OK) != case.expected
    ]
    assert not wrong


def test_the_reasons_are_the_documented_codes(story: Story) -> None:
    codes = {code for refused in story.federation.reasons().values() for code in refused.values()}
    assert codes == {
        "report.open",
        "report.commitment",
        "report.burnt",
        "report.decode",
        "report.proof",
        "report.joint-randomness",
        "report.replay",
    }


def test_both_aggregators_publish_equal_decisions(story: Story) -> None:
    for batch in story.federation.chain().batches:
        both = decisions(story.federation, batch)
        assert len(both) == 2
        assert both[0] == both[1]


def test_all_honest_reports_are_counted_and_nothing_else(story: Story) -> None:
    expected = [0] * story.federation.task.layout.num_bits
    for _, _, case in story.cases:
        assert (case.expected == OK) == case.label.startswith("honest")
        if case.bits is not None:
            expected = [a + b for a, b in zip(expected, case.bits, strict=True)]
    assert exact_totals(story.federation) == expected


def test_an_honest_batch_has_no_refusals(story: Story) -> None:
    last = story.federation.chain().batches[-1]
    assert last.rows == 250
    assert all(not decision.refused for decision in decisions(story.federation, last))


def test_the_accepted_set_is_agreed_on(story: Story) -> None:
    from grievance.aggregator import Office

    federation = story.federation
    federation.close()
    sets = []
    for name in federation.aggregators:
        with Office.open(federation.homes[name]) as office:
            sets.append(accepted_set(*office.open_bench(federation.round_id)))
    assert sets[0] == sets[1]
    assert sets[0] is not None
    assert sets[0].accepted == sum(case.expected == OK for _, _, case in story.cases)


@pytest.mark.parametrize("change", [-16, -1, 1, 16])
@pytest.mark.parametrize("index", [0, 1])
def test_a_share_of_another_length_cannot_travel(story: Story, index: int, change: int) -> None:
    task, seed = story.federation.task, new_seed()
    public, shares = shares_of(task, encode(task), seed)
    shares[index] = shares[index][:change] if change < 0 else shares[index] + bytes(change)
    report = seal_plaintexts(task, seed, public, shares)
    with pytest.raises(ReportError) as refused:
        report.check(task)
    assert refused.value.code == "report.size"
    with pytest.raises(ReportError):
        publish(story.federation, "nurses", [report])
    with pytest.raises(OpenError):
        at_bench(
            story.federation,
            story.federation.aggregators[index],
            lambda bench: open_input_share(
                bench.seat.hpke, task, index, report.commitment, public, report.ciphertexts[index]
            ),
        )

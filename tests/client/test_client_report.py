"""The sealed report: one form, one size, and nothing in it that can be moved or changed."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.client import (
    Report,
    columns,
    input_share_info,
    report_size,
    seal,
    seal_blank,
)
from grievance.client.commitment import commitment_of, openings
from grievance.client.report import MAGIC
from grievance.errors import (
    AnswerError,
    GrievanceError,
    OpenError,
    ProofError,
    ReportError,
    ShapeError,
    WireError,
)

ANSWERS = {
    "region": "North",
    "contract": "agency",
    "problems": ["bullying", "targets"],
    "hours": "12.5",
}


def some_answers():
    given_answers = st.fixed_dictionaries(
        {"region": st.sampled_from(["London", "North", "Wales"])},
        optional={
            "contract": st.sampled_from(["permanent", "agency"]),
            "problems": st.lists(
                st.sampled_from(["unpaid overtime", "targets", "bullying"]), max_size=2, unique=True
            ),
            "hours": st.integers(0, 80).map(lambda half: str(half / 2)),
        },
    )
    return given_answers | st.just({})


def test_the_binary_form_is_as_documented(small):
    report = seal(small.task, {"region": "North"})
    task = small.task
    expected = MAGIC + b"\x01" + task.digest + report.commitment
    expected += len(report.public_share).to_bytes(4, "big") + report.public_share + b"\x02"
    for ciphertext in report.ciphertexts:
        expected += len(ciphertext).to_bytes(4, "big") + ciphertext
    assert report.to_bytes() == expected
    assert len(expected) == report_size(task)
    parts = b"".join(hashlib.sha256(p).digest() for p in (report.public_share, *report.ciphertexts))
    head = b"grievance/2 report" + task.digest + report.commitment + b"\x02"
    assert report.digest == hashlib.sha256(head + parts).digest()
    assert Report.from_bytes(expected, task) == Report.from_bytes(memoryview(expected)) == report


def test_info_is_as_documented():
    digest, name, public = b"\x01" * 32, b"\x02" * 32, b"\x03" * 64
    parts = [b"grievance/2 input share", digest, b"\x01", name, hashlib.sha256(public).digest()]
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert input_share_info(digest, 1, name, public) == hashlib.sha256(joined).digest()


@pytest.mark.parametrize("shares", [2, 3])
@pytest.mark.parametrize("envelope", ["x25519", "hybrid"])
def test_what_was_answered_arrives(make_round, full, plan_text, shares, envelope):
    round_ = make_round(plan_text.replace('"x25519"', f'"{envelope}"'), shares)
    report = Report.from_bytes(seal(round_.task, ANSWERS).to_bytes(), round_.task)
    assert len(report.ciphertexts) == shares
    assert round_.measure(report) == round_.bits(ANSWERS) != round_.task.layout.blank()


@settings(max_examples=40)
@given(answers=some_answers())
def test_every_report_has_one_size_and_arrives(full, answers):
    report = seal(full.task, answers)
    assert len(report.to_bytes()) == report_size(full.task)
    widths = [32, len(report.public_share), *map(len, report.ciphertexts)]
    assert widths == [width for _, width in columns(full.task)]
    assert full.measure(report) == full.bits(answers)


def test_a_blank_report_is_like_any_other(full):
    blank = seal_blank(full.task)
    assert len(blank.to_bytes()) == report_size(full.task)
    assert full.measure(blank) == full.task.layout.blank()
    assert (
        full.measure(seal(full.task, None))
        == full.measure(seal(full.task, {}))
        == [0] * full.task.layout.num_bits
    )


def test_two_reports_share_nothing(small):
    one, two = (seal(small.task, {"region": "Wales"}) for _ in range(2))
    assert one.commitment != two.commitment
    assert one.public_share != two.public_share
    assert not set(one.ciphertexts) & set(two.ciphertexts)


# -- nothing can be changed ------------------------------------------------------------


def refused(round_, data):
    with pytest.raises((WireError, ReportError, OpenError, ProofError)) as caught:
        round_.measure(Report.from_bytes(data, round_.task))
    return caught.value.code


def test_every_flipped_byte_is_refused(small):
    data = seal(small.task, {"region": "North"}).to_bytes()
    codes = set()
    for place in range(len(data)):
        for mask in (0x01, 0x80):
            broken = bytearray(data)
            broken[place] ^= mask
            codes.add(refused(small, bytes(broken)))
    assert codes == {
        "wire.kind",
        "wire.version",
        "report.task",
        "wire.long",
        "wire.short",
        "report.open",
    }


def test_every_truncation_and_any_addition_is_refused(small):
    data = seal(small.task, {"region": "North"}).to_bytes()
    for length in range(len(data)):
        with pytest.raises(WireError):
            Report.from_bytes(data[:length])
    with pytest.raises(WireError):
        Report.from_bytes(data + b"\x00")


def test_every_truncated_ciphertext_does_not_open(small):
    report = seal(small.task, {"region": "North"})
    for index, ciphertext in enumerate(report.ciphertexts):
        for length in range(len(ciphertext)):
            ciphertexts = list(report.ciphertexts)
            ciphertexts[index] = ciphertext[:length]
            short = replace(report, ciphertexts=tuple(ciphertexts))
            with pytest.raises(OpenError) as caught:
                small.open(short, index)
            assert caught.value.code == "report.open"
            with pytest.raises(ReportError) as caught:
                Report.from_bytes(short.to_bytes(), small.task)
            assert caught.value.code == "report.size"


def test_parts_of_two_reports_do_not_mix(small):
    one, two = (seal(small.task, {"region": "North"}) for _ in range(2))
    mixed = [
        replace(one, ciphertexts=one.ciphertexts[::-1]),
        replace(one, ciphertexts=(one.ciphertexts[0], two.ciphertexts[1])),
        replace(one, public_share=two.public_share),
        replace(one, commitment=two.commitment),  # somebody else's
        replace(one, commitment=bytes(32)),
    ]
    for report in mixed:
        assert refused(small, report.to_bytes()) in {"report.open", "report.size"}


def test_equal_sized_ciphertexts_do_not_swap(make_round, plan_text):
    round_ = make_round(plan_text, 3)
    report = seal(round_.task, ANSWERS)
    leader, first, second = report.ciphertexts
    assert len(first) == len(second)
    swapped = replace(report, ciphertexts=(leader, second, first))
    assert refused(round_, swapped.to_bytes()) == "report.open"


def test_a_commitment_can_only_be_claimed_with_its_salts(small):
    # A dishonest client seals under a commitment it saw in the pool: it opens, and is refused.
    task, report = small.task, seal(small.task, {"region": "North"})
    stolen = seal(task, {"region": "Wales"}).commitment
    opened, hashes = openings([b"\x07" * 32, b"\x08" * 32])
    for index, entry in enumerate(task.aggregators):
        share = small.open(report, index)
        codes = []
        for name in (stolen, commitment_of(task.digest, hashes)):
            info = input_share_info(task.digest, index, name, report.public_share)
            forged = list(report.ciphertexts)
            forged[index] = entry.hpke.seal(opened[index] + share, info)
            try:
                small.open(replace(report, commitment=name, ciphertexts=tuple(forged)), index)
                codes.append("opened")
            except ReportError as error:
                codes.append(error.code)
        assert codes == ["report.commitment", "opened"]  # under its own it would have opened


def test_a_report_belongs_to_one_round(make_round, small, small_text):
    other = make_round(small_text, 2, "two")
    report = seal(small.task, {"region": "North"})
    with pytest.raises(ReportError) as caught:
        Report.from_bytes(report.to_bytes(), other.task)
    assert caught.value.code == "report.task"
    assert (
        refused(other, replace(report, task_digest=other.task.digest).to_bytes()) == "report.open"
    )


def test_sealed_to_the_right_key_but_under_another_task_does_not_open(
    make_round, small, small_text
):
    other = make_round(small_text, 2, "two")
    report = seal(other.task, {"region": "North"})
    for index, key in enumerate(other.keys):
        info = input_share_info(small.task.digest, index, report.commitment, report.public_share)
        with pytest.raises(OpenError):
            key.open(report.ciphertexts[index], info)


# -- forms that are no report ------------------------------------------------------------


def test_what_is_no_report_is_named(small):
    data = seal(small.task, {"region": "North"}).to_bytes()
    for broken, code in [
        (b"", "wire.short"),
        (b"GRVX" + data[4:], "wire.kind"),
        (data[:4] + b"\x02" + data[5:], "wire.version"),
        (data + b"\x00", "wire.long"),
        (data[:69] + b"\xff\xff\xff\xff" + data[73:], "wire.long"),
    ]:
        with pytest.raises(WireError) as caught:
            Report.from_bytes(broken)
        assert caught.value.code == code


def test_one_aggregator_is_not_enough(small):
    report = seal(small.task, {"region": "North"})
    with pytest.raises(ShapeError):
        replace(report, ciphertexts=report.ciphertexts[:1])
    with pytest.raises(ShapeError):
        replace(report, commitment=b"short")
    at = 73 + len(report.public_share)
    data = report.to_bytes()
    assert data[at] == 2
    with pytest.raises(WireError):
        Report.from_bytes(data[:at] + b"\x01" + data[at + 1 :])


def test_repr_and_errors_show_nothing(full):
    secret = "sentinel-7261"
    report = seal(full.task, ANSWERS)
    assert repr(report) == "<Report sealed to 2 aggregators>"
    for answers in (
        {"region": secret},
        {"region": "North", "problems": [secret]},
        {"region": "North", "hours": secret},
        {"region": "North", "hours": 98765.4321},
        {secret: "North"},
    ):
        with pytest.raises(AnswerError) as caught:
            seal(full.task, answers)
        said = f"{caught.value} {caught.value!r} {caught.value.hint}"
        assert "98765" not in said
        assert secret not in said or secret in answers


def test_refusals_are_our_own_errors(small):
    # Random bytes after a good header: never anything but a GrievanceError.
    data = seal(small.task, {"region": "North"}).to_bytes()
    for seed in range(200):
        noise = hashlib.shake_128(bytes([seed])).digest(len(data))
        with pytest.raises(GrievanceError):
            small.measure(Report.from_bytes(data[: seed % 120] + noise[seed % 120 :], small.task))


def test_how_long_one_report_takes(full):
    begin = time.perf_counter()
    for _ in range(10):
        seal(full.task, ANSWERS)
    took = (time.perf_counter() - begin) / 10
    bits, size = full.task.layout.num_bits, report_size(full.task)
    print(f"one report of {bits} bits: {1000 * took:.1f} ms, {size} bytes")

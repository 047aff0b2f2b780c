"""Faults A1 to A13, A15, A19: plans and tasks; the rest of A is in test_faults_tasks.py.

A plan is written by people (TOML); a task binds it to keys (canonical JSON). Each test says
which code the refusal has, what a person reads, what to do next, and that nothing changed.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from fault_world import (
    body_of,
    changed,
    judge,
    nothing_changes,
    plan_refused,
    refused,
    signed_by_all,
    tells,
)

from cli.cli_shell import Town, type_words
from dishonest import new_seed, seal_plaintexts, shares_of
from federation import PLAN as FEDERATION_PLAN
from federation import Federation, encode
from grievance.aggregator import Office
from grievance.aggregator.rounds import join_round, new_round
from grievance.client import Report, seal
from grievance.crypto.documents import b64decode, b64encode, canonical, sign_document
from grievance.crypto.signing import SigningKey
from grievance.plan import Plan, limits
from grievance.privacy.noise import draw
from grievance.secret import VerifyKey
from grievance.task import (
    load_task,
    parse_task,
    seal_verify_key,
)
from grievance.task import verify_key as verify_keys
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.testing import EXAMPLE_PLAN, Coalition, make_coalition
from grievance.vdaf import FIELD128

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASK = "ask the aggregators"
DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Two organisations that have met, and no round."""
    made = Town(tmp_path_factory.mktemp("plans") / "town")
    made.found("north", "south")
    for name in ("north", "south"):
        made.type(name, "sync").done()
    return made


@pytest.fixture
def round_new(town: Town) -> Callable[[str], str]:
    """North types `round new` with a plan that is refused: what it reads. Nothing changes."""

    def typed(plan: str) -> str:
        town.plan.write_bytes(plan.encode())
        with nothing_changes(town.pool, town.folder / "homes"):
            ran = town.new(f"--with={town.named('south')}", "--yes")
        return ran.refused(2).err

    return typed


def test_a1_malformed_plan(
    coalition: Coalition, round_new: Callable[[str], str], tmp_path: Path
) -> None:
    title = 'title = "Workload, a small example"\n'
    for old, new, word in (
        (title, "title = \n", "line 1"),
        (title, title + 'title = "another"\n', "is not TOML"),
        ('count = ["problems", "region"]', 'count = ["problems", "region"]\n}', "is not TOML"),
    ):
        bad = changed(old, new)
        plan_refused(bad, "plan.syntax", word, step="grievance plan new")
        assert "grievance: hint: " in round_new(bad)
    path, good = tmp_path / "round.json", coalition.bundle
    for data, code, word in (
        (good[:-1], "document.syntax", "not JSON"),
        (good + b"{}", "document.syntax", "not JSON"),
        (good + b"\n", "document.canonical", "canonical"),
        (good.replace(b'{"kind"', b'{"kind":"","kind"', 1), "document.duplicate", "twice"),
    ):
        path.write_bytes(data)
        with refused(code, "round.json", word, step=ASK):
            load_task(path, trust=coalition.trust)


def test_a2_unknown_field_or_version(coalition: Coalition, round_new: Callable[[str], str]) -> None:
    unknown = changed("hide_below = 10", "hide_below = 10\nnoise = 1")
    plan_refused(unknown, "plan.version", "privacy.noise", step="known are: epsilon")
    assert "is not a key of [privacy]" in round_new(unknown)
    misspelt = changed("minimum_reports", "minimum_report")
    plan_refused(misspelt, "plan.version", step='did you mean "minimum_reports"?')
    body = body_of(coalition)
    for bent, code, word, step in (
        (body | {"plan": body["plan"] | {"version": 2}}, "plan.version", "version 1", "update"),
        (body | {"plan": body["plan"] | {"note": ""}}, "plan.version", "task: note", ASK),
        (body | {"note": ""}, "task.field", "note", ASK),
        (
            body | {"vdaf": body["vdaf"] | {"version": 19}},
            "task.version",
            "version 19",
            "version of this program",
        ),
    ):
        source = signed_by_all(coalition, bent)
        with refused(code, word, step=step):
            load_task(source, trust=coalition.trust)


def test_a3_signature_of_one_aggregator_missing(coalition: Coalition, tmp_path: Path) -> None:
    task, (north, _) = coalition.task, coalition.signatures
    with refused("task.unsigned", "not signed by south-network", step="wait, or ask them"):
        load_task((task.data, [north]), trust=coalition.trust)
    with refused("task.signature", "twice", step=ASK):
        load_task((task.data, [north, north]), trust=coalition.trust)
    file, out = tmp_path / "round.json", tmp_path / "out.report"
    bundle = json.loads(coalition.bundle)
    file.write_bytes(canonical(bundle | {"signatures": bundle["signatures"][:1]}))
    ran = type_words(
        *("seal", str(file), "--blank", "--out", str(out)),
        *(word for text in coalition.fingerprints for word in ("--trust", text)),
    )
    ran.refused(1, "not signed by south-network", "grievance: hint: ")
    assert not out.exists()


def test_a4_signature_of_somebody_else(coalition: Coalition) -> None:
    task, (north, south) = coalition.task, coalition.signatures
    body = {"aggregator": "south-network", "task": task.digest.hex()}
    stranger = SigningKey.generate()
    good = json.loads(south)
    assert good["body"] == body
    forged = sign_document(good["kind"], body, stranger)
    west = sign_document(good["kind"], body | {"aggregator": "west"}, stranger)
    for bad, name in ((forged, "south-network"), (west, "west")):
        with refused("plan.signer", f"'{name}' is not by an aggregator of this round", step=ASK):
            load_task((task.data, [north, bad]), trust=coalition.trust)


def test_a5_digest_differs_by_one_byte(coalition: Coalition) -> None:
    task = coalition.task
    body = body_of(coalition)
    title = body["plan"]["title"]
    near = parse_task(canonical(body | {"plan": body["plan"] | {"title": title + "s"}}))
    assert near.digest != task.digest and near.ctx != task.ctx
    report = seal(near, {})
    with refused("report.task", "another round", step="compare the round's"):
        report.check(task)
    bent = Report(task.digest, report.commitment, report.public_share, report.ciphertexts)
    # A dishonest client can seal for this round what it proved for that one.
    seed, meas = new_seed(), encode(task, {"region": "North"})
    elsewhere = seal_plaintexts(task, seed, *shares_of(task, meas, seed, ctx=near.ctx))
    honest = seal(task, {"region": "North"})
    assert judge(coalition, [bent, elsewhere, honest]) == [
        "report.open",
        "report.joint-randomness",
        "report.accepted",
    ]


def test_a6_one_organisation_cannot_be_two(coalition: Coalition, town: Town) -> None:
    body = body_of(coalition)
    first, second = body["aggregators"]
    heads = {"ledger_heads": {"north-union": None}}
    hybrid = b64decode(first["hpke"]), b64decode(second["hpke"])
    half = b64encode(hybrid[1][:-32] + hybrid[0][-32:])
    for changes, word in (
        ({"aggregators": [first]} | heads, "two or more aggregators"),
        ({"aggregators": [first, first]} | heads, "named twice"),
        ({"aggregators": [first, second | {"identity": first["identity"]}]}, "one identity key"),
        ({"aggregators": [first, second | {"display_name": "NORTH UNION"}]}, "display name"),
        ({"aggregators": [first, second | {"hpke": first["hpke"]}]}, "one HPKE key"),
        ({"aggregators": [first, second | {"hpke": half}]}, "one half of it"),
        ({"aggregators": [first, second | {"card": first["card"]}]}, "one card"),
    ):
        source = signed_by_all(coalition, body | changes)
        with refused("plan.aggregators", word, step="of its own"):
            load_task(source, trust=coalition.trust)
    town.plan.write_text(EXAMPLE_PLAN, encoding="utf-8")
    for words in ((), (f"--with={town.named('north')}",)):
        with nothing_changes(town.pool, town.folder / "homes"):
            ran = town.new(*words, "--yes")
        assert ran.code in (1, 2) and "grievance: hint: " in ran.err


def test_a7_verify_key_is_not_the_committed_one(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=())
    with Office.open(federation.leader) as office:
        south = federation.homes["south"].identity
        made = new_round(federation.leader, office.state, FEDERATION_PLAN, [south])
        office.publish()
    federation.round_id, home = made.round_id, federation.homes["south"]
    invitation = home.invitation(made.round_id)
    assert invitation is not None
    with Office.open(home) as office:
        join_round(home, office.state, invitation)
        office.publish()
    federation.sync("north")
    paths, other = federation.paths, VerifyKey.generate()
    task = parse_task(federation.file(paths.task).read_bytes())
    # An honest program cannot seal a key under a commitment that it copied from somewhere.
    with refused("task.commitment", "not the verify key", step="do not sign"):
        seal_verify_key(task, other, federation.leader.key)
    sealed = {
        entry.name: b64encode(entry.hpke.seal(other.reveal(), verify_keys._info(task, index)))
        for index, entry in enumerate(task.aggregators)
    }
    body = {"sealed": sealed, "task": task.digest.hex()}
    box = sign_document(verify_keys.KIND, body, federation.leader.key)
    good = federation.file(paths.verify_key).read_bytes()
    federation.file(paths.verify_key).write_bytes(box)
    with nothing_changes(federation.file("."), home.round_files(made.round_id).folder):
        (result,) = federation.sync("south", clean=False)
    (fault,) = result.faults
    tells(fault, "task.commitment", "not the verify key", step="tell the other aggregators")
    assert not federation.file(paths.signature("south")).exists()
    with Office.open(home) as office:
        assert office.state.task_of_round(made.round_id) is None
    federation.file(paths.verify_key).write_bytes(good)
    federation.settle()
    assert federation.task.digest == task.digest


def wide(choices: int, fields: int) -> str:
    """A plan that crosses so many fields with so many choices in one table."""
    labels = json.dumps([f"n{i}" for i in range(choices)])
    asked = "".join(
        f'[fields.f{i}]\nquestion = "?"\nchoices = {labels}\nrequired = true\n'
        for i in range(fields)
    )
    names = json.dumps([f"f{i}" for i in range(fields)])
    return f"{EXAMPLE_PLAN.split('[fields.')[0]}{asked}[statistics.all]\ncount = {names}\n"


def test_a8_blocks_beyond_their_limits(round_new: Callable[[str], str]) -> None:
    many = wide(2, 1) + "".join(f'[statistics.s{i}]\ncount = ["f0"]\n' for i in range(100))
    labels = '["overtime", "targets", "bullying", "caseload"]'
    for text, code, word, step in (
        (changed("pick = 2", "pick = 0"), "plan.block", "tick 0 of 4", "give 1 to 4"),
        (changed("pick = 2", "pick = 5"), "plan.block", "tick 5 of 4", "give 1 to 4"),
        (changed(labels, "[]"), "plan.label", "not 0", "must be 1 to 200"),
        (changed("step = 0.5", "step = 0"), "plan.number", "step", "larger than 0"),
        (wide(200, 3), "plan.block", "8,000,000 cells", "65,536"),
        (wide(2, 9), "plan.block", "count", "at most 8"),
        (many, "plan.block", "statistics", "must be 1 to 100"),
    ):
        plan_refused(text, code, word, step=step)
    assert "grievance: error: plan.toml" in round_new(text)
    # No block can be long enough for its count to come round again.
    assert limits.MAX_BITS * limits.MAX_REPORTS < FIELD128.MODULUS // 2


def test_a9_budgets_that_are_no_decimals(
    coalition: Coalition, round_new: Callable[[str], str]
) -> None:
    for value, code, step in (
        ("nan", "plan.number", "finite number"),
        ("inf", "plan.number", "finite number"),
        ("-inf", "plan.number", "finite number"),
        ("-1", "plan.budget", "1 is a usual choice"),
        ("0", "plan.budget", "1 is a usual choice"),
        ("1e400", "plan.number", "digits"),
        ("1e-400", "plan.number", "digits"),
        ('"1.0"', "plan.number", "must be a number, without quotes"),
    ):
        bad = changed("\nepsilon = 1.0", f"\nepsilon = {value}")
        plan_refused(bad, code, "privacy.epsilon", step=step)
    assert "privacy.epsilon" in round_new(bad)
    # Written without quotes it is an exact decimal, never a float.
    assert Plan.from_toml(changed("\nepsilon = 1.0", "\nepsilon = 0.1")).privacy.epsilon == (
        Fraction(1, 10)
    )
    good = coalition.task.data
    assert good.count(b'"delta":"0.000001"') == 1
    for written, code in (
        (b"0.000001", "document.number"),
        (b"1e-6", "document.number"),
        (b"NaN", "document.number"),
        (b"Infinity", "document.number"),
        (b'"1e-6"', "plan.number"),
        (b'"-1"', "plan.budget"),
        (b'"1e400"', "plan.number"),
    ):
        data = good.replace(b'"delta":"0.000001"', b'"delta":' + written)
        signed = {"task": hashlib.sha256(data).hexdigest()}
        signatures = [
            sign_document(SIGNATURE_KIND, signed | {"aggregator": name}, key)
            for name, key in zip(coalition.names, coalition.signing_keys, strict=True)
        ]
        with refused(code, step=ASK):
            load_task((data, signatures), trust=coalition.trust)


def test_a10_noise_below_what_the_budget_asks(coalition: Coalition) -> None:
    body = body_of(coalition)
    statistics = body["privacy"]["statistics"]
    (name, given), *_ = statistics.items()
    assert Fraction(given["sigma"]) > 1
    for sigma in ("0", "1/64", "-1", str(Fraction(given["sigma"]) - Fraction(1, 64))):
        less = body["privacy"] | {"statistics": statistics | {name: given | {"sigma": sigma}}}
        source = signed_by_all(coalition, body | {"privacy": less})
        with refused("task.field", "task.privacy is not what follows from the plan", step=ASK):
            load_task(source, trust=coalition.trust)
    for scale in (Fraction(0), Fraction(-1), Fraction(1, 3), Fraction(1, 10**300)):
        with refused("privacy.scale", step=None):
            draw("gaussian", [scale])


def test_a11_round_that_the_campaign_cannot_pay(tmp_path: Path) -> None:
    text = EXAMPLE_PLAN.replace("lifetime_epsilon = 4.0", "lifetime_epsilon = 1.0")
    text = text.replace("[privacy]", '[privacy]\nmechanism = "gaussian"')
    first = make_coalition(text)
    with refused("budget", "is left", step="ask for less"):
        make_coalition(text, previous=first)
    federation = Federation(tmp_path, relays=())
    federation.open_round(text.encode())
    south = federation.homes["south"].identity
    step = "lower this round's epsilon"
    with (
        nothing_changes(tmp_path),
        Office.open(federation.leader) as office,
        refused("budget.lifetime", "have taken 100 %", step=step),
    ):
        new_round(federation.leader, office.state, text.encode(), [south])


def test_a12_dates_that_cannot_be(round_new: Callable[[str], str]) -> None:
    opens, closes = "opens = 2026-10-01", "closes = 2026-12-20"
    for old, new, key, step in (
        (closes, "closes = 2026-09-30", "closes", "must be after `opens`"),
        (closes, "closes = 2026-10-01", "closes", "must be after `opens`"),
        (closes, "closes = 9999-12-20", "closes", "years 2020 to 2100"),
        (opens, "opens = 2026-10-01T00:00:00", "opens", "date without time"),
        (opens, "opens = 2026-10-01T00:00:00+01:00", "opens", "date without time"),
        (opens, 'opens = "1 October"', "opens", "without quotes: 2026-10-01"),
    ):
        bad = changed(old, new)
        plan_refused(bad, "plan.period", key, step=step)
    assert key in round_new(bad)


def test_a13_labels_that_deceive(round_new: Callable[[str], str]) -> None:
    for label, word, step in (
        ("SOUTH", "same but for case or form", "take one out or rename it"),
        ("\uff33outh", "same but for case or form", "take one out or rename it"),
        ("S\u043euth", "U+043E CYRILLIC SMALL LETTER O", "write it in one"),
        ("So\u0308uth", "composed form (NFC)", "save the file"),
        ("a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE at position 2", "type the text again"),
        ("a\u2066b", "U+2066", "type the text again"),
        ("a\u200bb", "U+200B ZERO WIDTH SPACE", "type the text again"),
        ("a\u00adb", "U+00AD SOFT HYPHEN", "type the text again"),
        ("a\\u0007b", "U+0007", "type the text again"),
        ("a\\nb", "U+000A", "type the text again"),
        ("Not Answered", "is reserved", "not `required` gets it by itself"),
    ):
        bad = changed('"Midlands", "South"]', f'"Midlands", "South", "{label}"]')
        plan_refused(bad, "plan.label", "fields.region.choices", word, step=step)
    said = round_new(bad)
    assert word in said
    assert said.replace("\n", "").isprintable()


def test_a15_numbers_of_many_digits(coalition: Coalition, round_new: Callable[[str], str]) -> None:
    many = "9" * 10_000
    for value, code, step in (
        (str(2**53), "plan.budget", "must be 10 to 1,000,000,000"),
        (many, "plan.syntax", "grievance plan new"),
    ):
        bad = changed("minimum_reports = 10", f"minimum_reports = {value}")
        plan_refused(bad, code, step=step)
    assert "grievance: error: plan.toml" in round_new(bad)
    good = coalition.task.data
    for digits in (str(2**53), many, "-" + many):
        data = good.replace(b'"minimum_reports":10', b'"minimum_reports":' + digits.encode())
        assert data != good
        with refused("document.integer", "2^53", step=ASK):
            load_task((data, []), trust=coalition.trust)


def test_a19_no_minimum_of_reports(coalition: Coalition, round_new: Callable[[str], str]) -> None:
    for few in (1, 0, -1, 9):
        bad = changed("minimum_reports = 10", f"minimum_reports = {few}")
        plan_refused(bad, "plan.budget", "minimum_reports", step="must be 10 to")
    assert "minimum_reports" in round_new(bad)
    # A plan that says nothing gets a safe number; a task always says it.
    assert Plan.from_toml(changed("minimum_reports = 10\n", "")).privacy.minimum_reports == 50
    body = body_of(coalition)
    privacy = {k: v for k, v in body["plan"]["privacy"].items() if k != "minimum_reports"}
    source = signed_by_all(coalition, body | {"plan": body["plan"] | {"privacy": privacy}})
    with refused("plan.syntax", "canonical", step=ASK):
        load_task(source, trust=coalition.trust)

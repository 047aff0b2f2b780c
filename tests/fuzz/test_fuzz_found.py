"""What fuzzing found, or what stands beside it, each with an input that shows it."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fuzz.contract import judge
from fuzz.seeds import seeds
from fuzz.targets import TARGETS
from fuzz.world import hpke_key, signing_key, world

from grievance.audit.accounting import keeps
from grievance.backup.sets import open_piece
from grievance.cost import Cost
from grievance.errors import GrievanceError, OpenError


def body(name: str, at: int = 0) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(seeds()[f"{name}-body"][at])
    return value


def is_refused(name: str, data: bytes) -> None:
    assert not judge(TARGETS[name], data)


def changed(name: str, at: int = 0, **fields: object) -> bytes:
    return json.dumps({**body(name, at), **fields}).encode()


@pytest.mark.parametrize(
    "refused",
    [
        [[1, "report.accepted", -1], [2, "report.open", 0]],  # refused because it was accepted
        [[1, "report.proof", -1], [2, "report.open", 2]],  # found by an aggregator there is not
        [[1, "report.proof", 0], [2, "report.open", 0]],  # no single one finds this
        [[1, "report.proof", -1], [2, "report.open", -1]],  # and this is found by one
    ],
)
def test_a_decision_names_a_finder_who_can_have_found_it(refused: list[object]) -> None:
    """The audit refused these, the parties did not."""
    is_refused("decision-body", changed("decision", 1, refused=refused))


@pytest.mark.parametrize("fields", [{"accepted": True}, {"root": "00" * 31}, {"root": ""}])
def test_numbers_and_roots_in_a_decision_are_such(fields: dict[str, object]) -> None:
    is_refused("decision-body", changed("decision", 1, **fields))


def test_true_is_no_place_in_the_order() -> None:
    is_refused("order-body", changed("order", seq=True))


@pytest.mark.parametrize(
    "fields",
    [
        {"ledger": 127},
        {"campaign": None},
        {"task": world().task.digest.hex().upper()},
        {"previous": " "},
        {"previous": "AB"},
    ],
)
def test_a_ledger_entry_has_one_form(fields: dict[str, object]) -> None:
    is_refused("ledger-entry-body", changed("ledger-entry", **fields))


@pytest.mark.parametrize("at", range(3))
def test_evidence_holds_two_versions_and_nothing_else(at: int) -> None:
    both = body("two-versions", at)["versions"]
    assert judge(TARGETS["two-versions-body"], changed("two-versions", at))
    for versions in ([*both, 1], both[:1], [both[0], both[0]]):
        is_refused("two-versions-body", changed("two-versions", at, versions=versions))


@pytest.mark.parametrize(
    "text",
    [
        "big = 1" + "0" * 5000,
        ".".join("a" * 200_000) + " = 1",
        "[" + ".".join("a" * 200_000) + "]",
        "a = { " + ".".join("b" * 200_000) + " = 1 }",
        "x = " + "[" * 100_000,
        'x = """' + "a.\n" * 10,
    ],
)
def test_a_mapping_that_would_keep_the_parser_busy_is_refused_at_once(text: str) -> None:
    is_refused("mapping", text.encode())


def test_a_quote_that_never_closes_does_not_make_the_header_slow() -> None:
    is_refused("csv", b'"' + b"\n" * (1 << 19))


@pytest.mark.parametrize("damage", [1, None, [1], {"x": 1}, True])
@pytest.mark.parametrize("key", ["north", "tiny-00000001"])
def test_damaged_settings_of_a_home_are_named(key: str, damage: object) -> None:
    settings = json.loads(seeds()["home"][0])
    judge(TARGETS["home"], json.dumps({**settings, key: damage}).encode())


def test_settings_nested_beyond_reason_are_damaged() -> None:
    is_refused("home", b"[" * 100_000)


def test_a_cost_beyond_all_floats_still_prints_and_is_never_kept() -> None:
    huge = Cost("zcdp", Fraction(10**400, 7))
    assert str(huge) == "rho about 1.429e+399"
    assert not keeps(huge.amount, Fraction(1), Fraction(1, 10**6))


@pytest.mark.parametrize("sigma", ["1/" + "7" * 199, "1/64"])
def test_a_task_whose_noise_makes_its_cost_immense_is_audited(sigma: str) -> None:
    value = json.loads(seeds()["task"][0])
    for given in value["privacy"]["statistics"].values():
        given["sigma"] = sigma
    judge(TARGETS["audit-terms"], json.dumps(value).encode())


def test_a_receipt_too_long_for_a_path_is_no_receipt() -> None:
    is_refused("receipt", b"a" * 5000)


def test_layers_reach_what_is_behind_them() -> None:
    """A layer that never lets anything through would find nothing."""
    made = world().backup
    with pytest.raises(OpenError):  # the set's own sealed bytes are made up
        open_piece(made, made.trustees[0], hpke_key("anna"))
    assert judge(TARGETS["piece"], world().pieces[0].reveal())
    with pytest.raises(GrievanceError):
        TARGETS["piece"].run(world().pieces[1].reveal())
    forged = seeds()["card"][0].replace(b"North", b"Horst", 1)
    is_refused("card", forged)
    assert judge(TARGETS["card-body"], seeds()["card-body"][0].replace(b"North", b"Horst", 1))
    assert signing_key("north").public != signing_key("south").public

"""Faults A14, A16 to A18, A20: names, sizes, keys, and tasks that were bent. docs/faults.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fault_world import (
    body_of,
    changed,
    nothing_changes,
    plan_refused,
    refused,
    signed_by_all,
    tells,
)

from cli.cli_shell import type_words
from federation import Federation
from grievance.aggregator import Office
from grievance.aggregator.consent import find_consent
from grievance.aggregator.rounds import sign_as_helper
from grievance.crypto.documents import b64decode, b64encode, canonical
from grievance.crypto.hpke import HpkePublicKey
from grievance.crypto.signing import SigningKey
from grievance.names import check_pool_path
from grievance.plan import Plan, load_plan
from grievance.pool.rounds import read_cards
from grievance.task import (
    Identity,
    check_plan_file,
    load_task,
    parse_task,
    sign_task,
)
from grievance.testing import Coalition, make_coalition

if TYPE_CHECKING:
    from pathlib import Path

ASK = "ask the aggregators"
DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition()


NAMES = (
    *("..", ".", "a/b", "C:\\x", "con", "-rf", ".hidden", "a" * 41, "x" * 300),
    *("a\nb", "a\x00b", "", "North", "n\u00f6rd", "a b", "a_b"),
)


def test_a14_names_that_are_no_path_parts(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    key = SigningKey.generate().public
    with nothing_changes(tmp_path):
        for name in NAMES:
            with refused(
                "task.name",
                "is not the name of an organisation",
                step="1 to 40 lowercase letters, digits and hyphens",
            ):
                Identity(name, "Name", key)
            with refused("pool.path", step=None):
                check_pool_path(f"ledger/{name}\\/1.json")
            quoted = json.dumps(name)
            plan_refused(
                changed('campaign = "example"', f"campaign = {quoted}"),
                "plan.name",
                "campaign",
                step="use 1 to 40 lowercase letters",
            )
            if name and "\x00" not in name:
                ran = type_words(
                    *("init", "--pool", str(tmp_path / "pool"), "--", name),
                    home=tmp_path / "home",
                )
                assert ran.code in (1, 2) and "hint: " in ran.err, (name, ran.err)
    assert not (tmp_path / "home").exists()
    # What people read is a text of its own.
    assert (
        Identity("north", "North & S\u00f6hne, Ltd", key).display_name == "North & S\u00f6hne, Ltd"
    )


def test_a16_deep_and_endless_files(tmp_path: Path, coalition: Coalition) -> None:
    plan_refused("x = " + "[" * 100_000, "plan.syntax", "deeply", step="grievance plan new")
    path = tmp_path / "plan.toml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with refused("plan.syntax", "larger than 256 KiB", step="plan new"):
        load_plan(path)
    path = tmp_path / "round.json"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    trust = coalition.trust
    with refused("document.size", "above the limit", step=ASK):
        load_task(path, trust=trust)
    for deep in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 40 + b"1" + b"}" * 40):
        with refused("document.depth", "deeply", step=ASK):
            load_task(deep, trust=trust)


def test_a17_two_signed_tasks_of_one_round(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=())
    task = federation.open_round()
    body = json.loads(task.data)
    other = parse_task(canonical(body | {"verify_key_commitment": DIGEST}))
    assert other.round_id == task.round_id
    by_leader = sign_task(other, federation.leader.key, "north")
    first = federation.file(federation.paths.task).read_bytes()
    federation.file(federation.paths.task).write_bytes(other.data)
    federation.file(federation.paths.signature("north")).write_bytes(by_leader)
    home, words = federation.homes["south"], "another task"
    with nothing_changes(federation.file("."), home.round_files(task.round_id).folder):
        (result,) = federation.sync("south", clean=False)
    (fault,) = result.faults
    tells(fault, "task.twice", "north", words, task.round_id, step="show both to the others")
    # Both are kept: the second in the pool, the first with everybody who signed it.
    with Office.open(home) as office:
        assert office.state.task_of_round(task.round_id) == first
        agreed = find_consent(home, office.state, task.round_id)
        assert agreed is not None
        cards = read_cards(home.store, agreed.invitation)
        with refused("task.twice", words, step="show both to the others"):
            sign_as_helper(home, office.state, agreed, cards, other)
    # A worker who holds the digest of one refuses the other, whoever signed it.
    south = sign_task(other, home.key, "south")
    with refused("trust.mismatch", "neither this task nor", step="do not use this task"):
        load_task((other.data, [by_leader, south]), trust=[task.digest.hex()])
    said = type_words("audit", federation.pool, "--trust", task.digest.hex())
    assert said.code == 1 and "UNTRUSTED" in said.out and "left alone" in said.out
    keys = [entry.identity.fingerprint.hex() for entry in task.aggregators]
    said = type_words("audit", federation.pool, *(w for key in keys for w in ("--trust", key)))
    assert said.code == 3 and "it is a signature under another task" in said.out
    assert "next: " in said.out


LOW_ORDER = (
    *(0, 1, 2**255 - 20),  # and two points of order eight
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
)


def test_a18_keys_that_protect_nothing(coalition: Coalition) -> None:
    body = body_of(coalition)
    first, second = body["aggregators"]
    raw = b64decode(second["hpke"])
    m_half = raw[:-32]
    bad = [
        *(m_half + point.to_bytes(32, "little") for point in LOW_ORDER),
        *(m_half + (2**255 - 19 + k).to_bytes(32, "little") for k in (0, 9, 18)),
        m_half + raw[-32:-1] + bytes([raw[-1] | 0x80]),
        b"\xff" * 1184 + raw[-32:],
        raw[:-1],
        raw + b"\0",
        b"",
    ]
    for data in bad:
        source = signed_by_all(
            coalition, body | {"aggregators": [first, second | {"hpke": b64encode(data)}]}
        )
        with refused("task.key", "not a usable HPKE key", step=ASK):
            load_task(source, trust=coalition.trust)
        with refused("plan.key", "instead of 32", step=None):
            HpkePublicKey("X25519", data[-32:-1])
    for data in (bytes(32), (1).to_bytes(32, "little"), bytes(31), b"\xff" * 32):
        source = signed_by_all(
            coalition, body | {"aggregators": [first, second | {"identity": b64encode(data)}]}
        )
        with refused("task.key", step=ASK):
            load_task(source, trust=coalition.trust)


def test_a20_another_writing_of_the_same(coalition: Coalition) -> None:
    plan = coalition.plan_file
    check_plan_file(coalition.task, plan)
    for other in (
        plan.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + plan,
        plan + b"\n",
        plan.replace(b" = ", b"=", 1),
    ):
        assert Plan.from_toml(other) == coalition.plan
        with refused("task.plan", "not the plan file that the task names", step="byte for byte"):
            check_plan_file(coalition.task, other)
    data = coalition.task.data
    for other, code in (
        (b"\xef\xbb\xbf" + data, "document.syntax"),
        (data.replace(b'{"', b'{\r\n"'), "document.canonical"),
        (json.dumps(json.loads(data)).encode(), "document.canonical"),
        (data.replace(b"Workload", b"Workloa\\u0064"), "document.canonical"),
    ):
        with refused(code, step=ASK):
            load_task((other, []), trust=coalition.trust)

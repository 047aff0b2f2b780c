"""What a party signed against what holds is found by its content, wherever it lies."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from audit_world import Pool, amiss

import grievance
from grievance.audit import once
from grievance.crypto.documents import sign_document
from grievance.crypto.signing import SigningKey
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.pool.decisions import LABEL, signed_size

ODD = (".Trash/Unbenannt 1 (2).txt", "partners/.9.json.part", "2.json", "rounds/x.pdf")


def second(path: str, name: str, change: Callable[[dict[str, Any]], Any]) -> Any:
    """How to make a second version of a document, signed by `name`."""

    def make(pool: Pool, key: SigningKey | None = None) -> tuple[bytes, str]:
        import json

        where = path.format(paths=pool.paths.folder, seq=pool.batch_places()[0], id=pool.release_id)
        document = json.loads(pool.read(where))
        change(document["body"])
        return sign_document(document["kind"], document["body"], key or pool.keys[name]), name

    return make


def second_head(pool: Pool, key: SigningKey | None = None) -> tuple[bytes, str]:
    return sign_checkpoint("north", 1, b"\x07" * 32, key or pool.keys["north"]), "north"


def second_shares(pool: Pool, key: SigningKey | None = None) -> tuple[bytes, str]:
    data = pool.read(pool.paths.verify(pool.batch_places()[0], "south"))
    size = signed_size(pool.task)
    signed = data[:78] + bytes(32) + data[110:size]
    return signed + (key or pool.keys["south"]).sign(LABEL, signed) + data[size + 64 :], "south"


SECOND = {
    "card": second("{paths}/cards/south.json", "south", lambda b: b.update(rehearsal=True)),
    "event": second("{paths}/order/1.json", "north", lambda b: b["event"].update(partner="me")),
    "decision": second("{paths}/decide/{seq}/south.json", "south", lambda b: b.update(accepted=1)),
    "answer": second(
        "{paths}/releases/{id}/approvals/south.json", "south", lambda b: b.update(answer="decline")
    ),
    "share": second(
        "{paths}/releases/{id}/noisy/south.json", "south", lambda b: b["statistics"].clear()
    ),
    "entry": second("ledger/north/1.json", "north", lambda b: b.update(previous="11" * 32)),
    "head": second_head,
    "shares": second_shares,
}


@pytest.mark.parametrize("place", ODD)
@pytest.mark.parametrize("what", SECOND)
def test_a_second_version_names_its_signer(pool: Pool, what: str, place: str) -> None:
    data, name = SECOND[what](pool)
    pool.write(place, data)
    report = pool.audit()
    assert report.verdict == "fail"
    (found,) = report.faults
    assert (found.file, found.by) == (place, (name,))
    assert found.rule in ("file.twice", "order.fork", "ledger.fork")


@pytest.mark.parametrize("what", SECOND)
def test_a_stranger_who_signs_the_same_is_noted(pool: Pool, what: str) -> None:
    data, _ = SECOND[what](pool, SigningKey.generate())
    pool.write(ODD[0], data)
    report = pool.audit()
    assert report.verdict == "pass"
    assert [(f.rule, f.file) for f in report.findings] == [("file.unknown", ODD[0])]


def test_without_the_table_nobody_is_named(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is signed once is what the table says, and nothing else finds it."""
    pool.write(ODD[0], SECOND["decision"](pool)[0])
    monkeypatch.setattr(once, "ONCE", MappingProxyType({}))
    assert pool.audit().verdict == "pass"


def test_copies_of_everything_are_copies(pool: Pool) -> None:
    for number, path in enumerate(pool.files()):
        pool.write(f"copies/{number} (conflicted copy)", pool.read(path))
    report = pool.audit()
    assert report.verdict == "pass"
    assert {f.rule for f in report.findings} == {"file.unknown"}
    assert sum("a copy of" in f.message for f in report.findings) > 15


def test_what_is_about_another_round_is_not_ours(pool: Pool) -> None:
    pool.write("old.json", SECOND["decision"](pool)[0])
    body = pool.body(pool.paths.decide(pool.batch_places()[0], "south")) | {"task": "ab" * 32}
    pool.write("old.json", sign_document("grievance/2 decision", body, pool.keys["south"]))
    report = pool.audit()
    assert report.verdict == "pass"
    assert ["not ours" in f.message for f in report.findings] == [True]


def test_two_tasks_of_one_round_name_who_signed_both(pool: Pool) -> None:
    """The second lies in a copy of the round, as it would in another folder."""
    from defects_tasks import reopen

    from grievance.audit import Statements

    other = pool.copy(pool.folder.parent / "other")
    reopen(other, lambda task: task.update(verify_key_commitment="00" * 32))
    together = Statements()
    assert pool.audit(statements=together).verdict == "pass"
    assert other.audit(statements=together).verdict == "fail"
    assert not other.audit().faults


def test_what_lies_overwritten_is_still_read(pool: Pool) -> None:
    """Another version in the very place of the first is alone; in a wrong place it is found."""
    one, two = pool.batch_places()
    data, _ = SECOND["decision"](pool)
    pool.write(pool.paths.decide(two, "south"), data)
    report = pool.audit()
    assert [(f.rule, f.by) for f in report.faults] == [("file.twice", ("south",))]
    assert ("waiting", "file.place") in {(f.severity, f.rule) for f in amiss(report)}
    assert one != two


UNSIGNED = {
    "grievance/2 task",  # signed by the signatures beside it
    "grievance/2 task bundle",  # a file for workers
    "grievance/2 backup archive contents",  # sealed
}


@pytest.mark.lint
def test_every_kind_is_signed_once_or_more_often() -> None:
    """A new kind of document has to be entered into the table."""
    kinds = set()
    for path in Path(grievance.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if any(name.endswith("KIND") for name in names):
                    kinds.add(node.value.value)
    assert kinds == set(once.ONCE) | once.SEVERAL | UNSIGNED
    assert not set(once.ONCE) & once.SEVERAL

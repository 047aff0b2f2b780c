"""`grievance relay`: folders, files, reports of other rounds, twice, at an hour."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from cli_shell import Town


@pytest.fixture
def inbox(opened: Town) -> Path:
    """A folder with twelve reports in a table file and two single ones."""
    folder = opened.fill()
    for _ in range(2):
        opened.seal("--blank", "--out", str(folder)).done()
    return folder


def test_a_folder_is_relayed(opened: Town, inbox: Path) -> None:
    (inbox / "notes.txt").write_text("not ours")
    ran = opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).done()
    assert ran.out.startswith(f"rounds/{opened.round_id}/batches/nurses-")
    assert (opened.pool / ran.out.strip()).exists()
    assert "Relayed 14 reports, with 86 blank ones to make it 100, in 1 batch." in ran.err
    opened.settle()
    assert "100 reports accepted" in opened.type("north", "status").done().out


def test_files_in_json(opened: Town, inbox: Path) -> None:
    singles = sorted(map(str, inbox.glob("*.report")))
    ran = opened.type("nurses", "relay", *singles, "--trust", opened.digest, "--json").done()
    assert ran.err == ""
    assert {k: v for k, v in ran.json.items() if k != "batches"} == {
        "round": opened.round_id,
        "reports": 2,
        "blank": 98,
        "admitted": True,
        "rehearsal": False,
    }
    assert len(ran.json["batches"]) == 1


def test_the_same_report_in_one_go_counts_once(opened: Town, inbox: Path) -> None:
    words = (str(inbox), str(inbox))
    ran = opened.type("nurses", "relay", *words, "--trust", opened.digest).done()
    assert "Relayed 14 reports" in ran.err
    assert "14 reports came twice and went once." in ran.err


def test_relaying_twice_counts_once(opened: Town, inbox: Path) -> None:
    for _ in range(2):
        opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).done()
    opened.settle()
    (status,) = opened.type("north", "status", "--json").json
    # 200 rows, of which the second batch repeats 14.
    assert (status["rows"], status["accepted"]) == (200, 186)


def test_reports_of_another_round(opened: Town, inbox: Path) -> None:
    first = opened.round_id
    opened.open("nurses")
    assert opened.round_id != first
    words = ("--round", opened.round_id, "--trust", opened.digest)
    opened.type("nurses", "relay", str(inbox / "all.reports"), *words).refused(
        1, "these reports belong to another round", "hint: "
    )
    single = str(next(inbox.glob("*.report")))
    opened.type("nurses", "relay", single, *words).refused(1, "round")
    assert not list((opened.pool / "rounds" / opened.round_id).glob("batches/*"))


def test_what_is_no_report(opened: Town, inbox: Path) -> None:
    (inbox / "broken.report").write_bytes(b"x" * 99)
    opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).refused(
        1, "broken.report", "99 bytes"
    )
    trust = ("--trust", opened.digest)
    opened.type("nurses", "relay", "no.report", *trust).refused(1, "No such file")
    opened.type("nurses", "relay", "no", *trust).refused(2, "there is no such file")
    opened.type("nurses", "relay", str(opened.plan), *trust).refused(2, "neither a .report nor")
    empty = opened.folder / "empty"
    empty.mkdir()
    opened.type("nurses", "relay", str(empty), *trust).refused(2, "no .report", "hint: ")


def test_before_being_admitted_the_batch_waits(opened: Town, inbox: Path) -> None:
    ran = opened.type("carers", "relay", str(inbox), "--trust", opened.digest).done()
    assert "carers is not admitted" in ran.err
    opened.settle()
    assert opened.type("north", "status", "--json").json[0]["rows"] == 0
    opened.type("north", "admit", opened.named("carers")).done()
    opened.settle()
    assert opened.type("north", "status", "--json").json[0]["rows"] == 100


def test_a_closed_round_takes_nothing(opened: Town, inbox: Path) -> None:
    opened.close()
    opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).refused(
        1, "is closed; it takes no more reports", "hint: "
    )


def test_at_an_hour(opened: Town, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    hour = f"{datetime.now():%H:%M}"  # noqa: DTZ005  # an hour of this machine's clock
    words = (str(inbox), "--trust", opened.digest)
    ran = opened.type("nurses", "relay", *words, "--at", hour).done()
    assert "Waiting until " in ran.err
    assert len(slept) == 1
    assert 23 * 3600 < slept[0] <= 24 * 3600
    opened.type("nurses", "relay", *words, "--at", "8 pm").refused(2, "is not an hour like 20:00")


def test_relaying_needs_an_identity(opened: Town, inbox: Path) -> None:
    opened.type("nobody", "relay", str(inbox), "--trust", opened.digest).refused(2, "init")

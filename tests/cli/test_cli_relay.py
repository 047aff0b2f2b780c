"""`grievance relay`: folders, files, reports of other rounds, twice, at an hour."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from cli_shell import Town

from grievance.home import Home


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
    assert "100 sealed reports count" in opened.type("north", "status").done().out


def test_files_in_json(opened: Town, inbox: Path) -> None:
    singles = sorted(map(str, inbox.glob("*.report")))
    ran = opened.type("nurses", "relay", *singles, "--trust", opened.digest, "--json").done()
    assert ran.err == ""
    assert {k: v for k, v in ran.json.items() if k != "batches"} == {
        "round": opened.round_id,
        "reports": 2,
        "blank": 98,
        "twice": 0,
        "before": 0,
        "admitted": True,
        "rehearsal": False,
        "refused": [],
    }
    assert len(ran.json["batches"]) == 1


def test_the_same_report_in_one_go_counts_once(opened: Town, inbox: Path) -> None:
    words = (str(inbox), str(inbox))
    ran = opened.type("nurses", "relay", *words, "--trust", opened.digest).done()
    assert "Relayed 14 reports" in ran.err
    assert "14 reports came twice and went once." in ran.err


def test_relaying_twice_sends_once(opened: Town, inbox: Path) -> None:
    words = ("relay", str(inbox), "--trust", opened.digest)
    opened.type("nurses", *words).done()
    again = opened.type("nurses", *words).done()
    assert again.out == ""
    assert "Nothing here is new, so no batch was made." in again.err
    assert "14 reports have gone out before and were left out." in again.err
    opened.seal("--blank", "--out", str(inbox)).done()
    third = opened.type("nurses", *words, "--json").done().json
    assert (third["reports"], third["blank"], third["before"]) == (1, 99, 14)
    opened.settle()
    (status,) = opened.type("north", "status", "--json").json
    assert (status["rows"], status["accepted"]) == (200, 200)


def test_reports_of_another_round_stay_where_they_are(opened: Town, inbox: Path) -> None:
    first = opened.round_id
    opened.open("nurses")
    assert opened.round_id != first
    words = ("--round", opened.round_id, "--trust", opened.digest)
    opened.type("nurses", "relay", str(inbox / "all.reports"), *words).refused(
        1, "these reports belong to another round", "hint: "
    )
    single = str(next(inbox.glob("*.report")))
    opened.type("nurses", "relay", single, *words).refused(1, "round")
    before = sorted(inbox.iterdir())
    ran = opened.type("nurses", "relay", str(inbox), *words)
    assert ran.code == 1
    assert ran.err.count("belong") == 3
    assert "left where it is" in ran.err
    assert sorted(inbox.iterdir()) == before
    assert not list((opened.pool / "rounds" / opened.round_id).glob("batches/*"))


def test_a_bad_file_is_set_aside_and_stops_nothing(opened: Town, inbox: Path) -> None:
    (inbox / "broken.report").write_bytes(b"x" * 99)
    (inbox / "empty.reports").write_bytes(b"")
    words = ("relay", str(inbox), "--trust", opened.digest, "--json")
    ran = opened.type("nurses", *words)
    assert ran.code == 1, "somebody should look"
    assert (ran.json["reports"], len(ran.json["batches"])) == (14, 1)
    told = [(Path(one["file"]).name, one["error"]) for one in ran.json["refused"]]
    assert told == [("broken.report", "report.file"), ("empty.reports", "report.file")]
    assert "99 bytes" in ran.json["refused"][0]["reason"]
    assert sorted(p.name for p in (inbox / "refused").iterdir()) == [
        "broken.report",
        "empty.reports",
    ]
    assert opened.type("nurses", *words).done().json["refused"] == [], "it is told once"
    # Another one of the same name takes nobody's place.
    (inbox / "broken.report").write_bytes(b"y")
    ran = opened.type("nurses", *words[:-1])
    assert (ran.code, "broken-2.report" in ran.err) == (1, True)
    assert len(list((inbox / "refused").iterdir())) == 3


def test_a_bad_file_among_named_ones_stops_nothing(opened: Town, inbox: Path) -> None:
    """`relay *.report`, as a shell writes it out."""
    (inbox / "broken.report").write_bytes(b"x")
    ran = opened.type(
        *("nurses", "relay", *map(str, sorted(inbox.glob("*.report*")))),
        *("--trust", opened.digest),
    )
    assert ran.code == 1
    assert "Relayed 14 reports" in ran.err
    assert (inbox / "broken.report").exists(), "what was named one by one is not moved"


def test_a_bad_file_that_cannot_be_moved_stops_nothing_either(
    opened: Town, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox / "broken.report").write_bytes(b"x")
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.suffix == ".report":
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    for reports in (14, 0):
        ran = opened.type("nurses", "relay", str(inbox), "--trust", opened.digest, "--json")
        assert (ran.code, ran.json["reports"]) == (1, reports)
        assert [one["set_aside"] for one in ran.json["refused"]] == [None]


def test_relaying_waits_for_another_command_to_end(
    opened: Town, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that runs at the hour must not cost a batch its hour."""
    lock, slept = Home.open(opened.home("nurses")).lock(), list[float]()
    lock.__enter__()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("time.sleep", sleep)
    opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).done()
    assert slept == [1, 1]
    with Home.open(opened.home("nurses")).lock():
        ran = opened.type("nurses", "relay", str(inbox), "--trust", opened.digest)
        ran.refused(1, "another command is at work")
    assert len(slept) == 62, "it does not wait for ever"


def test_what_is_no_report(opened: Town, inbox: Path) -> None:
    (inbox / "broken.report").write_bytes(b"x" * 99)
    trust = ("--trust", opened.digest)
    opened.type("nurses", "relay", str(inbox / "broken.report"), *trust).refused(
        1, "broken.report", "99 bytes"
    )
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
    assert 22 * 3600 < slept[0] <= 25 * 3600  # a day, or one on which the clocks are changed
    opened.type("nurses", "relay", *words, "--at", "8 pm").refused(2, "is not an hour like 20:00")


def test_relaying_needs_an_identity(opened: Town, inbox: Path) -> None:
    opened.type("nobody", "relay", str(inbox), "--trust", opened.digest).refused(2, "init")

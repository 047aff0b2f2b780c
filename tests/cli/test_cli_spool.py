"""`grievance relay --spool`: a folder looked after, once or again and again, and a lost memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_shell import Town, type_words


@pytest.fixture
def spool(opened: Town) -> Path:
    """A spool with one file of twelve reports, and the relay trusts the round."""
    return opened.fill().rename(opened.folder / "spool")


def test_one_look_and_what_it_says(opened: Town, spool: Path) -> None:
    words = ("relay", "--spool", str(spool), "--trust", opened.digest)
    waits = opened.type("nurses", *words, "--at-least", "13", "--every-hours", "2").done()
    # The first time is due by the hour.
    assert "Relayed 12 reports, with 88 blank ones to make it 100, in 1 batch." in waits.err
    opened.seal("--blank", "--out", str(spool)).done()
    waits = opened.type("nurses", *words, "--at-least", "13", "--every-hours", "2").done()
    assert waits.out == ""
    assert (
        f"1 new report in {spool}; it goes out when there are 13, or 2 hours have passed since "
        "the last time." in waits.err
    )
    (spool / "bad.report").write_bytes(b"half")
    ran = opened.type("nurses", *words, "--json").done().json
    assert (ran["reports"], ran["waiting"], ran["refused"]) == (1, 0, []), "it may be arriving"
    opened.settle()
    again = opened.type("nurses", *words).done()
    assert "Nothing here is new, so no batch was made." in again.err
    assert "Deleted 2 files that nobody needs any more." in again.err
    opened.close()
    opened.seal("--blank", "--out", str(spool)).done()
    told = opened.type("nurses", *words).done().err
    assert "1 report here had not been passed on, and will not be counted." in told
    assert "Tell whoever handed them in. The files are deleted after" in told
    as_json = opened.type("nurses", *words, "--json").done().json
    assert as_json["not_counted"]["reports"] == 1
    assert as_json["batches"] == []


def test_watching_tells_what_is_new_and_goes_on_after_errors(
    opened: Town, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, looks = opened.folder / "away", []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            opened.pool.rename(away)
        elif len(looks) == 3:
            away.rename(opened.pool)
            opened.seal("--blank", "--out", str(spool)).done()
        elif len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    words = ("--spool", str(spool), "--watch", "--interval", "7", "--json")
    ran = opened.type("nurses", "relay", "--trust", opened.digest, *words)
    assert ran.code == 130
    assert looks == [7] * 5
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [(one["reports"], len(one["batches"])) for one in told] == [(12, 1), (1, 1)]
    assert ran.err.count('"error": "pool.') == 1


def test_what_does_not_go_together(opened: Town, spool: Path) -> None:
    for words, said in (
        ((), "name files or folders"),
        ((str(spool), "--spool", str(spool)), "name files or folders"),
        ((str(spool), "--at-least", "2"), "belong to --spool"),
        ((str(spool), "--watch"), "belong to --spool"),
        (("--spool", str(spool), "--at", "20:00"), "--at is for files"),
        (("--spool", str(spool / "nowhere")), "is not a folder"),
    ):
        ran = opened.type("nurses", "relay", "--trust", opened.digest, *words)
        ran.refused(2, said)


def test_a_home_that_forgot_asks_a_person(opened: Town, spool: Path) -> None:
    words = ("relay", str(spool), "--trust", opened.digest)
    opened.type("nurses", *words).done()
    for path in opened.home("nurses").glob("state.sqlite*"):
        path.unlink()
    told = opened.type("nurses", *words).refused(1, "does not remember it", "--memory-lost")
    assert "as public replays, which shows which reports are no blank ones" in told.err
    as_json = opened.type("nurses", *words, "--json")
    assert json.loads(as_json.err)["error"] == "relay.memory"
    asked = opened.type("nurses", *words, keyboard="n\n")
    assert (asked.code, "Go on without that memory?" in asked.err) == (1, True)
    gone_on = opened.type("nurses", *words, keyboard="y\n").done()
    assert "12 reports have gone out before and were left out." in gone_on.err
    assert "The pool holds 1 batch of nurses that this home did not remember" in gone_on.err
    assert "did not remember" not in opened.type("nurses", *words).done().err
    assert len(list(opened.pool.rglob("batches/nurses-*"))) == 1


def test_memory_lost_says_it_without_asking(opened: Town, spool: Path) -> None:
    words = ("relay", str(spool), "--trust", opened.digest, "--memory-lost")
    opened.type("nurses", *words[:-1]).done()
    for path in opened.home("nurses").glob("state.sqlite*"):
        path.unlink()
    assert "left out" in opened.type("nurses", *words).done().err


def test_what_a_relay_remembers_is_listed_and_deleted_with_the_round(
    opened: Town, spool: Path
) -> None:
    opened.type("nurses", "relay", str(spool), "--trust", opened.digest).done()
    listed = opened.type("nurses", "exposure", "--party", "nurses").done().out
    what = f"the digests of 100 reports we passed on in {opened.round_id}, blank ones included"
    assert what in listed
    assert "not which of their reports are real" in listed
    opened.settle()
    opened.type("nurses", "sync").done()
    assert what in opened.type("nurses", "exposure", "--party", "nurses").done().out
    opened.close()
    for name in ("north", "south"):
        opened.type(name, "round", "destroy", "--yes").done()
    opened.settle()
    opened.type("nurses", "sync").done()
    after = opened.type("nurses", "exposure", "--party", "nurses").done().out
    assert "the digests of" not in after


def test_a_sync_of_the_relay_puts_its_batches_back(opened: Town, spool: Path) -> None:
    opened.type("nurses", "relay", str(spool), "--trust", opened.digest).done()
    (path,) = opened.pool.rglob("batches/nurses-*")
    data = path.read_bytes()
    path.unlink()
    opened.type("nurses", "sync").done()
    assert path.read_bytes() == data


def test_what_a_worker_is_told(opened: Town) -> None:
    out = opened.folder / "mine.report"
    ran = opened.seal("--blank", "--out", str(out)).done()
    assert "Hand it in at one place only." in ran.err
    assert "hand in this same file there again; do not seal twice." in ran.err
    assert type_words("seal", "-h").done()

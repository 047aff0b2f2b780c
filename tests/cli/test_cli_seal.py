"""`grievance seal`: questions in a terminal, JSON, whole tables."""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_shell import ANSWERS, Town, type_words

from grievance.client import read_report
from grievance.task import load_task


@pytest.fixture(scope="module")
def round_(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round; sealing does not change it."""
    made = Town(tmp_path_factory.mktemp("sealing") / "town")
    made.found("north", "south", "nurses", "carers")
    made.open("nurses")
    return made


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reads(town: Town, path: Path, receipt: str) -> bool:
    task = load_task(town.bundle, trust=[town.digest])
    return read_report(path, task).digest.hex() == receipt


def test_answers_from_a_file(round_: Town, tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text(ANSWERS, encoding="utf-8")
    ran = round_.seal("--answers", "answers.json", "--out", "my.report").done()
    assert reads(round_, tmp_path / "my.report", ran.out.strip())
    assert "nobody there can read it" in ran.err
    assert "receipt" in ran.err


def test_answers_from_stdin_and_json_out(round_: Town, tmp_path: Path) -> None:
    ran = round_.seal("--answers", "-", "--json", stdin=ANSWERS).done()
    found = ran.json
    assert found["round"] == round_.round_id
    assert found["rehearsal"] is False
    # Named after the receipt, so the name tells neither who nor when.
    assert found["file"] == f"{found['receipt'][:12]}.report"
    assert reads(round_, tmp_path / found["file"], found["receipt"])
    assert ran.err == ""


def test_a_folder_takes_reports(round_: Town, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    round_.seal("--answers", "-", "--out", "inbox", stdin=ANSWERS).done()
    round_.seal("--answers", "-", "--out", "inbox", stdin=ANSWERS).done()
    assert len(list((tmp_path / "inbox").glob("*.report"))) == 2


def test_a_blank_report(round_: Town, tmp_path: Path) -> None:
    found = round_.seal("--blank", "--json").done().json
    whole = round_.seal("--answers", "-", "--json", stdin=ANSWERS).done().json
    sizes = {Path(found["file"]).stat().st_size, Path(whole["file"]).stat().st_size}
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"region": "Paris"}', 1, "region: is not one of the choices"),
        ('{"region": "London", "hours": 99}', 1, "hours: "),
        ('{"problems": ["targets"]}', 1, "region: "),
        ('{"regio": "London"}', 1, "the plan does not have"),
        ('{"region": "London", "region": "Wales"}', 2, "not a JSON object"),
        ("[1]", 2, "standard input is not a JSON object"),
        ("", 2, "not a JSON object"),
        ("[" * 100_000, 2, "not a JSON object"),
    ],
)
def test_answers_that_do_not_fit(
    round_: Town, tmp_path: Path, text: str, code: int, said: str
) -> None:
    ran = round_.seal("--answers", "-", stdin=text).refused(code, said, "hint: ")
    assert "Paris" not in ran.err
    assert "99" not in ran.err
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_there(round_: Town) -> None:
    round_.seal("--answers", "no.json").refused(2, "no.json: No such file")
    round_.seal("--table", "no.csv").refused(2, "no.csv: No such file")
    (Path("t.csv")).write_text("region,problems,hours\n")
    round_.seal("--table", "t.csv", "--mapping", "no.toml").refused(2, "no.toml: No such file")
    type_words("seal", "no.json", "--trust", round_.digest).refused(1, "no.json: No such file")
    type_words("seal", str(round_.plan), "--trust", round_.digest, "--blank").refused(1)


def test_what_does_not_go_together(round_: Town) -> None:
    round_.seal("--blank", "--answers", "x").refused(2, "give one of")
    round_.seal("--mapping", "m.toml").refused(2, "belong to --table")
    round_.seal("--blank", "--workers", "2").refused(2, "belong to --table")


def test_nothing_is_written_over(round_: Town, tmp_path: Path) -> None:
    (tmp_path / "my.report").write_text("precious")
    # Said before any question is asked.
    ran = round_.seal("--out", "my.report", keyboard="1\n1\n1\n").refused(2, "exists already")
    assert "Question" not in ran.err
    assert (tmp_path / "my.report").read_text() == "precious"


def test_nobody_to_ask(round_: Town) -> None:
    round_.seal().refused(2, "there is nobody to ask", "--answers FILE", "--blank")


def test_questions_are_asked_and_asked_again(round_: Town, tmp_path: Path) -> None:
    typed = "\n9\nlondon\n1,2,3\n1 2\n11\n4\n"
    ran = round_.seal("--out", "my.report", keyboard=typed).done()
    assert reads(round_, tmp_path / "my.report", ran.out.strip())
    assert "Question 1 of 3: Where do you work?" in ran.err
    assert "    1  London" in ran.err
    assert "Tick at most two." in ran.err
    assert "What is promised" in ran.err
    assert "this question needs an answer; please try again" in ran.err
    assert "this is not one of the choices; please try again" in ran.err
    assert "these are more than 2; please try again" in ran.err
    assert "the number is outside the limits; please try again" in ran.err
    # The questions are not listed before they are asked.
    assert ran.err.count("Where do you work?") == 2


def test_questions_may_be_left_out(round_: Town) -> None:
    ran = round_.seal("--out", "my.report", keyboard="3\n\n\n").done()
    assert ran.err.count("empty for no answer") == 2


def test_in_a_real_terminal(round_: Town, tmp_path: Path) -> None:
    """A pseudo-terminal, as a worker sits at it; stdout goes to a file and holds data alone."""
    command = [sys.executable, "-c", "from grievance.cli import main; main()"]
    words = ["seal", str(round_.bundle), "--trust", round_.digest, "--out", "my.report"]
    master, slave = pty.openpty()
    with (tmp_path / "out.txt").open("wb") as out:
        running = subprocess.Popen(
            [*command, *words], stdin=slave, stdout=out, stderr=slave, cwd=tmp_path
        )
    os.close(slave)
    seen, replies = "", ["2\r", "targets\r", "3\r"]
    text = codecs.getincrementaldecoder("utf-8")()  # what comes may end inside a character
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and (replies or running.poll() is None):
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            seen += text.decode(os.read(master, 4096))
        except OSError:
            break
        if replies and seen.endswith("  > "):
            os.write(master, replies.pop(0).encode())
    code = running.wait(timeout=300)
    os.close(master)
    assert code == 0, seen
    assert "Question 3 of 3" in seen
    assert max(map(len, seen.splitlines())) < 200
    receipt = (tmp_path / "out.txt").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", receipt)
    assert reads(round_, tmp_path / "my.report", receipt.strip())


def table(path: Path, *rows: str) -> tuple[str, str, str, str]:
    (path / "rows.csv").write_text("\n".join(["where,problems,hours,union", *rows, ""]))
    (path / "mapping.toml").write_text(
        'partner = "union"\n'
        '[fields.region]\ncolumn = "where"\n'
        '[fields.problems]\nseparator = ";"\nnothing = "none"\n'
    )
    return "--table", "rows.csv", "--mapping", "mapping.toml"


def test_a_table(round_: Town, tmp_path: Path) -> None:
    words = table(
        tmp_path, "London,targets;overtime,3,nurses", "Wales,none,,carers", "North,,0,nurses"
    )
    ran = round_.seal(*words).done()
    assert "sealed/carers.reports        1" in ran.out
    assert "sealed/nurses.reports        2" in ran.out
    assert "3 rows sealed" in ran.err


def test_a_table_with_refused_rows(round_: Town, tmp_path: Path) -> None:
    words = table(
        tmp_path,
        "London,targets,3,nurses",
        "Paris,targets,3,nurses",
        "London,targets,77,nurses",
        "London,targets,3,Nurses United!",
        "Wales,none,1,nurses",
    )
    ran = round_.seal(*words)
    assert ran.code == 1
    assert "sealed/nurses.reports        2" in ran.out
    assert "refused: row 3: region: " in ran.err
    assert "refused: row 4: hours: " in ran.err
    assert "refused: row 5: " in ran.err
    for secret in ("Paris", "77", "United"):
        assert secret not in ran.err
    as_json = round_.seal(*words, "--out", "again", "--json")
    assert as_json.code == 1
    assert as_json.json["sealed"] == 2
    assert [r["row"] for r in as_json.json["refused"]] == [3, 4, 5]
    assert as_json.json["files"] == {"again/nurses.reports": 2}
    assert as_json.err == ""


def test_many_refused_rows_are_summed_up(round_: Town, tmp_path: Path) -> None:
    ran = round_.seal(*table(tmp_path, *["Paris,none,1,nurses"] * 25))
    assert ran.code == 1
    assert ran.err.count("refused: row") == 20
    assert "5 more refused; --json lists them all" in ran.err


def test_a_table_in_several_processes(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, *["London,targets,3,nurses"] * 70, "Paris,none,1,nurses")
    ran = round_.seal(*words, "--workers", "2", "--json")
    assert (ran.code, ran.json["sealed"]) == (1, 70)


def test_a_table_and_its_mapping_must_fit(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, "London,targets,3,nurses")
    (tmp_path / "mapping.toml").write_text('[fields.regio]\ncolumn = "where"\n')
    round_.seal(*words).refused(2, "mapping.toml", "no such field")
    (tmp_path / "mapping.toml").write_text("= broken")
    round_.seal(*words).refused(2, "mapping.toml")
    round_.seal("--table", "rows.csv").refused(2)
    assert not (tmp_path / "sealed").exists()


def test_tables_go_into_an_empty_folder(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, "London,targets,3,nurses")
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed" / "x").write_text("x")
    round_.seal(*words).refused(2, "is not an empty folder", "--out")


def test_sealed_files_are_nobody_elses_business(round_: Town) -> None:
    found = round_.seal("--blank", "--json").done().json
    assert stat.S_ISREG(Path(found["file"]).stat().st_mode)
    assert json.loads(round_.bundle.read_bytes())

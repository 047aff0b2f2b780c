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
def round_(signed: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round; sealing does not change it."""
    return signed.copied(tmp_path_factory.mktemp("sealing") / "town")


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


def test_a_name_that_is_an_answer_is_not_repeated(round_: Town) -> None:
    ran = round_.seal("--answers", "-", stdin='{"London": "region"}').refused(1, "does not have")
    assert "London" not in ran.err


def test_files_that_are_not_there(round_: Town) -> None:
    round_.seal("--answers", "no.json").refused(2, "no.json: No such file")
    round_.seal("--table", "no.csv").refused(2, "no.csv: No such file")
    (Path("t.csv")).write_text("region,problems,hours\n")
    round_.seal("--table", "t.csv", "--mapping", "no.toml").refused(2, "no.toml: No such file")
    type_words("seal", "no.json", "--trust", round_.digest).refused(1, "no.json: No such file")
    type_words("seal", str(round_.plan), "--trust", round_.digest, "--blank").refused(1)


def test_what_does_not_go_together(round_: Town) -> None:
    round_.seal("--blank", "--answers", "x").refused(2, "give one of")
    for words in (["--mapping", "m"], ["--workers", "2"], ["--rows", "2"], ["--dry-run"]):
        round_.seal("--blank", *words).refused(2, "belong to --table")
    for word in ("--partial", "--again", "--show-cells"):
        round_.seal(word).refused(2, "belong to --table")
    round_.seal("--forget", "--table", "t.csv").refused(2, "give one of")


def test_nothing_is_written_over(round_: Town, tmp_path: Path) -> None:
    (tmp_path / "my.report").write_text("precious")
    # Said before any question is asked.
    ran = round_.seal("--out", "my.report", keyboard="1\n1\n1\ny\n").refused(2, "exists already")
    assert "Question" not in ran.err
    assert (tmp_path / "my.report").read_text() == "precious"


def test_nobody_to_ask(round_: Town) -> None:
    round_.seal().refused(2, "there is nobody to ask", "--answers FILE", "--blank")


def test_questions_are_asked_and_asked_again(round_: Town, tmp_path: Path) -> None:
    typed = "\n9\nlondon\n1,2,3\n1 2\n11\n4\ny\n"
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
    # The questions are not listed before they are asked, but beside the answers at the end.
    assert ran.err.count("Where do you work?") == 3


def test_questions_may_be_left_out(round_: Town) -> None:
    ran = round_.seal("--out", "my.report", keyboard="3\n\n\ny\n").done()
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
    seen, replies = "", ["2\r", "targets\r", "4,5\r", "3\r", "y\r"]
    text = codecs.getincrementaldecoder("utf-8")()  # what comes may end inside a character
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and (replies or running.poll() is None):
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            seen += text.decode(os.read(master, 4096))
        except OSError:
            break
        if replies and seen.endswith(("  > ", "n to stop]: ")):
            os.write(master, replies.pop(0).encode())
    code = running.wait(timeout=300)
    os.close(master)
    assert code == 0, seen
    assert "Question 3 of 3" in seen
    assert "decimals are written with a point here, as in 4.5" in " ".join(seen.split())
    # The review, whatever the width of the window.
    for line in ("1 Where do you work? North 2 ", "3 Unpaid hours in a usual week 3 hours Seal"):
        assert line in " ".join(seen.split())
    assert max(map(len, seen.splitlines())) < 200
    receipt = (tmp_path / "out.txt").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", receipt)
    assert reads(round_, tmp_path / "my.report", receipt.strip())


def test_sealed_files_are_nobody_elses_business(round_: Town) -> None:
    found = round_.seal("--blank", "--json").done().json
    assert stat.S_ISREG(Path(found["file"]).stat().st_mode)
    assert json.loads(round_.bundle.read_bytes())

"""`release check`, and `audit --release FOLDER`: no PASS without the line of the other command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Ran, Town, type_words

from grievance.cli import auditor, release_check

WRONG = "tables.csv, line 3: it does not follow from release.json"


@pytest.fixture(scope="module")
def exported(released: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "results"
    released.type("south", "release", "export", str(folder)).done()
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "results"))


def change_a_digit(folder: Path) -> None:
    """One digit in the third line of tables.csv."""
    lines = (folder / "tables.csv").read_bytes().split(b"\n")
    lines[2] = re.sub(rb"\d", lambda found: b"%d" % ((int(found[0]) + 1) % 10), lines[2], count=1)
    (folder / "tables.csv").write_bytes(b"\n".join(lines))


def of_another_version(folder: Path) -> None:
    text = (folder / "made-from.json").read_text("utf-8")
    (folder / "made-from.json").write_text(re.sub('"library":"[^"]*"', '"library":"0.0.9"', text))


def check(folder: Path, *words: str) -> Ran:
    return type_words("release", "check", str(folder), *words, home=folder.parent / "nobody")


def test_a_folder_that_fits(folder: Path) -> None:
    ran = check(folder).done()
    assert f"{folder} fits its release.json: " in ran.out and "add --pool" in ran.out
    value = check(folder, "--json").done().json
    assert (value["outcome"], value["wrong"], value["with_pool"]) == ("fits", [], False)


def test_one_digit_is_named_with_its_line(folder: Path) -> None:
    change_a_digit(folder)
    ran = check(folder)
    assert ran.code == 1 and f"does not fit: {WRONG}" in ran.out
    ran = check(folder, "--json")
    assert ran.code == 1 and ran.json["wrong"] == [WRONG]


def test_what_cannot_be_checked_waits(folder: Path) -> None:
    of_another_version(folder)
    ran = check(folder)
    assert ran.code == 3 and "not checked: tables of version 0.0.9" in ran.out
    assert check(folder / "nothing").code == 1


def test_against_the_pool(released: Town, folder: Path) -> None:
    pool = ("--pool", str(released.pool), "--trust", released.digest)
    ran = check(folder, *pool).done()
    assert "add --pool" not in ran.out
    assert check(folder, *pool, "--json").done().json["with_pool"] is True
    check(folder, *pool[:2], "--trust", "0000-0000-0000-0000-0000").refused(
        1, "is neither this task"
    )
    text = (folder / "made-from.json").read_text("utf-8")
    (folder / "made-from.json").write_text(text.replace('"nurses":', '"nurses":1'))
    assert "the pool says otherwise: relays" in check(folder, *pool).out


def audit(town: Town, *words: str) -> Ran:
    return town.type("nurses", "audit", str(town.pool), "--trust", town.digest, *words)


def test_the_audit_repeats_the_line_and_keeps_its_verdict(
    released: Town, folder: Path, tmp_path: Path
) -> None:
    page = tmp_path / "verdict.html"
    with_page = ("--release", str(folder), "--html", str(page))
    ran = audit(released, *with_page).done()
    lines = ran.out.splitlines()
    assert lines[0].endswith(": PASS")
    assert lines[2].startswith("Beside release.json: results fits its release.json: ")
    assert "results fits its release.json" in page.read_text("utf-8")
    # Of a file alone, nothing is said of what stands beside it.
    assert "Beside" not in audit(released, "--release", str(folder / "release.json")).done().out
    change_a_digit(folder)
    ran = audit(released, *with_page)
    assert ran.code == 1 and ran.out.splitlines()[0].endswith(": PASS")
    assert ran.out.splitlines()[2] == f"Beside release.json: results does not fit: {WRONG}."
    assert WRONG in page.read_text("utf-8")
    of_another_version(folder)
    value = audit(released, "--release", str(folder), "--json")
    assert value.code == 3 and value.json["verdict"] == "pass"
    assert value.json["beside"][0]["outcome"] == "not checked"
    assert "not checked: tables of version 0.0.9" in value.json["beside"][0]["line"]


def test_a_claim_that_is_false_is_the_audits_own_finding(released: Town, folder: Path) -> None:
    value = json.loads((folder / "release.json").read_text("utf-8"))
    value["accepted"] += 1
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    (folder / "release.json").write_text(text, encoding="utf-8")
    ran = audit(released, "--release", str(folder))
    assert ran.code == 1 and ran.out.splitlines()[0].endswith(": FAIL")
    assert "release.sum" in ran.out and "does not fit: made-from.json, line 1" in ran.out


@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        (0, ""),
        (0, '{"outcome": "fits"}'),
        (0, '{"outcome": "does not fit", "line": "fits"}'),
        (1, '{"outcome": "fits", "line": "fits"}'),
        (-9, '{"outcome": "fits", "line": "fits"}'),
        (0, '["fits"]'),
    ],
)
def test_a_check_that_did_not_end_well_is_no_check(
    released: Town, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, stdout: str
) -> None:
    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, code, stdout, "")

    monkeypatch.setattr(release_check.subprocess, "run", run)
    ran = audit(released, "--release", str(folder))
    assert ran.code == 3 and "Beside release.json: results not checked: " in ran.out


def test_no_pass_without_the_line(
    released: Town, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(auditor, "check_apart", stop)
    ran = audit(released, "--release", str(folder))
    assert ran.code == 130 and "PASS" not in ran.out


def test_a_folder_lends_no_modules(
    released: Town, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is handed over may be where the auditor stands."""
    (folder / "json.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(folder)
    assert "'json.py', which no export writes" in audit(released, "--release", str(folder)).out


LOADED = """
import sys
from grievance.cli.app import run
try:
    run(sys.argv[1:])
finally:
    print(sorted(m for m in sys.modules if m.startswith("grievance.release")))
"""


def modules(*words: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=False
    )
    last = ran.stdout.splitlines()[-1]
    return re.findall(r"'([a-z_.]+)'", last)


def test_the_audit_loads_no_release(released: Town, folder: Path) -> None:
    words = (str(released.pool), "--trust", released.digest)
    assert modules("audit", *words, "--release", str(folder)) == []
    # Control: the command that it runs apart does.
    assert "grievance.release.check" in modules("release", "check", str(folder))

"""`grievance seal --table`: whole or not at all, each person once, and what is said about it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Ran, Terminal, Town, type_words

from grievance import failpoints
from grievance.client import read_reports
from grievance.tables import SealMemory, TableReading
from grievance.task import load_task

MAPPING = """\
partner = "union"
[fields.region]
column = "where"
[fields.problems]
separator = ";"
nothing = "none"
"""
SEAL = (sys.executable, "-c", "from grievance.cli import main; main()", "seal")
PEOPLE = 'person = "id"\n[fields.problems]\nseparator = ";"\n'


@pytest.fixture(scope="module")
def round_(signed: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round; sealing does not change it."""
    return signed.copied(tmp_path_factory.mktemp("tables") / "town")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(path: Path, *rows: str) -> tuple[str, str, str, str]:
    (path / "rows.csv").write_text("\n".join(["where,problems,hours,union", *rows, ""]))
    (path / "mapping.toml").write_text(MAPPING)
    return "--table", "rows.csv", "--mapping", "mapping.toml"


def people(*ids: object, name: str = "rows.csv", region: str = "London") -> tuple[str, ...]:
    lines = [f"{one},{region},targets,{number % 9}" for number, one in enumerate(ids)]
    Path(name).write_text("\n".join(["id,region,problems,hours", *lines, ""]))
    Path("people.toml").write_text(PEOPLE)
    return "--table", name, "--mapping", "people.toml"


def count(town: Town, path: str) -> int:
    return len(list(read_reports(path, load_task(town.bundle, trust=[town.digest]))))


def in_a_process(
    town: Town, *words: str, fail: str = "", **how: str
) -> subprocess.CompletedProcess[str]:
    """Type `seal` in a process of its own: nothing of it is a terminal."""
    failing = {"GRIEVANCE_FAILPOINT": fail} if fail else {}
    return subprocess.run(
        [*SEAL, str(town.bundle), "--trust", town.digest, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "GRIEVANCE_HOME": "office", **how, **failing},
    )


# -- whole or not at all -----------------------------------------------------------------------


def test_a_table(round_: Town, tmp_path: Path) -> None:
    words = table(
        tmp_path, "London,targets;overtime,3,nurses", "Wales,none,,carers", "North,,0,nurses"
    )
    ran = round_.seal(*words).done()
    assert "sealed/carers.reports        1" in ran.out
    assert "sealed/nurses.reports        2" in ran.out
    assert "3 rows sealed" in ran.err
    assert sorted(path.name for path in Path("sealed").iterdir()) == [
        "carers.reports",
        "nurses.reports",
    ]


BAD = ("Paris,targets,3,nurses", "London,targets,77,nurses", "London,targets,3,Nurses United!")
SECRETS = ("Paris", "77", "United")


def test_a_refused_row_refuses_the_table(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, "London,targets,3,nurses", *BAD, "Wales,none,1,nurses")
    ran = round_.seal(*words).refused(1, "3 of 5 rows are refused, so nothing is sealed")
    assert not Path("sealed").exists()
    assert "--partial seals the other 2 rows without them" in ran.err
    for line in ("1 row, 20.0%: region: ", "row 3", "row 4", "row 5", "clip = true", "partners = "):
        assert line in ran.err
    told = round_.seal(*words, "--json")
    assert told.code == 1
    assert (told.json["sealed"], told.json["fit"], told.json["files"]) == (0, 2, {})
    assert [(r["field"], r["rows"], r["count"]) for r in told.json["refused"]] == [
        ("region", "3", 1),
        ("hours", "4", 1),
        (None, "5", 1),
    ]
    assert json.loads(told.err)["error"] == "table.rows"
    for secret in SECRETS:
        assert secret not in ran.err + told.out + told.err


def test_the_table_would_be_sealed_without_that_guard(
    round_: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableReading, "require_whole", lambda _: None)
    round_.seal(*table(tmp_path, "London,targets,3,nurses", *BAD)).done()
    assert count(round_, "sealed/nurses.reports") == 1


def test_partial_says_which_rows_remain_and_takes_them_later(round_: Town, tmp_path: Path) -> None:
    home = tmp_path / "office"
    words = table(tmp_path, "London,targets,3,nurses", *BAD, "Wales,none,1,nurses")
    ran = round_.seal(*words, "--partial", home=home).done()
    assert count(round_, "sealed/nurses.reports") == 2
    assert "3 rows remain; sealed/rows-left.txt says which" in ran.err
    left = Path("sealed/rows-left.txt").read_text()
    assert [line for line in left.splitlines() if line[0] != "#"] == ["3", "4", "5"]
    assert not any(secret in left for secret in SECRETS)
    mended = MAPPING + 'other = "bullying"\n[fields.hours]\nblank = ["", "77"]\n'
    mended = mended.replace('column = "where"', 'column = "where"\nother = "North"')
    mended = mended.replace("[fields.region]", 'partners = { "Nurses United!" = "nurses", '
                            '"nurses" = "nurses" }\n[fields.region]')  # fmt: skip
    Path("mapping.toml").write_text(mended)
    ran = round_.seal(*words, "--rows", "sealed/rows-left.txt", "--out", "rest", home=home).done()
    assert count(round_, "rest/nurses.reports") == 3
    assert "2 rows left out that --rows does not name." in ran.err
    assert "region: 1 cell counted as the choice for everything else" in ran.err


def test_rows_that_are_named(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, *["London,targets,3,nurses"] * 9, *BAD)
    round_.seal(*words, "--rows", "2-4,10").done()
    assert count(round_, "sealed/nurses.reports") == 4
    round_.seal(*words, "--rows", "2,99", "--out", "x").refused(1, "1 of 2 rows", "no such row")
    for wrong in ("4-2", "2-", "2--3", "1-99999999", ",", "2;3"):
        round_.seal(*words, "--rows", wrong, "--out", "x").refused(2, "--rows: ")
    round_.seal(*words, "--rows", "no.txt", "--out", "x").refused(2, "no.txt: No such file")


def test_a_dry_run_shows_what_each_label_gets(round_: Town, tmp_path: Path) -> None:
    rows = ["London,targets;overtime,3,nurses", "Wales,none,,nurses", "North,,12,nurses"]
    words = table(tmp_path, *rows)
    Path("mapping.toml").write_text(MAPPING + "[fields.hours]\nclip = true\n")
    ran = round_.seal(*words, "--dry-run", home=tmp_path / "office").done()
    shown = [line.split() for line in ran.out.splitlines()[2:]]
    assert ["problems", "targets", "1"] in shown
    assert ["problems", "(not", "answered)", "1"] in shown
    assert ["problems", "nothing", "ticked", "1"] in shown
    assert ["hours", "(not", "answered)", "1"] in shown
    assert "hours: 1 cell moved to the nearest limit" in ran.err
    told = round_.seal(*words, "--dry-run", "--json", home=tmp_path / "office").done().json
    assert told["fields"]["region"] == {"labels": {"London": 1, "North": 1, "Wales": 1}, "blank": 0}
    assert told["fields"]["hours"] == {"labels": {"a number": 2}, "blank": 1, "clipped": 1}
    # Nothing was written, and nothing is remembered.
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mapping.toml", "rows.csv"]
    table(tmp_path, *rows, *BAD)
    assert "hours" in round_.seal(*words, "--dry-run").out


def test_a_table_in_several_processes(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, *["London,targets,3,nurses"] * 70, "Paris,none,1,nurses")
    ran = round_.seal(*words, "--workers", "2", "--json", "--partial").done()
    assert ran.json["sealed"] == count(round_, "sealed/nurses.reports") == 70


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


# -- what a screen may show --------------------------------------------------------------------


def test_a_wrong_separator_end_to_end(round_: Town) -> None:
    """230 of 303 rows bad: nothing is written, and no cell of anybody appears anywhere."""
    cells = ["sentinel-5150, overtime"] * 230 + ["targets"] * 73
    rows = [f'{n},London,"{cell}",{n % 9}' for n, cell in enumerate(cells)]
    Path("t.csv").write_text("\n".join(["id,region,problems,hours", *rows, ""]))
    Path("m.toml").write_text('[fields.problems]\nseparator = ";"\n')
    words = ("--table", "t.csv", "--mapping", "m.toml")
    apart = in_a_process(round_, *words)
    found = [Ran(apart.returncode, apart.stdout, apart.stderr)]
    for how in (("--json",), ("--dry-run",), ("--dry-run", "--json")):
        found.append(round_.seal(*words, *how))
    for ran in found:
        assert ran.code == 1
        assert "230" in ran.out + ran.err
        assert "75.9%" in ran.err or "0.759" in ran.out
        for cell in ("sentinel", "5150", "Traceback"):
            assert cell not in ran.out + ran.err
    assert not Path("sealed").exists()
    assert in_a_process(round_, *words, "--show-cells").returncode == 2
    Path("m.toml").write_text(
        '[fields.problems]\nseparator = ","\nvalues = { "sentinel-5150" = "bullying" }\n'
    )
    round_.seal(*words, home=Path("office")).done()
    assert count(round_, "sealed/all.reports") == 303
    ran = round_.seal(*words, "--out", "twice", home=Path("office"))
    assert (ran.code, Path("twice").exists()) == (1, False)
    assert "303 of these 303 rows were sealed before" in ran.err


def test_cells_are_shown_on_request_and_on_a_screen_alone(round_: Town, tmp_path: Path) -> None:
    words = table(tmp_path, *[f"Paris {n}\x1b[2J,none,1,nurses" for n in range(9)])
    screen = Terminal()
    quiet = round_.seal(*words, screen=screen)
    assert "Paris" not in quiet.err + quiet.out
    assert "--show-cells shows some of their cells on this screen" in " ".join(quiet.err.split())
    ran = round_.seal(*words, "--show-cells", screen=Terminal())
    assert ran.code == 1
    assert "Paris" not in ran.out
    assert [f"Paris {n}" in ran.err for n in range(9)] == [True] * 5 + [False] * 4
    assert "\x1b[2J" not in ran.err
    for how in (("--json",), ()):
        ran = round_.seal(*words, "--show-cells", *how)
        assert (ran.code, ran.out) == (2, "")
        assert "this is none" in ran.err


def test_a_missing_header_shows_nobody(round_: Town) -> None:
    Path("t.csv").write_text("Sentinel Smith,London,bullying,3\n" * 2)
    Path("m.toml").write_text('[fields.problems]\nseparator = ";"\n')
    words = ("--table", "t.csv", "--mapping", "m.toml")
    ran = round_.seal(*words).refused(2, "there is no column 'region'", "`header_rows = 0`")
    assert not any(cell in ran.err for cell in ("Smith", "London", "bullying"))
    Path("m.toml").write_text(
        "header_rows = 0\n[fields.region]\ncolumn = 2\n"
        '[fields.problems]\ncolumn = 3\nseparator = ";"\n[fields.hours]\ncolumn = 4\n'
    )
    assert round_.seal(*words, "--json").done().json["sealed"] == 2


def test_answers_typed_in_place_of_a_file_are_not_repeated(round_: Town) -> None:
    ran = round_.seal("--answers", '{"region": "London"}').refused(2, "the name of a file")
    assert "London" not in ran.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_answers_with_a_byte_order_mark(round_: Town, encoding: str) -> None:
    Path("a.json").write_bytes('{"region": "London", "hours": 4}'.encode(encoding))
    round_.seal("--answers", "a.json").done()
    if encoding == "utf-8":
        return
    with Path("a.json").open("rb") as file:
        ran = subprocess.run(
            [*SEAL, str(round_.bundle), "--trust", round_.digest, "--answers", "-", "--json"],
            stdin=file,
            capture_output=True,
            check=False,
            timeout=300,
        )
    assert ran.returncode == 0, ran.stderr


def test_a_table_from_a_pipe(round_: Town) -> None:
    words = people(*range(5))
    data = Path("rows.csv").read_bytes()
    for number, place in enumerate(("/dev/stdin", "-")):
        ran = subprocess.run(
            [
                *(*SEAL, str(round_.bundle), "--trust", round_.digest, "--table", place),
                *(*words[2:], "--out", f"out-{number}", "--home", f"office-{number}"),
            ],
            input=data,
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
        assert count(round_, f"out-{number}/all.reports") == 5


# -- each person once --------------------------------------------------------------------------


def seal_people(town: Town, out: str, *ids: object, how: tuple[str, ...] = ()) -> Ran:
    return town.seal(*people(*ids), "--out", out, *how, home=Path("office"))


def test_a_later_longer_table_adds_who_is_new(round_: Town) -> None:
    seal_people(round_, "one", 1, 2, 3).done()
    ran = seal_people(round_, "same", 1, 2, 3).done()
    assert "Nobody is left to seal" in ran.err
    assert not Path("same").exists()
    # Sorted otherwise, with ids as a spreadsheet writes them, and two new people.
    ran = seal_people(round_, "two", 5, "3.0", "2", 1, " a@B.org").done()
    assert "3 rows left out of people who were sealed before in this round." in ran.err
    assert count(round_, "two/all.reports") == 2
    assert "Nobody is left" in seal_people(round_, "x", "A@b.org", 1).done().err
    told = seal_people(round_, "x", 1, 2, how=("--json",)).done().json
    assert (told["sealed"], told["left_out"]) == (0, {"sealed before": 2})
    # Who lost the files says so.
    seal_people(round_, "again", 1, 2, how=("--again",)).done()
    assert count(round_, "again/all.reports") == 2


def test_people_would_count_twice_without_the_memory(
    round_: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_people(round_, "one", 1, 2, 3).done()
    monkeypatch.setattr(SealMemory, "people", lambda _: {})
    monkeypatch.setattr(SealMemory, "overlap", lambda *_: None)
    seal_people(round_, "two", 1, 2, 3).done()
    assert count(round_, "two/all.reports") == 3


def test_one_person_with_too_many_rows_is_refused_by_number(round_: Town) -> None:
    ran = seal_people(round_, "one", 1, 7, 2, 7, "", 7).refused(1, "4 of 6 rows")
    assert "more rows of one person than the plan lets a worker hand in" in ran.err
    assert "rows 3,5,7" in ran.err
    assert "the person column is empty" in ran.err
    assert not Path("one").exists()
    seal_people(round_, "one", 1, 7, 2, 7, "", 7, how=("--rows", "2-4")).done()
    assert count(round_, "one/all.reports") == 3


def test_without_ids_the_same_rows_are_asked_about(round_: Town) -> None:
    words = people(*range(20))
    Path("people.toml").write_text('[fields.problems]\nseparator = ";"\n')
    round_.seal(*words, "--out", "one", home=Path("office")).done()
    longer = people(*range(30))
    Path("people.toml").write_text('[fields.problems]\nseparator = ";"\n')
    office = {"home": Path("office")}
    ran = round_.seal(*longer, "--out", "two", **office)
    ran.refused(1, "20 of these 30 rows were sealed before, cell by cell, into ", "`person`")
    ran = round_.seal(*longer, "--out", "two", keyboard="n\n", **office).refused(1, "not confirmed")
    assert "they would count twice" in ran.err
    assert not Path("two").exists()
    # The mapping does not matter: the people are the same.
    Path("people.toml").write_text(
        '[fields.problems]\nseparator = ";"\n[fields.hours]\nskip = true\n'
    )
    round_.seal(*longer, "--out", "two", **office).refused(1, "20 of these 30 rows")
    round_.seal(*longer, "--out", "two", keyboard="y\n", **office).done()
    people(*range(100, 130))
    Path("people.toml").write_text('[fields.problems]\nseparator = ";"\n')
    round_.seal(*longer, "--out", "others", **office).done()


def test_the_memory_is_keyed_private_and_goes_with_the_round(round_: Town) -> None:
    seal_people(round_, "one", "sentinel-5150", "London-77").done()
    (path,) = Path("office").rglob("*.sqlite")
    assert path.parent.name == round_.round_id
    assert path.stat().st_mode & 0o777 == 0o600
    data = path.read_bytes()
    assert not any(word in data for word in (b"sentinel", b"London", b"targets"))
    forget = (str(round_.bundle), "--trust", round_.digest, "--forget")
    told = type_words("seal", *forget, "--json", home=Path("office")).done().json
    assert told == {"round": round_.round_id, "forgotten": True}
    assert not list(Path("office").rglob("*.sqlite"))
    assert "Nothing is remembered" in type_words("seal", *forget, home=Path("office")).done().err


def test_two_at_once_would_not_know_of_each_other(round_: Town) -> None:
    words = people(1, 2)
    task = load_task(round_.bundle, trust=[round_.digest])
    with SealMemory.open(Path("office/rounds") / round_.round_id, task):
        round_.seal(*words, home=Path("office")).refused(1, "another `grievance seal`", "wait")
    round_.seal(*words, home=Path("office")).done()


def test_a_memory_that_cannot_be_read_stops_everything(round_: Town) -> None:
    words = people(1, 2)
    round_.seal(*words, "--out", "one", home=Path("office")).done()
    (path,) = Path("office").rglob("*.sqlite")
    whole = path.read_bytes()
    for data in (whole[:100], b"\0" * len(whole), whole[:-4096], b"x" * 9000):
        path.write_bytes(data)
        ran = round_.seal(*words, "--out", "two", home=Path("office"))
        assert ran.code == 1, data[:10]
        assert not Path("two").exists()
        assert "hint" in ran.err


STEPS = ("seal.written", "seal.remembered", "seal.moving", "seal.moved", "seal.done")


@pytest.mark.parametrize("label", STEPS)
@pytest.mark.parametrize("action", ["kill", "io"])
def test_a_cut_at_every_step_loses_nobody_and_counts_nobody_twice(
    round_: Town, label: str, action: str
) -> None:
    ids = people("a", "b", "c")
    Path("people.toml").write_text(PEOPLE.replace('"id"', '"id"\npartner = "problems"'))
    if action == "kill":
        cut = in_a_process(round_, *ids, fail=f"{label}:1:kill")
        assert cut.returncode == -9 and "Traceback" not in cut.stderr, cut.stderr
    else:
        failpoints._reached.clear()
        how = {"GRIEVANCE_FAILPOINT": f"{label}:1:io"}
        round_.seal(*ids, home=Path("office"), env=how).refused(1)
    words = people("a", "b", "c", "d")
    round_.seal(*words, "--out", "more", home=Path("office")).done()
    with contextlib.suppress(OSError):
        (Path("sealed") / "targets.reports").rename("first.reports")
    found = [count(round_, p) for p in ("first.reports", "more/all.reports") if Path(p).exists()]
    # Everybody stands in exactly one of the files that have their names.
    assert sum(found) == 4
    assert not list(Path("sealed").glob(".sealing*/*")) or label == "seal.written"


def test_control_a_cut_between_files_and_memory_would_count_twice(
    round_: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(SealMemory, "remember", lambda *_: 0)
        seal_people(round_, "sealed", "a", "b", "c").done()
    seal_people(round_, "more", "a", "b", "c").done()
    assert count(round_, "sealed/all.reports") + count(round_, "more/all.reports") == 6


def test_a_file_that_changes_is_not_sealed(round_: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    from grievance.cli import tables

    words = people(1, 2, 3)
    seal = tables._seal

    def later(*args: object) -> object:
        people(4, 5, 6, 7)
        return seal(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "_seal", later)
    round_.seal(*words).refused(2, "the file changed while it was read", "run the same command")
    assert not Path("sealed").exists()

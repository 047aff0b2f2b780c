"""What stands beside release.json is made again: one digit changed anywhere is found and placed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.crypto.documents import canonical
from grievance.errors import ReleaseError
from grievance.release import Release, check_folder, export
from grievance.release import check as checking

if TYPE_CHECKING:
    from collections.abc import Callable

RELAYS = {"nurses": 1500, "carers": 41}


@pytest.fixture(scope="module")
def release(make_task: Callable, make_release: Callable) -> Release:
    task = make_task(hide_below=30)
    values = {
        name: [500 + 7 * at for at in range(task.layout.statistics[name].num_released)]
        for name in task.allocations
    }
    return make_release(task, values)


@pytest.fixture(scope="module")
def exported(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "results"
    export(release, folder, relays=RELAYS)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "results"))


@pytest.fixture(scope="module")
def remade_once(release: Release) -> Any:
    """What follows from one claim is made once, so that every digit can be tried."""
    known: dict[tuple[bytes, bytes], dict[str, bytes]] = {}
    make = checking.beside.texts

    def texts(claim: Release, made: Any) -> dict[str, bytes]:
        key = (claim.to_bytes(), made.to_bytes())
        if key not in known:
            known[key] = make(claim, made)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking.beside, "texts", texts)
        yield


def text_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".parquet")


def changed_digit(data: bytes, at: int) -> bytes:
    """Another digit in place of the one at `at`."""
    return data[:at] + (b"%d" % ((data[at] - 47) % 10)) + data[at + 1 :]


def digits_of(data: bytes) -> list[int]:
    return [found.start() for found in re.finditer(rb"\d", data)]


def test_an_export_fits(folder: Path, release: Release) -> None:
    found = check_folder(folder)
    assert (found.outcome, found.wrong, found.unchecked) == ("fits", (), ())
    assert found.made_again == len(list(folder.iterdir())) - 2 > 2 * len(release)
    assert "release.json: " in found.line and "beside it made again, and the same" in found.line
    # Whoever passes on a part of it passes on what fits.
    (folder / "tables.csv").unlink()
    assert check_folder(folder).outcome == "fits"


def test_a_claim_alone_fits(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "release.json":
            path.unlink()
    found = check_folder(folder)
    assert (found.outcome, found.made_again) == ("fits", 0)


def test_it_is_made_again_to_the_byte(exported: Path, tmp_path: Path) -> None:
    again = Release.load(exported / "release.json")
    export(again, tmp_path / "again", relays=dict(reversed(RELAYS.items())))
    for name in text_files(exported):
        assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes(), name


def test_one_digit_in_any_text_is_found_and_placed(
    exported: Path, tmp_path: Path, remade_once: None
) -> None:
    """The first, the last, and every 400th digit between of each file; no change passes."""
    folder = Path(shutil.copytree(exported, tmp_path / "results"))
    for name in text_files(folder):
        data = (folder / name).read_bytes()
        places = digits_of(data)
        for at in sorted({places[0], places[-1], *places[::400]}):
            (folder / name).write_bytes(changed_digit(data, at))
            found = check_folder(folder)
            assert found.outcome != "fits", (name, at)
            if name not in ("release.json", "made-from.json"):
                line = data[:at].count(b"\n") + 1
                of = "release.json" + " and made-from.json" * (name == "release.html")
                assert found.wrong == (f"{name}, line {line}: it does not follow from {of}",)
        (folder / name).write_bytes(data)
    assert check_folder(folder).outcome == "fits"


@settings(max_examples=40, deadline=None)
@given(picked=st.data())
def test_any_digit(
    picked: st.DataObject,
    exported: Path,
    tmp_path_factory: pytest.TempPathFactory,
    remade_once: None,
) -> None:
    name = picked.draw(st.sampled_from(text_files(exported)))
    data = (exported / name).read_bytes()
    at = picked.draw(st.sampled_from(digits_of(data)))
    folder = Path(shutil.copytree(exported, tmp_path_factory.mktemp("changed") / "results"))
    (folder / name).write_bytes(changed_digit(data, at))
    found = check_folder(folder)
    assert found.outcome != "fits"
    assert name in found.line or found.line.startswith("not checked: tables of version")


def test_a_number_of_the_claim_alone(folder: Path) -> None:
    """A release.json that is whole in itself, but not the one the tables were made from."""
    value = json.loads((folder / "release.json").read_text("utf-8"))
    value["statistics"][-1]["parts"][0]["values"][0] += 1
    (folder / "release.json").write_bytes(canonical(value))
    Release.load(folder / "release.json")
    found = check_folder(folder)
    assert found.outcome == "does not fit"
    assert found.wrong[0] == "made-from.json, line 1: it was written beside another release.json"
    assert any(line.startswith("tables.csv, line ") for line in found.wrong)


def test_cut_short_and_longer(folder: Path) -> None:
    data = (folder / "tables.csv").read_bytes()
    lines = data.count(b"\n")
    for changed, line in ((data[:-3], lines), (data + b"more,1\r\n", lines + 1), (b"", 1)):
        (folder / "tables.csv").write_bytes(changed)
        (only,) = check_folder(folder).wrong
        assert only.startswith(f"tables.csv, line {line}: ")


def changed_number(table: pa.Table, by: float) -> pa.Table:
    at = table.schema.get_field_index("estimate")
    return table.set_column(at, "estimate", pc.add(table["estimate"], by))


def test_parquet_by_content(folder: Path) -> None:
    path = folder / "regions.parquet"
    table = pq.read_table(path)
    # Other bytes, same content: another layout, and the last digits that machines differ in.
    pq.write_table(table, path, compression="none", row_group_size=1, use_dictionary=False)
    assert check_folder(folder).outcome == "fits"
    pq.write_table(changed_number(table, 1e-9), path)
    assert check_folder(folder).outcome == "fits"
    pq.write_table(changed_number(table, 1e-5), path)
    assert check_folder(folder).wrong == (
        "regions.parquet, row 1: it does not follow from release.json",
    )
    dropped, words = table.drop_columns(["note"]), table.replace_schema_metadata({"made_from": "x"})
    for other in (dropped, words, table.slice(1), pa.concat_tables([table, table.slice(1)])):
        pq.write_table(other, path)
        (only,) = check_folder(folder).wrong
        assert only.startswith("regions.parquet: it")
    for data in (b"", b"PAR1", path.read_bytes()[:-9], b"PAR1" + bytes(400) + b"PAR1"):
        path.write_bytes(data)
        (only,) = check_folder(folder).wrong
        assert only.startswith("regions.parquet: it does not read as Parquet")


def test_without_pyarrow_texts_are_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = check_folder(folder)
    assert found.outcome == "not checked" and not found.wrong
    assert all("pyarrow" in line for line in found.unchecked)
    (folder / "tables.csv").write_bytes(b"")
    assert check_folder(folder).outcome == "does not fit"


@pytest.mark.parametrize("name", ["release.json", "made-from.json"])
def test_tables_of_another_version(folder: Path, name: str) -> None:
    value = json.loads((folder / name).read_text("utf-8"))
    (folder / name).write_bytes(canonical({**value, "library": "0.0.9"}))
    (folder / "tables.csv").write_bytes(b"1")
    found = check_folder(folder)
    assert found.line == "not checked: tables of version 0.0.9"
    for other in (None, "", "0.1\n: fits", "x" * 65, 1):
        (folder / name).write_bytes(canonical({**value, "library": other}))
        found = check_folder(folder)
        assert found.wrong == (f"{name}, line 1: it names no version of this library",)


def test_what_is_not_there_or_nobody_wrote(folder: Path) -> None:
    (folder / "extra.csv").write_text("a,b\r\n")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "inner").mkdir()
    found = check_folder(folder)
    assert found.outcome == "not checked"
    assert [line.split(",")[0] for line in found.unchecked] == ["'extra.csv'", "'inner'"]
    for name in ("made-from.json", "release.json"):
        (folder / name).unlink()
        found = check_folder(folder)
        assert found.unchecked == (f"{name} cannot be read (No such file or directory)",)
        (folder / name).mkdir()
        assert check_folder(folder).unchecked == (f"{name} is no file",)
    with pytest.raises(ReleaseError, match="no folder"):
        check_folder(folder / "nothing")


def test_malformed_claims(folder: Path) -> None:
    for name in ("made-from.json", "release.json"):
        good = (folder / name).read_bytes()
        value = json.loads(good)
        broken = [b"", b"{}", b"[]", good + b" ", canonical({**value, "more": 1})]
        broken.append(canonical({**value, "format": "grievance/1 release"}))
        for data in broken:
            (folder / name).write_bytes(data)
            (only,) = check_folder(folder).wrong
            assert only.startswith(f"{name}, line 1: "), data[:40]
        (folder / name).write_bytes(good)
    value = json.loads((folder / "made-from.json").read_text("utf-8"))
    for relays in ({"nurses": -1}, {"nurses": True}, {"nur ses": 1}, []):
        (folder / "made-from.json").write_bytes(canonical({**value, "relays": relays}))
        assert check_folder(folder).wrong[0].startswith("made-from.json, line 1: it.relays ")


def test_against_a_pool(folder: Path, release: Release, make_release: Callable) -> None:
    assert check_folder(folder, lambda _: (release, RELAYS)).outcome == "fits"
    other = make_release(release.task, {n: [1 + v for v in x] for n, x in release.values.items()})
    found = check_folder(folder, lambda _: (other, RELAYS))
    assert found.wrong == ("release.json, line 1: the pool says otherwise: statistics",)
    found = check_folder(folder, lambda _: (release, {"nurses": 1}))
    assert found.wrong == ("made-from.json, line 1: the pool says otherwise: relays",)


def test_control_without_the_comparison_every_change_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tables.csv").write_bytes(changed_digit(b"1", 0))
    assert check_folder(folder).outcome == "does not fit"

    def trusting(look: Any, name: str, expected: bytes) -> None:
        look.same += 1

    monkeypatch.setattr(checking._Look, "compare_text", trusting)
    assert check_folder(folder).outcome == "fits"

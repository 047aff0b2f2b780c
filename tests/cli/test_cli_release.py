"""Releases: propose, approve, decline, show, export; once, and readable by anybody with trust."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shutil
from pathlib import Path

import pytest
from cli_shell import Town, type_words

from grievance.release import Release, release_schema


def test_from_proposal_to_tables(collected: Town) -> None:
    collected.type("north", "release", "show").refused(1, "hint: ")
    collected.close()
    proposed = collected.type("north", "release", "propose", "--yes").done()
    release_id = proposed.out.strip()
    assert f"south now runs: grievance release approve {release_id}" in proposed.err
    collected.type("north", "release", "show").refused(3, "is not complete", "hint: ")
    approved = collected.type("south", "release", "approve", release_id[:6], "--yes").done()
    for said in (proposed.err, approved.err):
        assert "Released: problems_by_region, hours_mean." in said
        assert (
            "more rounds like this one fit into the campaign.\nIn rho: problems_by_region " in said
        )
        assert "over 100 sealed reports, blank ones that partners add as cover" in said.lower()
    assert approved.out == ""
    collected.type("north", "release", "export", str(collected.folder / "x")).refused(
        3, "not complete"
    )
    collected.settle()
    shown = collected.type("south", "release", "show").done()
    assert "people answered.\n100 sealed reports count, blank ones" in shown.out or (
        shown.out.startswith("How many people answered is not known: the noise is too large.")
    )
    assert "problems_by_region: What is a problem? / Where do you work?" in shown.out
    assert "hours_mean: " in shown.out
    assert shown.err == ""


def test_too_early(collected: Town) -> None:
    early = collected.type("north", "release", "propose", keyboard="y\n")
    early.refused(3, "is not closed yet", "grievance round close")
    assert "Released:" not in early.err
    inbox = collected.fill(3)
    collected.type("nurses", "relay", str(inbox), "--trust", collected.digest).done()
    collected.type("north", "round", "close", "--yes").done()
    collected.type("north", "release", "propose", "--yes").refused(3, "not all batches", "sync")
    collected.settle()
    collected.type("north", "release", "propose", "--yes").done()


def test_consent(collected: Town) -> None:
    collected.close()
    collected.type("north", "release", "propose").refused(2, "needs a person's consent")
    collected.type("north", "release", "propose", keyboard="no\n").refused(1, "not confirmed")
    collected.type("north", "release", "propose", keyboard="y\n").done()
    for answer in ("approve", "decline"):
        collected.type("south", "release", answer).refused(2, "needs a person's consent")
        collected.type("south", "release", answer, keyboard="\n").refused(1, "not confirmed")
    collected.type("south", "release", "approve", keyboard="y\n").done()


def test_some_statistics_in_json(collected: Town) -> None:
    collected.close()
    collected.type("north", "release", "propose", "hours", "--yes").refused(
        1, "no statistic called 'hours'", "hint: it has: problems_by_region"
    )
    found = (
        collected.type("north", "release", "propose", "hours_mean", "--yes", "--json").done().json
    )
    assert found["statistics"] == ["hours_mean"]
    assert found["missing"] == ["south"]
    words = ("release", "approve", found["release"], "--yes", "--json")
    answered = collected.type("south", *words).done().json
    assert answered == {"release": found["release"], "answer": "approve"}
    collected.settle()
    assert "problems_by_region" not in collected.type("north", "release", "show").done().out
    # The rest may be released later; then one has to say which.
    collected.type("north", "release", "propose", "--yes").refused(1, "released before", "hint: ")
    rest = collected.type("north", "release", "propose", "problems_by_region", "--yes").done()
    # South answers the one that waits for its answer, without having to say which.
    assert rest.out.strip() in collected.type("south", "release", "approve", "--yes").done().err
    collected.settle()
    collected.type("north", "release", "show").refused(1, "hint: name one of")
    shown = collected.type("north", "release", "show", rest.out.strip()).done()
    assert "problems_by_region" in shown.out


def test_declining(collected: Town) -> None:
    collected.close()
    first = collected.type("north", "release", "propose", "--yes").done().out.strip()
    collected.type("south", "release", "decline", "--yes", "--reason", "x" * 9999).refused(
        2, "at most"
    )
    words = ("release", "decline", first, "--yes", "--reason", "not yet", "--json")
    assert collected.type("south", *words).done().json == {"release": first, "answer": "decline"}
    collected.type("south", "release", "approve", first, "--yes").refused(1, "an answer stands")
    collected.settle()
    assert f"release {first}: declined by south" in collected.type("north", "status").done().out
    second = collected.type("north", "release", "propose", "--yes").done().out.strip()
    assert second != first
    collected.type("south", "release", "approve", second, "--yes").done()
    # Approving twice is no error, and asks nothing.
    assert "south approves" in collected.type("south", "release", "approve", second).done().err
    collected.settle()
    collected.type("north", "release", "show").done()


def test_asking_twice_is_refused(released: Town) -> None:
    released.type("north", "release", "propose", "--yes").refused(
        1, "each statistic is released once per round", "grievance release show"
    )


def test_only_aggregators_propose_and_answer(released: Town) -> None:
    for words in (("propose",), ("approve",), ("decline",)):
        released.type("nurses", "release", *words, "--yes").refused(2, "has not signed")


def test_a_release_that_is_not_there(released: Town) -> None:
    released.type("north", "release", "show", "0" * 16).refused(1, "hint: ")
    released.type("south", "release", "approve", "0" * 16, "--yes").refused(1, "hint: there are")


def test_show_in_json(released: Town) -> None:
    ran = released.type("north", "release", "show", "--json").done()
    assert ran.json["accepted"] == 100
    assert ran.err == ""


def test_reading_with_the_pool_and_trust_alone(released: Town, tmp_path: Path) -> None:
    for trust in ([released.digest], [released.prints["north"], released.prints["south"]]):
        words = ["--pool", str(released.pool), *(w for t in trust for w in ("--trust", t))]
        shown = type_words("release", "show", *words, home=tmp_path / "nobody").done()
        assert "problems_by_region" in shown.out
    ran = type_words("release", "export", str(tmp_path / "out"), *words, "--json").done()
    assert ran.json["rehearsal"] is False
    type_words("release", "show", "--pool", str(released.pool)).refused(1, "nothing says")
    type_words("release", "show", "--pool", str(tmp_path / "x"), *words[2:]).refused(1, "no pool")
    assert not (tmp_path / "nobody").exists()


def test_relays_read_what_they_trust(released: Town, tmp_path: Path) -> None:
    stranger = tmp_path / "carers"
    shutil.copytree(released.home("carers"), stranger)
    (stranger / "known.json").unlink()
    type_words("release", "show", home=stranger).refused(1, "nothing says")
    released.type("nurses", "release", "show").done()


def test_export(released: Town, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ran = released.type("south", "release", "export", str(folder)).done()
    written = [Path(line) for line in ran.out.splitlines()]
    assert all(path.is_file() for path in written)
    assert {p.name for p in written} >= {"release.json", "tables.csv", "hours_mean.parquet"}
    with (folder / "tables.csv").open(encoding="utf-8", newline="") as file:
        assert {row["statistic"] for row in csv.DictReader(file)} == {
            "problems_by_region",
            "hours_mean",
        }
    release = Release.load(folder / "release.json")
    page = (folder / "release.html").read_text(encoding="utf-8")
    assert release.task.short_digest in page
    assert re.search(r"<bdi>nurses</bdi>: [\d,]+ sealed reports", page)
    shown = released.type("north", "release", "show", "--json").json
    assert release.to_json() == json.loads(json.dumps(shown))


def test_export_writes_over_exports_only(released: Town, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    released.type("south", "release", "export", str(folder)).done()
    released.type("south", "release", "export", str(folder)).refused(1, "not empty", "hint: ")
    released.type("south", "release", "export", str(folder), "--overwrite").done()
    (folder / "thesis.doc").write_text("precious")
    released.type("south", "release", "export", str(folder), "--overwrite").refused(
        1, "something other"
    )
    assert (folder / "thesis.doc").read_text() == "precious"


@pytest.mark.parametrize("minimum", [1000])
def test_too_few_reports(town: Town, minimum: int) -> None:
    plan = town.plan.read_text("utf-8")
    town.plan.write_text(plan.replace("minimum_reports = 10", f"minimum_reports = {minimum}"))
    town.open("nurses")
    town.collect()
    town.close()
    town.type("north", "release", "propose", "--yes").refused(
        1, "only 100 sealed reports count, cover included; the plan wants 1000"
    )


def test_the_schema_of_release_json(tmp_path: Path) -> None:
    """Without a home, a pool or a round: it is about the file alone."""
    printed = type_words("release", "schema", home=tmp_path / "nobody").done()
    assert json.loads(printed.out) == release_schema()
    assert printed.err == ""
    target = tmp_path / "release.schema.json"
    written = type_words("release", "schema", "--output", str(target)).done()
    assert written.out == ""
    assert str(target) in written.err
    assert target.read_text(encoding="utf-8") == printed.out
    type_words("release", "schema", "-o", str(target)).refused(2, "exists already")
    assert target.read_text(encoding="utf-8") == printed.out
    type_words("release", "schema", "-o", str(tmp_path / "no" / "x")).refused(2, "No such file")


def test_an_exported_release_follows_the_printed_schema(released: Town, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    released.type("north", "release", "export", str(tmp_path / "tables")).done()
    found = json.loads((tmp_path / "tables" / "release.json").read_text(encoding="utf-8"))
    schema = json.loads(type_words("release", "schema").done().out)
    jsonschema.Draft202012Validator(schema).validate(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**found, "more": 1})


def test_nothing_is_shown_that_nobody_cosigned(
    released: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished pool without heads and cosignatures: every reader waits, in the same words."""
    pool = tmp_path / "pool"
    shutil.copytree(released.pool, pool)
    for path in [*pool.glob("ledger/*/*.cosignature"), *pool.glob("ledger/north/*.checkpoint")]:
        path.unlink()
    trust = ("--trust", released.digest)
    read = ("--pool", str(pool), *trust)
    heads = "waiting for north to sign the head of its ledger"
    words = "waiting for the cosignature of south on the ledger of north"
    for command in (("show",), ("export", str(tmp_path / "out"))):
        ran = released.type("nurses", "release", *command, *read)
        assert ran.code == 3
        assert heads in ran.err and words in ran.err
    audited = released.type("nurses", "audit", str(pool), *trust)
    assert audited.code == 3 and "INCOMPLETE" in audited.out
    assert heads in audited.out and words in audited.out
    # Control: who does not ask for them shows tables from such a pool.
    state = importlib.import_module("grievance.history.state")
    monkeypatch.setattr(state, "missing_cosignatures", lambda *_: [])
    monkeypatch.setattr(state, "quorum_of", lambda _: 0)
    assert "region" in released.type("nurses", "release", "show", *read).done().out

"""The commands `grievance audit` and `grievance counted`: words, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_world import Pool, leaves_of
from defects_order import late_batch

from grievance.audit import RULES
from grievance.cli.app import run
from grievance.crypto.documents import canonical, sign_document
from grievance.pool.store import LocalStore
from grievance.release import collect


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def trust(pool: Pool) -> list[str]:
    return [word for text in pool.trust for word in ("--trust", text)]


def test_a_pass_is_told_in_words(made: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "audit", str(made.folder), *trust(made))
    assert (code, err) == (0, "")
    assert "PASS" in out.splitlines()[0]
    assert "What no reader of a pool can check" in out and "noise honestly" in out
    assert "1 round" in out and "2 batches" in out


def test_untrusted_shows_what_to_compare(made: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "audit", str(made.folder))
    assert code == 1 and "UNTRUSTED" in out
    assert out.splitlines()[1].startswith("Nobody vouched for these keys.")
    for entry in made.task.aggregators:
        assert entry.member.fingerprint in out
    assert made.task.short_digest in out


def test_findings_name_file_rule_and_next_step(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.write("partners/notes.txt", b"x")
    code, out, _ = call(capsys, "audit", str(pool.folder), *trust(pool))
    assert code == 0 and "PASS" in out
    assert "partners/notes.txt" in out and "file.unknown: not ours" in out
    path = pool.paths.decide(pool.batch_places()[0], "south")
    body = pool.body(path) | {"accepted": 1}
    pool.write("again.txt", sign_document("grievance/2 decision", body, pool.keys["south"]))
    code, out, _ = call(capsys, "audit", str(pool.folder), *trust(pool))
    assert code == 1 and "FAIL" in out and "signed by: south" in out
    rule = RULES["file.twice"]
    for text in ("again.txt", rule.name, rule.holds, rule.advice, rule.page):
        assert text in out


def test_incomplete_has_a_code_of_its_own(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    pool.without_ledger()
    code, out, _ = call(capsys, "audit", str(pool.folder), *trust(pool))
    assert code == 3 and "INCOMPLETE" in out and "yet to come" in out


def test_json_holds_everything(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    pool.write("partners/notes.txt", b"x")
    code, out, _ = call(capsys, "audit", str(pool.folder), *trust(pool), "--json")
    value = json.loads(out)
    assert code == 0 and value["verdict"] == "pass" and value["vouched"] is True
    assert value["findings"] == [
        {
            "severity": "note",
            "rule": "file.unknown",
            "file": "partners/notes.txt",
            "message": value["findings"][0]["message"],
        }
    ]
    assert set(value) >= {"counts", "campaigns", "not_checked", "seconds", "keys", "rounds"}
    assert value["counts"]["rules"] == len(RULES)


def test_a_round_and_a_release_can_be_named(
    campaign: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = campaign.tasks[0]
    release = collect(LocalStore(campaign.folder), first)
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "release.json").write_bytes(release.to_bytes())
    words = ("--round", first.round_id[:-2], "--release", str(folder))
    assert call(capsys, "audit", str(campaign.folder), *trust(campaign), *words)[0] == 0
    value = release.to_json()
    value["accepted"] += 1
    (folder / "release.json").write_bytes(canonical(value))
    code, out, _ = call(capsys, "audit", str(campaign.folder), *trust(campaign), *words)
    assert code == 1 and "release.sum" in out
    assert call(capsys, "audit", str(campaign.folder), "--round", "nothing")[0] == 2


def test_mistyped_words(made: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "audit", str(tmp_path / "nowhere"))[0] == 1
    assert call(capsys, "audit", str(made.folder), "--trust", "nonsense")[0] == 1
    assert call(capsys, "counted", "nonsense", "--pool", str(made.folder))[0] == 2


def test_counted_by_receipt_and_by_report(
    made: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = leaves_of(made, made.batch_places()[0])[0][32:].hex()
    words = ("--pool", str(made.folder), *trust(made))
    code, out, _ = call(capsys, "counted", receipt, *words)
    assert code == 0 and out.startswith("counted")
    code, out, _ = call(capsys, "counted", receipt, *words, "--json")
    value = json.loads(out)
    assert code == 0 and value["status"] == "counted" and value["proof"]["hashes"]
    code, out, _ = call(capsys, "counted", receipt, "--pool", str(made.folder))
    assert code == 1 and "Nobody vouched" in out
    code, out, _ = call(capsys, "counted", "00" * 32, *words)
    assert code == 1 and out.startswith("absent")


def test_counted_takes_a_report_file(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    from grievance.client import seal, write_report

    place = pool.folder.parent / "mine.report"
    write_report(place, seal(pool.task, {"region": "North"}))
    words = ("--pool", str(pool.folder), *trust(pool))
    code, out, _ = call(capsys, "counted", str(place), *words)
    assert code == 1 and out.startswith("absent")
    place.write_bytes(b"x")
    assert call(capsys, "counted", str(place), *words)[0] == 2


def test_counted_says_what_waits_and_what_is_refused(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    late_batch(pool)
    receipt = leaves_of(pool, pool.batch_places()[0])[0][32:].hex()
    words = ("--pool", str(pool.folder), *trust(pool))
    pool.without_close()
    pool.remove(pool.paths.decide(pool.batch_places()[0], "south"))
    code, out, _ = call(capsys, "counted", receipt, *words)
    assert code == 3 and out.startswith("waiting") and "south" in out


def test_the_verdict_as_a_page(
    pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "verdict.html"
    code, out, err = call(
        capsys, "audit", str(pool.folder), *trust(pool), "--html", str(page), "--json"
    )
    assert code == 0 and json.loads(out)["verdict"] == "pass" and "verdict.html" in err
    assert page.read_text("utf-8").startswith("<!doctype html>")
    pool.write("partners/notes.txt", b"x")
    code, _, _ = call(capsys, "audit", str(pool.folder), *trust(pool), "--html", str(page))
    text = page.read_text("utf-8")
    assert code == 0 and "partners/notes.txt" in text
    # The page is for others: where the pool lies on this machine is not in it.
    assert str(pool.folder) not in text and str(tmp_path) not in text and pool.folder.name in text
    nowhere = str(tmp_path / "nowhere" / "x.html")
    code, _, err = call(capsys, "audit", str(pool.folder), "--html", nowhere)
    assert code == 1 and "x.html" in err


def test_a_page_about_a_published_file_names_no_place_on_this_machine(
    pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = collect(LocalStore(pool.folder), pool.task).to_json() | {"accepted": 1}
    folder = tmp_path / "private" / "shown"
    folder.mkdir(parents=True)
    (folder / "release.json").write_bytes(canonical(value))
    page = tmp_path / "verdict.html"
    words = ("--release", str(folder), "--html", str(page))
    code, out, _ = call(capsys, "audit", str(pool.folder), *trust(pool), *words)
    text = page.read_text("utf-8")
    assert code == 1 and "shown/release.json" in text and "private" not in text
    assert "The published file that you named is not what this pool says" in out


def test_a_bundle_is_made_and_audited(
    made: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, light = str(tmp_path / "a.zip"), str(tmp_path / "light.zip")
    code, out, err = call(capsys, "audit", str(made.folder), *trust(made), "--bundle", bundle)
    assert code == 0 and "PASS" in out and "SHA-256" in err and bundle in err
    code, out, _ = call(capsys, "audit", bundle, *trust(made))
    assert code == 0 and "PASS" in out
    code, _, err = call(capsys, "audit", str(made.folder), "--bundle", bundle)
    assert code == 2 and "exists already" in err
    words = ("audit", bundle, *trust(made), "--bundle", light, "--without-batches")
    code, _, err = call(capsys, *words)
    assert code == 0 and "6 files left out" in err
    code, out, _ = call(capsys, "audit", light, *trust(made))
    assert code == 3 and "What could not be checked" in out and "bundle.left-out" in out
    code, _, err = call(capsys, "audit", bundle, "--without-batches")
    assert code == 2 and "--bundle" in err


def test_counted_reads_a_bundle(
    made: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, light = str(tmp_path / "a.zip"), str(tmp_path / "light.zip")
    call(capsys, "audit", str(made.folder), "--bundle", bundle)
    call(capsys, "audit", str(made.folder), "--bundle", light, "--without-batches")
    receipt = leaves_of(made, made.batch_places()[0])[0][32:].hex()
    code, out, _ = call(capsys, "counted", receipt, "--pool", bundle, *trust(made))
    assert code == 0 and out.startswith("counted")
    code, out, err = call(capsys, "counted", receipt, "--pool", light, *trust(made))
    assert code == 1 and not out and "without its batches" in err

"""Bundles: the same findings as in the pool, the same bytes every time, nothing else is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_defects import Defect
from audit_world import Pool, faults, leaves_of
from bundle_world import members_of, resum
from test_audit_rules import DEFECTS, spoilt
from test_bundle_archive import build

from grievance.audit import audit_pool, bundling, find_report
from grievance.audit.bundling import make_bundle
from grievance.audit.files import PoolFiles
from grievance.errors import PoolError, UsageError
from grievance.pool.bundle import README, SUMS, BundleStore, LeftOut, has_place
from grievance.pool.layout import (
    BackupPaths,
    RoundPaths,
    checkpoint_path,
    cosignature_path,
    fork_path,
    ledger_path,
    mailbox_path,
    partner_path,
    share_path,
)
from grievance.pool.store import LocalStore, open_store

# The same as the pool.


FIRST = {defect.rule: defect for defect in reversed(DEFECTS)}
"""One defect of every rule; the others are slow."""


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(
            d, marks=() if FIRST[d.rule] is d else pytest.mark.slow, id=f"{d.rule}: {d.name}"
        )
        for d in DEFECTS
    ],
)
def test_a_bundle_gives_the_findings_of_its_pool(
    defect: Defect, base: Callable[[str], Pool], tmp_path: Path
) -> None:
    pool, anchors = spoilt(defect, base, tmp_path / "copy")
    here = pool.audit(trust=anchors)
    make_bundle(pool.folder, tmp_path / "a.zip")
    there = audit_pool(tmp_path / "a.zip", trust=anchors)
    if defect.name == "a-second-decision-under-another-name":
        # What may be signed and has no place in a bundle is not passed over in silence.
        assert there.verdict == "incomplete"
        assert "file.unread" in {f.rule for f in there.findings}
        return
    assert there.findings == here.findings
    assert (there.verdict, there.counts, there.details, there.campaigns) == (
        here.verdict,
        here.counts,
        here.details,
        here.campaigns,
    )
    assert there.bundle.startswith("grievance") and not here.bundle


def test_odd_files_are_told_and_left_out(pool: Pool, tmp_path: Path) -> None:
    (pool.folder / "..hidden").write_bytes(b"")
    (pool.folder / "partners" / "new\nline\u202e").write_bytes(b"")
    (pool.folder / "partners" / "\udcff").write_bytes(b"")
    (pool.folder / ".stfolder").mkdir()
    os.mkfifo(pool.folder / "pipe")
    pool.write("partners/notes.txt", b"secret of a stranger")
    pool.write("partners/.north.json.0123456789ab", b"{")
    make_bundle(pool.folder, tmp_path / "a.zip")
    assert b"secret of a stranger" not in (tmp_path / "a.zip").read_bytes()
    here, there = pool.audit(), audit_pool(tmp_path / "a.zip", trust=pool.trust)
    assert there.findings == here.findings and len(here.findings) == 6


def test_a_bundle_is_a_pool_to_all_readers(made: Pool, made_bundle: Path) -> None:
    store = open_store(made_bundle)
    for path in made.files():
        assert store.size(path) == len(made.read(path))
        assert bytes(store.view(path, 1 << 20) or b"") == made.read(path)
    folders = {"", "nowhere"} | {path.rsplit("/", 1)[0] for path in made.files()}
    for folder in sorted(folders):
        place = made.folder / folder
        expected = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
        assert store.names(folder) == expected
    assert store.size("nowhere") is None and store.view("nowhere", 1) is None
    with pytest.raises(PoolError, match="larger"):
        store.view(made.paths.task, 10)
    receipt = leaves_of(made, made.batch_places()[0])[0][32:]
    found = find_report(made_bundle, receipt, trust=made.trust)
    assert (found.status, found.vouched) == ("counted", True)


def test_nothing_can_be_written_into_a_bundle(made_bundle: Path) -> None:
    before, store = made_bundle.read_bytes(), open_store(made_bundle)
    for act in (lambda: store.put("partners/x.json", b"{}"), lambda: store.delete("x")):
        with pytest.raises(PoolError) as stop:
            act()
        assert stop.value.code == "bundle.fixed"
    assert made_bundle.read_bytes() == before


def test_an_unpacked_bundle_is_the_pool(made: Pool, made_bundle: Path, tmp_path: Path) -> None:
    for name, data in members_of(made_bundle).items():
        place = tmp_path / "unpacked" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    if shutil.which("sha256sum") is not None:  # as everywhere but on some Macs
        done = subprocess.run(
            ["sha256sum", "-c", "--quiet", SUMS], cwd=tmp_path / "unpacked", check=False
        )
        assert done.returncode == 0
    report = audit_pool(tmp_path / "unpacked" / "pool", trust=made.trust)
    assert report.findings == made.audit().findings
    text = (tmp_path / "unpacked" / README).read_text("ascii")
    assert "sha256sum -c" in text and "grievance audit" in text and "{" in text


# The same bytes.


def test_the_same_pool_gives_the_same_bytes(made: Pool, tmp_path: Path) -> None:
    first = make_bundle(made.folder, tmp_path / "a.zip")
    other = made.copy(tmp_path / "elsewhere")
    for path in other.files():
        os.utime(other.file(path), (0, 0))
        other.file(path).chmod(0o600)
    second = make_bundle(other.folder, tmp_path / "b.zip")
    third = make_bundle(tmp_path / "a.zip", tmp_path / "c.zip")
    data = (tmp_path / "a.zip").read_bytes()
    assert data == (tmp_path / "b.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()
    assert first.sha256 == second.sha256 == third.sha256 == hashlib.sha256(data).hexdigest()
    assert (first.files, first.left_out, first.size) == (len(made.files()), 0, len(data))


def test_a_bundle_overwrites_nothing_and_lies_outside(made: Pool, tmp_path: Path) -> None:
    place = tmp_path / "there.zip"
    place.write_bytes(b"precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (place, tmp_path / "dangling", made.folder / "a.zip"):
        with pytest.raises(UsageError):
            make_bundle(made.folder, target)
    with pytest.raises(PoolError) as stop:
        make_bundle(made.folder, tmp_path / "no-such-folder" / "a.zip")
    assert stop.value.code == "bundle.write"
    assert place.read_bytes() == b"precious"
    assert {path.name for path in tmp_path.iterdir()} == {"there.zip", "dangling"}


def test_a_file_that_changes_meanwhile_is_noticed(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pool.paths.task
    for change in (lambda d: d + b"x", lambda d: d[:-1], lambda d: d[:-1] + b"x"):
        data = pool.read(path)

        def progress(what: str, done: int, total: int, then: bytes = change(data)) -> None:
            if what == "archiving" and done == 0:
                pool.write(path, then)

        with pytest.raises(PoolError) as stop:
            make_bundle(pool.folder, tmp_path / "a.zip", progress=progress)
        assert stop.value.code == "bundle.changed" and path in stop.value.message
        assert not (tmp_path / "a.zip").exists()
        pool.write(path, data)


# Without the sealed files.


def test_a_light_bundle_says_what_it_cannot_show(made: Pool, tmp_path: Path) -> None:
    facts = make_bundle(made.folder, tmp_path / "light.zip", without_batches=True)
    report = audit_pool(tmp_path / "light.zip", trust=made.trust)
    assert report.verdict == "incomplete" and "without its batches" in report.sentence
    assert {(f.severity, f.rule, f.file) for f in report.findings} == {
        ("unchecked", "bundle.left-out", made.paths.batches),
        ("unchecked", "bundle.left-out", f"{made.paths.folder}/verify"),
    }
    assert "no report counts twice" in report.findings[0].message
    whole = made.audit().counts
    assert (report.counts.accepted, report.counts.releases) == (whole.accepted, whole.releases)
    sealed = [p for p in made.files() if "/batches/" in p or "/verify/" in p]
    assert facts.left_out == len(sealed) == 6 and facts.files == len(made.files()) - 6
    manifest = BundleStore(tmp_path / "light.zip").manifest
    for path in sealed:
        data = made.read(path)
        digest = hashlib.sha256(data).hexdigest()
        assert manifest.left_out[path] == LeftOut(len(data), "sealed", digest)
    with pytest.raises(PoolError, match="without its batches"):
        find_report(tmp_path / "light.zip", bytes(32))


def test_a_light_bundle_still_shows_what_aggregators_did(pool: Pool, tmp_path: Path) -> None:
    """Decisions, ledgers and releases are checked as ever; a root that was made up is not seen."""
    import defects_releases

    defects_releases.a_release_over_other_reports(pool)
    make_bundle(pool.folder, tmp_path / "light.zip", without_batches=True)
    report = audit_pool(tmp_path / "light.zip", trust=pool.trust)
    assert faults(report) == {"release.root"} and report.verdict == "fail"


def test_a_light_bundle_of_a_light_bundle_keeps_the_list(made: Pool, tmp_path: Path) -> None:
    make_bundle(made.folder, tmp_path / "a.zip", without_batches=True)
    make_bundle(tmp_path / "a.zip", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_batch_that_is_simply_gone_is_missed_in_a_bundle_too(
    made_bundle: Path, made: Pool, tmp_path: Path
) -> None:
    """Whoever leaves a file out without saying so does not get away with it."""
    files = members_of(made_bundle)
    gone = next(name for name in files if "/batches/nurses-" in name)
    del files[gone]
    (tmp_path / "b.zip").write_bytes(build(resum(files)))
    report = audit_pool(tmp_path / "b.zip", trust=made.trust)
    assert report.verdict == "incomplete"
    assert {f.rule for f in report.findings} == {"batch.missing"}


def test_every_place_of_the_layout_has_a_place_in_a_bundle() -> None:
    round_, backup, name, hexes = RoundPaths("trial-1"), BackupPaths("north"), "south", "0" * 16
    request = "K3TQ-8M2X-4F7P-0ZRW-19CD"
    paths = [
        *(f(name) for f in (partner_path, mailbox_path, round_.card, round_.signature)),
        *(f(name, 7) for f in (ledger_path, checkpoint_path, share_path)),
        *(f(name, 7, "west") for f in (cosignature_path, fork_path)),
        round_.plan,
        round_.task,
        round_.verify_key,
        round_.batch(name, bytes(32)),
        round_.order(3),
        round_.order_fork(3, name),
        round_.verify(3, name),
        round_.decide(3, name),
        round_.proposal(hexes),
        round_.approval(hexes, name),
        round_.noisy(hexes, name),
        f"{round_.releases}/{hexes}/release.json",
        backup.set(hexes),
        backup.archive(hexes, 2),
        backup.rehearsed(hexes),
        backup.request(request),
        backup.answer(request, name),
    ]
    if hasattr(round_, "two_versions"):
        paths.append(round_.two_versions("x", name))
    for path in paths:
        assert has_place(path), path
        assert not has_place(f"{path}.x") and not has_place(f"x/{path}")
        assert not has_place(path.replace("/", "/../", 1)) and not has_place(path.upper())


def test_every_file_of_every_pool_has_a_place(base: Callable[[str], Pool]) -> None:
    for name in ("round", "three", "campaign", "quarrel"):
        assert all(has_place(path) for path in PoolFiles(LocalStore(base(name).folder)).sizes)


def test_the_program_says_its_version() -> None:
    assert bundling.made_with().startswith("grievance ")

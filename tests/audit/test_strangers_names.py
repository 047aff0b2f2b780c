"""What sync clients, desktops and strangers leave in a pool changes no verdict by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audit_world import Pool, amiss

from grievance.audit import inspection, strangers
from grievance.audit.leftovers import unfinished
from grievance.crypto.signing import SigningKey
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.ledger.versions import sign_versions

if TYPE_CHECKING:
    from grievance.audit import AuditResult

LEFT_BEHIND = (
    # Desktops and file systems.
    *(".DS_Store", "._1.json", ".apdisk", ".fseventsd", ".Spotlight-V100", ".TemporaryItems"),
    *(".Trashes", ".Trash-1000", "#recycle", "$RECYCLE.BIN", "@eaDir", "lost+found", ".snapshot"),
    *("Thumbs.db", "ehthumbs.db", "desktop.ini", "DESKTOP.INI", "~$plan.docx", "~RF1a2b3c.TMP"),
    *(".directory", ".hidden", ".thumbnails", ".goutputstream-1A2B3C", ".~lock.1.json#", "1.json~"),
    *(".nfs00000000deadbeef", ".fuse_hidden0000012300000001", ".gvfs", "Icon\r", ".localized"),
    # Sync clients.
    *(".dropbox", ".dropbox.attr", ".dropbox.cache", ".stfolder", ".stignore", ".stversions"),
    *(".sync_0123.db", ".csync_journal.db", ".nextcloudsync.log", ".nextcloudsync.log.1"),
    *(".owncloudsync.log", ".owncloud", ".sync", ".tmp.driveupload", ".tmp.drivedownload"),
    *(".SyncTrash", ".SyncID", ".syncthing-enc_1", "desktop.ini.seafile", ".git", ".svn"),
    # Copies, with nothing of the kind in them.
    *("1 (case conflict).json", "1 (1).json", "1 - Copy.json", "Kopie von 1.json", "1.json.bak"),
    *("1.sync-conflict-20260301-120000-ABCDEFG.json", "1_conflict-20260301-120000.json"),
    *("1 (north's conflicted copy 2026-03-01).json", "README.txt", "2.json.txt", "notes"),
    *("a b", "\u202ecod.json", "\u00fc.json", "x" * 200),
)
UNFINISHED = (
    *(".9.json.0123456789ab", ".syncthing.9.json.tmp", "~syncthing~9.json.tmp"),
    *("9.json.part", ".9.json.part", ".9.json.crdownload", "9.json.crdownload", "9.json.download"),
    *("9.json.1a2b3c4d.partial", ".rclone-x.partial", ".9.json.~1a2b", "9.json.!sync"),
    ".unison.9.json.0123456789abcdef.unison.tmp",
)
ELSEWHERE = (".9.json.icloud", "9.json.nextcloud", "9.json.owncloud", "9.json.cloud", "9.json.rsls")


def folders(pool: Pool) -> list[str]:
    """Every folder that holds files: so names are put beside files of every kind."""
    return sorted({path.rpartition("/")[0] for path in pool.files()} | {"", "rounds", "ledger"})


def beside(pool: Pool, name: str, data: bytes) -> AuditResult:
    """Audit with a file of this name in every folder, and take it away again."""
    paths = [f"{folder}/{name}".lstrip("/") for folder in folders(pool)]
    paths = [path for path in paths if not pool.file(path).exists()]
    for path in paths:
        pool.write(path, data)
    report = pool.audit()
    named = {finding.file for finding in report.findings}
    for path in paths:
        pool.file(path).unlink()
        assert any(file in named for file in (path, ascii(path)[1:-1].replace("\\\\", "\\"))), path
    return report


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_a_name_is_only_noted(pool: Pool, name: str) -> None:
    report = beside(pool, name, b"Bud1 and whatever else")
    assert report.verdict == "pass", amiss(report)
    assert {(f.severity, f.rule) for f in report.findings} == {("note", "file.unknown")}
    assert all("not ours" in f.message and "do not open" in f.message for f in report.findings)


@pytest.mark.parametrize("name", UNFINISHED)
def test_what_is_on_its_way_is_waited_for(pool: Pool, name: str) -> None:
    report = beside(pool, name, b"{")
    assert report.verdict == "incomplete"
    assert {(f.severity, f.rule) for f in report.findings} == {("waiting", "file.leftover")}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_placeholder_comes_with_advice_for_its_client(pool: Pool, name: str) -> None:
    report = beside(pool, name, b"bplist00")
    assert report.verdict == "incomplete"
    assert {(f.severity, f.rule) for f in report.findings} == {("waiting", "file.placeholder")}
    for finding in report.findings:
        assert "9.json" in finding.message and "leave the placeholder" in finding.message
        assert "move it" not in finding.message and "delete" not in finding.message


def test_no_name_of_ours_is_taken_for_a_leftover(pool: Pool) -> None:
    assert not [path for path in pool.files() if unfinished(path.rpartition("/")[2])]


def test_folders_of_tools_are_looked_into(pool: Pool) -> None:
    """A copy in a tool's folder is told as a copy, so one that says something else would be too."""
    kept = pool.read(pool.paths.order(1))
    pool.write(f"{pool.paths.folder}/.stversions/order/1~20260301-120000.json", kept)
    (found,) = pool.audit().findings
    assert "a copy of" in found.message and pool.paths.order(1) in found.message


def test_forks_by_strangers_accuse_nobody(pool: Pool) -> None:
    stranger = SigningKey.generate()
    heads = [sign_checkpoint("north", 1, bytes([n]) * 32, stranger) for n in (1, 2)]
    fork = sign_versions("ledger/north/1.checkpoint", *heads, stranger)
    for path in ("ledger/north/1.south.fork", "ledger/north/1.stranger.fork", "partners/fork.json"):
        pool.write(path, fork)
        report = pool.audit()
        assert report.verdict == "pass" and {f.file for f in report.findings} == {path}
        pool.remove(path)


def test_what_is_no_fork_becomes_a_fault_only_by_a_party(pool: Pool) -> None:
    """The control: two heads that north did sign, brought by a stranger, name north."""
    heads = [sign_checkpoint("north", 1, bytes([n]) * 32, pool.keys["north"]) for n in (1, 2)]
    fork = sign_versions("ledger/north/1.checkpoint", *heads, SigningKey.generate())
    pool.write("partners/fork.json", fork)
    report = pool.audit()
    assert report.verdict == "fail"
    assert [(f.rule, f.by) for f in report.faults] == [("ledger.fork", ("north",))]
    assert "by the signature of north" in report.sentence


@pytest.mark.slow
def test_ten_thousand_files_are_read_and_no_more(pool: Pool) -> None:
    folder = pool.file("holiday")
    folder.mkdir()
    for number in range(strangers.MAX_TRIED):
        (folder / f"{number:05}.jpg").write_bytes(b"\xff\xd8")
    assert pool.audit().verdict == "pass"
    (folder / "last.jpg").write_bytes(b"\xff\xd8")
    report = pool.audit()
    assert report.verdict == "incomplete"
    (found,) = amiss(report)
    assert found.rule == "file.unread" and "1 beyond the first 10,000" in found.message
    assert pool.audit(all_files=True).verdict == "pass"


def test_of_large_files_only_those_that_may_be_signed_are_missed(pool: Pool) -> None:
    pool.write("film.mp4", bytes(strangers.MAX_SIZE + 1))
    assert pool.audit().verdict == "pass"
    pool.write("film.mp4", b'{"body":' + bytes(strangers.MAX_SIZE))
    report = pool.audit()
    assert report.verdict == "incomplete"
    assert ["1 of more than 65,536 bytes" in f.message for f in amiss(report)] == [True]
    assert pool.audit(all_files=True).verdict == "pass"


def test_a_fault_has_to_name_somebody(pool: Pool) -> None:
    from grievance.audit.files import PoolFiles
    from grievance.pool.store import LocalStore

    found = inspection.Inspection(PoolFiles(LocalStore(Path(pool.folder))))
    with pytest.raises(ValueError, match="names who signed"):
        found.fault("file.twice", "x", "somebody did", [])

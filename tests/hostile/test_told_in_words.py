"""What the people at the keyboard are told when a pool or an organisation lies to them.

Every refusal is in words, says who or which file, and what to do next; nothing hangs, whatever
lies in the folder. Typed as a steward and an auditor would. Source: docs/design.md, sections 8, 10,
12 and 15; docs/faults.md, faults D8, D9, E3 and E9.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from cli_shell import Town

from grievance.aggregator import witness
from grievance.crypto.keys import read_identity
from grievance.crypto.signing import SigningKey
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.pool.layout import checkpoint_path, fork_path


@pytest.fixture(scope="module")
def opened_once(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A round that admits nurses, with one batch checked. Not to be changed."""
    made = Town(tmp_path_factory.mktemp("told") / "town")
    made.found("north", "south", "nurses", "carers")
    made.open("nurses")
    made.collect()
    return made


@pytest.fixture
def town(opened_once: Town) -> Town:
    """The same, to be spoilt: put back afterwards, since homes remember where the pool is."""
    kept = opened_once.folder.with_name("kept")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(opened_once.folder, kept)
    yield opened_once
    shutil.rmtree(opened_once.folder)
    kept.rename(opened_once.folder)


def approved(town: Town) -> str:
    town.close()
    release_id = town.type("north", "release", "propose", "--yes").done().out.strip()
    town.type("south", "release", "approve", release_id, "--yes").done()
    return release_id


def audit(town: Town, *words: str) -> tuple[int, str]:
    ran = town.type("north", "audit", str(town.pool), "--trust", town.digest, *words)
    return ran.code, ran.out


def test_a_restored_backup_and_a_fork(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """South goes back to before a release: refused; forced on: nobody cosigns, all can prove it."""
    approved(town)
    copy = town.folder / "backup"
    shutil.copytree(town.home("south"), copy)
    town.settle()
    first = (town.pool / checkpoint_path("south", 1)).read_text(encoding="utf-8")
    shutil.rmtree(town.home("south"))
    shutil.copytree(copy, town.home("south"))
    town.type("south", "sync").refused(
        1, "older than what we published", "grievance: hint: ", "grievance recover"
    )
    with monkeypatch.context() as patch:
        patch.setattr(witness, "check_not_behind", lambda _office: None)
        town.type("south", "sync")
    second = (town.pool / checkpoint_path("south", 1)).read_text(encoding="utf-8")
    assert second != first
    where = fork_path("south", 1, "north")
    town.type("north", "sync").refused(
        1, "south signed two heads of one size of its ledger", where, "show the file to the other"
    )
    said = town.type("north", "status").done().out
    assert "evidence: south signed two heads" in said and where in said
    code, out = audit(town)
    assert code == 1 and where in out and "ledger.fork" in out
    for note in (first, second):
        for line in note.strip().splitlines():
            assert line in out  # both checkpoints, to the letter
    assert "next: The file proves it by itself" in out
    code, out = audit(town, "--json")
    assert code == 1 and "\u2014 grievance/south/" in out


def test_two_versions_of_a_file(town: Town) -> None:
    """South's decision is replaced by another one that it signed as well."""
    import json

    from grievance.crypto.documents import sign_document

    town.close()
    town.type("north", "release", "propose", "--yes").done()  # which reads south's decision
    (path,) = town.pool.glob("rounds/*/decide/*/south.json")
    document = json.loads(path.read_bytes())
    document["body"]["root"] = "00" * 32
    key = read_identity(town.home("south") / "identity.pem")
    path.write_bytes(sign_document(document["kind"], document["body"], key))
    name = path.relative_to(town.pool).as_posix()
    town.type("north", "sync").refused(
        1, f"{name}: south signed two versions of it", "both are kept in", "ask south why"
    )
    assert "evidence: " in town.type("north", "status").done().out
    town.type("south", "sync")  # writes its own file again
    code, out = audit(town)
    assert code == 1 and "file.twice" in out and "south signed two versions of it" in out


def test_a_foreign_pool_is_no_rollback(town: Town) -> None:
    """One file of the ledger is put where a later one belongs: not an accusation, not a stop."""
    town.release()
    ledger = town.pool / "ledger" / "south"
    shutil.copy(ledger / "1.json", ledger / "2.json")
    for name in ("north", "south"):
        assert town.type(name, "sync").done().err.startswith("Nothing to do now.")
    code, out = audit(town)
    assert code == 3 and "ledger/south/2.json" in out and "file.place" in out


def typed(town: Town, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which must end."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GRIEVANCE_")}
    return subprocess.run(
        [sys.executable, "-c", "from grievance.cli import main; main()", *words],
        env=clean | {"GRIEVANCE_HOME": str(town.home(name))},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def odd_things(folder: Path) -> list[str]:
    """One of everything that is no file, in a folder of the pool."""
    made = ["link", "loop", "pipe", "socket", "link.json", "x y", "New Folder (2)"]
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "link.json").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "x y").mkdir()
    (folder / "New Folder (2)").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)  # the address of a socket is short
        try:
            bound.bind("socket")
        finally:
            os.chdir(here)
    try:
        os.mknod(folder / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        made.append("zero")
    except PermissionError:
        pass
    return made


def test_links_pipes_sockets_and_devices_do_not_hang_anybody(town: Town) -> None:
    """In every folder of the pool, and in the places of files that are yet to come."""
    folders = [town.pool, *(p for p in town.pool.rglob("*") if p.is_dir())]
    for folder in folders:
        odd_things(folder)
    rounds = town.pool / "rounds"
    (rounds / "trial-00000000").symlink_to("/")
    (rounds / "trial-00000001").symlink_to(rounds)
    base = rounds / town.round_id
    length = len(list((base / "order").glob("[0-9]*.json")))
    os.mkfifo(base / "order" / f"{length + 2}.json")
    (base / "order" / f"{length + 3}.json").symlink_to("/dev/zero")
    for name, words in (("south", ("sync",)), ("south", ("status",)), ("nurses", ("status",))):
        ran = typed(town, name, *words)
        assert ran.returncode == 0, ran.stderr
        assert "Traceback" not in ran.stderr
    ran = typed(town, "south", "audit", str(town.pool), "--trust", town.digest)
    assert ran.returncode in (0, 3) and "file.kind" in ran.stdout
    assert "Traceback" not in ran.stderr
    town.release()


def test_a_folder_in_the_place_of_our_file(town: Town) -> None:
    """The leader is told which one it is, and goes on when it is gone."""
    base = town.pool / "rounds" / town.round_id / "order"
    taken = base / f"{len(list(base.iterdir())) + 1}.json"
    (taken / "inside").mkdir(parents=True)
    ran = town.type("north", "round", "close", "--yes")
    ran.refused(1, taken.name, "grievance: hint: ")
    shutil.rmtree(taken)
    town.settle()
    assert "[closed]" in town.type("north", "status").done().out or taken.is_file()


def test_the_wrong_folder(town: Town, tmp_path: Path) -> None:
    """An auditor points at another pool than the one the digest is of: said, with the digest."""
    other = Town(tmp_path / "other")
    other.found("north", "south")
    assert audit(town)[0] in (0, 3)
    ran = other.type("north", "audit", str(other.pool), "--trust", town.digest)
    assert ran.code == 1 and "task.trust" in ran.out


def test_a_head_of_the_owner_alone(town: Town) -> None:
    """A head we signed and do not know: a share stays where it is, and nothing more is signed."""
    approved(town)
    town.type("north", "sync").done()
    key = read_identity(town.home("north") / "identity.pem")
    note = sign_checkpoint("north", 2, b"\x02" * 32, key)
    path = town.pool / checkpoint_path("north", 2)
    path.write_bytes(note)
    ran = town.type("north", "sync")
    assert ran.code == 1 and checkpoint_path("north", 2) in ran.err
    assert "this state does not remember it" in ran.err and "grievance recover" in ran.err
    assert not list(town.pool.glob("rounds/*/releases/*/noisy/*"))
    # Signed by anybody else it is nothing, and status says whose cosignature is missing.
    path.write_bytes(sign_checkpoint("north", 2, b"\x02" * 32, SigningKey.generate()))
    town.type("north", "sync").done()
    assert not list(town.pool.glob("rounds/*/releases/*/noisy/*"))
    assert "waits for south" in town.type("north", "status").done().out

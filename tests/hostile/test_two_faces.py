"""Whoever signs two versions of one file is named, and both versions are kept as evidence.

The pool shows one reader one version and another the other, or one after the other.
Source: docs/design.md, sections 7, 10 and 12; docs/threats.md, section 3; docs/faults.md, faults
A17, D7, D9.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hostile_world import (
    HostileCoalition,
    Scene,
    approve,
    keep_home,
    noisy_files,
    restore_home,
)

from grievance.aggregator import Office, releases, sightings, witness
from grievance.aggregator.status import status
from grievance.crypto.documents import parse_document
from grievance.errors import GrievanceError, PoolError, StateError
from grievance.ledger.versions import parse_versions, place_of, sign_versions
from grievance.pool.decisions import VerifierShares, write_verify_file
from grievance.pool.layout import checkpoint_path, cosignature_path, fork_path
from grievance.pool.proposals import Approval
from grievance.release import collect

if TYPE_CHECKING:
    from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit"


def accused(coalition: HostileCoalition, path: str) -> str:
    """North finds two versions of south's file: sync, status and audit name south and the file.

    Returns the path of the evidence.
    """
    where = coalition.paths.two_versions(path, "north")
    (result,) = coalition.sync("north", clean=False)
    (fault,) = [f for f in result.faults if f.code == "file.twice"]
    assert str(fault).startswith(f"{path}: south signed two versions of it")
    assert where in str(fault.hint) and "show it to the others" in str(fault.hint)
    coalition.hostile.honest()
    coalition.sync("north", clean=False)
    found = parse_versions(coalition.hostile.files[where], coalition.task)
    assert (found.place.author, found.place.path) == ("south", path)
    with Office.open(coalition.homes["north"]) as office:
        told = [text for line in status(office) for text in line.evidence]
    assert len(told) == 1 and "south signed two versions" in told[0] and where in told[0]
    faults = [f for f in coalition.audit().faults if f.rule == "file.twice"]
    assert [f.file for f in faults] == [where]
    assert all(version.digest in faults[0].message for version in found.versions)
    return where


def test_two_decisions(closed: HostileCoalition) -> None:
    path = closed.paths.decide(closed.chain().batches[0].seq, "south")
    second = closed.sign_again(path, "south", lambda body: body.update(root="00" * 32))
    approve(closed)  # which reads south's decision
    closed.hostile.show(path, second, to="north")
    accused(closed, path)


def test_two_decisions_without_the_guard(
    closed: HostileCoalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an aggregator that remembers nothing has nobody to accuse."""
    monkeypatch.setattr(sightings.NotingStore, "_note", lambda *_args: None)
    path = closed.paths.decide(closed.chain().batches[0].seq, "south")
    second = closed.sign_again(path, "south", lambda body: body.update(root="00" * 32))
    approve(closed)
    closed.hostile.show(path, second, to="north")
    assert "file.twice" not in closed.codes("north")


def test_two_decisions_for_two_readers_are_never_released(closed: HostileCoalition) -> None:
    """South tells north another accepted set than it believes itself: nothing is charged."""
    path = closed.paths.decide(closed.chain().batches[0].seq, "south")
    release_id = approve(closed)
    first = closed.hostile.files[path]
    assert release_id

    def refuse_one(body: dict[str, Any]) -> None:
        import base64

        bits = bytearray(base64.urlsafe_b64decode(body["bits"]))
        bits[0] &= 0xFE
        body.update(
            bits=base64.urlsafe_b64encode(bytes(bits)).decode(),
            accepted=body["accepted"] - 1,
            refused=[[0, "report.proof", -1]],
        )

    closed.hostile.show(path, closed.sign_again(path, "south", refuse_one), to="north")
    assert closed.hostile.files[path] == first
    (result,) = closed.sync("north", clean=False)
    assert {fault.code for fault in result.faults} == {"accept.mismatch", "file.twice"}
    assert not [p for p in closed.hostile.files if p.startswith("ledger/")]


def test_two_answers_to_one_proposal(closed: HostileCoalition) -> None:
    """South approves for one and declines for the other."""
    release_id = approve(closed)
    closed.codes()
    path = closed.paths.approval(release_id, "south")
    with Office.open(closed.homes["south"]) as office:
        bench, _ = office.open_bench(closed.round_id)
        proposal = releases.find_release(bench, release_id).proposal
    no = Approval("south", "decline", "changed my mind")
    other = no.sign(closed.task, proposal, closed.homes["south"].key)
    closed.hostile.show(path, other, to="north")
    accused(closed, path)


def verifier_shares(coalition: HostileCoalition, *, change: bool) -> tuple[str, bytes]:
    """South's file of verifier shares, sealed once more; with other shares if `change`."""
    (batch,) = coalition.chain().batches
    with Office.open(coalition.homes["north"]) as office:
        bench, _ = office.open_bench(coalition.round_id)
        from grievance.aggregator.decisions import read_findings

        found = read_findings(bench, batch, 1)
    assert found is not None
    if change:
        found = VerifierShares(found.statuses, bytes(len(found.shares)))
    data = write_verify_file(coalition.task, batch, 1, found, coalition.homes["south"].key)
    return coalition.paths.verify(batch.seq, "south"), data


def test_two_files_of_verifier_shares(checked: HostileCoalition) -> None:
    path, other = verifier_shares(checked, change=True)
    checked.hostile.show(path, other, to="north")
    where = accused(checked, path)
    evidence = parse_versions(checked.hostile.files[where], checked.task)
    # The signed heads prove it; what is sealed stays sealed.
    assert all(version.kept == other[: len(version.kept)] for version in evidence.versions[1:])
    assert all(len(version.kept) < len(other) - 500 for version in evidence.versions)


def test_the_same_shares_sealed_once_more_are_no_contradiction(checked: HostileCoalition) -> None:
    path, other = verifier_shares(checked, change=False)
    assert other != checked.hostile.files[path]
    checked.hostile.show(path, other, to="north")
    assert checked.codes("north") == []


def test_two_noisy_shares(released: HostileCoalition) -> None:
    """A second share would average the noise away: it is refused by whoever adds up, and named."""
    release_id = next(iter(released.chain().releases))
    path = released.paths.noisy(release_id, "south")
    released.sync("north")

    def shift(body: dict[str, Any]) -> None:
        for name, text in body["statistics"].items():
            body["statistics"][name] = ("B" if text[0] == "A" else "A") + text[1:]

    second = released.sign_again(path, "south", shift)
    for reader in ("north", "reader", "auditor"):
        released.hostile.show(path, second, to=reader)
    with pytest.raises(GrievanceError) as error:
        collect(released.hostile.reader("reader"), released.task, release_id)
    assert error.value.code == "release.share" and "south" in str(error.value)
    assert ("release.share", path) in {(f.rule, f.file) for f in released.audit().faults}
    accused(released, path)


def test_two_ledger_entries_of_one_size(released: HostileCoalition) -> None:
    path = "ledger/south/1.json"
    released.sync("north")
    second = released.sign_again(path, "south", lambda body: body.update(task="00" * 32))
    released.hostile.show(path, second, to="north")
    accused(released, path)


def test_two_events_of_one_place(checked: HostileCoalition) -> None:
    """The leader shows south another order than it remembers: named, kept, in the audit."""
    seq = checked.chain().length
    path = checked.paths.order(seq)

    def other(body: dict[str, Any]) -> None:
        body["event"]["rows"] = body["event"].get("rows", 1) + 1

    checked.hostile.show(path, checked.sign_again(path, "north", other), to="south")
    (result,) = checked.sync("south", clean=False)
    (fault,) = result.faults
    where = checked.paths.order_fork(seq, "south")
    assert fault.code == "order.fork" and where in str(fault.hint)
    checked.hostile.honest()
    assert {(f.rule, f.file) for f in checked.audit().faults} == {("order.fork", where)}
    with Office.open(checked.homes["south"]) as office:
        (line,) = status(office)
    assert any("north signed two events" in text for text in line.evidence)


def test_nobody_is_accused_with_files_of_elsewhere(checked: HostileCoalition) -> None:
    """Evidence that proves nothing: refused by its reader, and by the audit."""
    (batch,) = checked.chain().batches
    files, paths = checked.hostile.files, checked.paths
    path = paths.decide(batch.seq, "south")
    mine, yours = files[path], files[paths.decide(batch.seq, "north")]
    key = checked.leader.key
    stranger = checked.sign_again(path, "nurses", lambda body: body.update(root="00" * 32))
    bad = {
        "one version twice": sign_versions(path, mine, mine, key),
        "another author": sign_versions(path, mine, yours, key),
        "not signed by south": sign_versions(path, mine, stranger, key),
        "nonsense": sign_versions(path, mine, b"nonsense", key),
        "no such place": sign_versions(paths.order(1), files[paths.order(1)], mine, key),
    }
    where = paths.two_versions(path, "north")
    for what, data in bad.items():
        with pytest.raises(PoolError) as error:
            parse_versions(data, checked.task)
        assert error.value.code == "pool.evidence", what
        files[where] = data
        report = checked.audit()
        assert not report.faults, what
        assert ("file.unknown", where) in {(f.rule, f.file) for f in report.findings}, what


def test_places_that_are_watched() -> None:
    known = {
        "rounds/x-1/verify/3/south": ("south", "verify", "3"),
        "rounds/x-1/decide/3/a-b.json": ("a-b", "decide", "3"),
        "rounds/x-1/releases/0123456789abcdef/approvals/south.json": (
            "south",
            "approved",
            "0123456789abcdef",
        ),
        "ledger/south/12.json": ("south", "entry", "12"),
    }
    for path, (author, kind, about) in known.items():
        place = place_of(path)
        assert place is not None
        assert (place.author, place.kind, place.about) == (author, kind, about)
    for path in ("rounds/x/order/1.json", "rounds/x/task.json", "ledger/south/0.json", "x", ""):
        assert place_of(path) is None


# Rollback of an aggregator, and a forked ledger.


def restored(scene: Scene) -> HostileCoalition:
    """South approved; then its backup was made, everything released, and the backup put back."""
    coalition = scene.restore()
    release_id = approve(coalition)
    copy = keep_home(coalition, "south")
    coalition.settle()
    assert len(noisy_files(coalition.hostile)) == 2
    restore_home(coalition, "south", copy)
    assert release_id in coalition.chain().releases
    return coalition


def test_an_aggregator_restored_from_before_a_release_refuses_to_start(
    scenes: dict[str, Scene],
) -> None:
    coalition = restored(scenes["closed"])
    before = coalition.hostile.snapshot()
    with pytest.raises(StateError) as error:
        coalition.sync("south")
    assert error.value.code == "ledger.rollback"
    assert "older than what we published" in str(error.value)
    assert "grievance recover" in str(error.value.hint)
    assert coalition.hostile.snapshot() == before


def test_where_it_is_forced_on_nobody_cosigns_and_no_share_leaves(
    scenes: dict[str, Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its start-up check south charges again, with fresh noise: a fork of its ledger."""
    coalition = restored(scenes["closed"])
    first = coalition.hostile.snapshot()
    shares = {path: first[path] for path in noisy_files(coalition.hostile)}
    old_note = first[checkpoint_path("south", 1)]
    monkeypatch.setattr(witness, "check_not_behind", lambda _office: None)
    for _ in range(3):
        coalition.codes("south")
    new_note = coalition.hostile.files[checkpoint_path("south", 1)]
    assert new_note != old_note
    (result,) = coalition.sync("north", clean=False)
    (fault,) = [fault for fault in result.faults if fault.code == "ledger.fork"]
    where = fork_path("south", 1, "north")
    assert "south signed two heads" in str(fault) and where in str(fault.hint)
    for _ in range(3):
        coalition.codes()
    # North's cosignature is the one of the first head; no second noisy share was written.
    path = cosignature_path("south", 1, "north")
    assert coalition.hostile.files[path] == first[path]
    assert {p: coalition.hostile.files[p] for p in shares} == shares
    assert not [p for p in coalition.hostile.rewritten() if "/noisy/" in p]
    # Both heads are kept, to the letter, and the audit prints them.
    fork = parse_versions(coalition.hostile.files[where], coalition.task)
    assert {head.kept for head in fork.versions} == {old_note, new_note}
    (finding,) = [f for f in coalition.audit().faults if f.rule == "ledger.fork"]
    assert finding.file == where
    assert set(finding.evidence) == {old_note.decode(), new_note.decode()}
    with Office.open(coalition.homes["north"]) as office:
        told = [text for line in status(office) for text in line.evidence]
    assert any("south signed two heads" in text and where in text for text in told)


def test_a_forked_ledger_stays_forked(scenes: dict[str, Scene]) -> None:
    """South shows its first head again and goes on from there: north cosigns it no more."""
    coalition = scenes["released"].restore()
    path = checkpoint_path("south", 1)
    from grievance.ledger.checkpoint import sign_checkpoint

    other = sign_checkpoint("south", 1, b"\x01" * 32, coalition.homes["south"].key)
    coalition.hostile.show(path, other, to="north")
    assert "ledger.fork" in coalition.codes("north")
    coalition.hostile.honest()
    assert "ledger.fork" in coalition.codes("north")
    coalition.sync("south")
    assert "ledger.fork" in coalition.codes("north")


def test_an_old_state_that_lost_its_batches_refuses_too(scenes: dict[str, Scene]) -> None:
    """South goes back to before it checked a batch, whose nonces it would verify again."""
    coalition = scenes["opened"].restore()
    copy = keep_home(coalition, "south")
    coalition.relay("nurses", coalition.seal(12))
    coalition.settle()
    restore_home(coalition, "south", copy)
    (result,) = coalition.sync("south", clean=False)
    (fault,) = result.faults
    assert fault.code == "state.behind" and "grievance recover" in str(fault.hint)
    assert "verify/" in str(fault) and coalition.hostile.rewritten() == []


# What the documentation tells a third party to do.


def snippet(page: str) -> str:
    found = re.search(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def run_snippet(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", snippet(page)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_third_party_checks_a_fork_by_the_book(
    released: HostileCoalition, tmp_path: Path
) -> None:
    from grievance.ledger.checkpoint import sign_checkpoint

    files, key = released.hostile.files, released.homes["south"].key
    notes = [files[checkpoint_path("south", 1)], sign_checkpoint("south", 1, b"\1" * 32, key)]
    (tmp_path / "task.json").write_bytes(released.task.data)
    place, witness = checkpoint_path("south", 1), released.leader.key
    (tmp_path / "evidence.fork").write_bytes(sign_versions(place, *notes, witness))
    ran = run_snippet("ledger.fork.md", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert released.task.short_digest in ran.stdout
    assert place in ran.stdout and "01" * 32 in ran.stdout
    (tmp_path / "evidence.fork").write_bytes(sign_versions(place, *notes[:1] * 2, witness))
    assert run_snippet("ledger.fork.md", tmp_path).returncode != 0


def test_a_third_party_checks_two_versions_by_the_book(
    closed: HostileCoalition, tmp_path: Path
) -> None:
    path = closed.paths.decide(closed.chain().batches[0].seq, "south")
    second = closed.sign_again(path, "south", lambda body: body.update(root="00" * 32))
    evidence = sign_versions(path, closed.hostile.files[path], second, closed.leader.key)
    (tmp_path / "task.json").write_bytes(closed.task.data)
    (tmp_path / "evidence.json").write_bytes(evidence)
    ran = run_snippet("file.twice.md", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "south signed two versions" in ran.stdout and closed.task.short_digest in ran.stdout
    assert (
        parse_document(evidence, kind="grievance/2 two versions").signer == closed.leader.key.public
    )

"""A fast path that computes something else than the reference: found by rows done twice."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from federation import Federation
from grievance.aggregator import Office, sync
from grievance.kernels import BatchPrio3
from grievance.pipelines import paths, spot

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.kernels.batch import BatchVerified


def test_e22_kernels_that_compute_other_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper's kernels err. Control: where no row is drawn, what they found goes out."""
    federation = Federation.opened(tmp_path / "world")
    task = federation.task
    federation.relay("nurses", federation.seal(12))
    monkeypatch.setattr(paths, "FAST_ROWS", 1)
    federation.sync("north")
    (batch,) = federation.chain().batches
    verify = BatchPrio3.verify

    def err(self: BatchPrio3, *arguments: object) -> BatchVerified:
        found = verify(self, *arguments)  # type: ignore[arg-type]
        found.verifier_shares[:, 0] ^= 1
        return found

    monkeypatch.setattr(BatchPrio3, "verify", err)
    ours = federation.file(federation.paths.verify(batch.seq, "south"))
    with monkeypatch.context() as control:
        control.setattr(spot, "draw", lambda _rows, _number: [])
        shutil.copytree(federation.folder, tmp_path / "copy")
        federation.sync("south")
        assert ours.exists()
        shutil.rmtree(federation.folder)
        (tmp_path / "copy").rename(federation.folder)

    (result,) = federation.sync("south", clean=False)
    (fault,) = result.faults
    assert fault.code == "state.kernels"
    assert "nothing was kept" in fault.message
    assert "grievance sync --reference" in str(fault.hint)
    # Nothing of a report is in the words: neither a row nor a nonce nor a share.
    assert not any(character.isdigit() for character in f"{fault.message} {fault.hint}")
    assert not ours.exists()
    with Office.open(federation.homes["south"]) as office:
        assert not office.state.batches(task.digest)
        assert sync(office).faults[0].code == "state.kernels"  # again and again
    with Office.open(federation.homes["south"], reference=True) as office:
        assert not sync(office).faults
    assert ours.exists()

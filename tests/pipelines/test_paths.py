"""The kernels and several processes give the same bytes as the reference, in a whole round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from federation import ANSWERS, Federation, encode, seal_measurement
from grievance.pipelines import paths, workers
from grievance.pipelines.rows import open_rows
from grievance.pool.batch import BatchFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """One batch with honest rows and one of every fault that the paths see differently."""
    made = Federation.opened(tmp_path_factory.mktemp("paths"))
    task = made.task
    honest = made.seal(13)
    meas = encode(task, ANSWERS)
    bad = seal_measurement(task, [2, *meas[1:]], seed=b"\x01" * 32)
    other = seal_measurement(task, meas, seed=b"\x02" * 32)
    same_commitment = seal_measurement(task, meas, seed=b"\x02" * 32)
    broken = bytearray(honest[0].ciphertexts[1])
    broken[-1] ^= 1
    from grievance.client import Report

    torn = Report(
        task.digest,
        honest[0].commitment,
        honest[0].public_share,
        (honest[0].ciphertexts[0], bytes(broken)),
    )
    made.relay("nurses", [*honest[1:], bad, other, same_commitment, torn])
    return made


def examine(federation: Federation) -> dict[str, bytes]:
    """Both aggregators check and decide. Returns every decision by its path."""
    federation.settle()
    found = {}
    for seq in federation.reasons():
        for name in federation.aggregators:
            path = federation.paths.decide(seq, name)
            found[path] = federation.file(path).read_bytes()
    return found


@pytest.mark.parametrize("fast", [False, True])
def test_both_paths_decide_alike(
    tmp_path: Path, federation: Federation, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    import shutil

    monkeypatch.setattr(paths, "FAST_ROWS", 1 if fast else 1 << 30)
    backup = tmp_path / "backup"
    shutil.copytree(federation.folder, backup)
    decisions = examine(federation)
    reasons = next(iter(federation.reasons().values()))
    assert sorted(reasons.values()) == ["report.burnt", "report.open", "report.proof"]
    assert len(decisions) == 2
    release = federation.release()
    assert release.accepted == 13
    shutil.rmtree(federation.folder)
    shutil.copytree(backup, federation.folder)


def test_every_path_and_process_finds_the_same_bytes(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grievance.aggregator import Office

    federation.sync("north")
    task = federation.task
    batch = federation.chain().batches[0]
    data = federation.file(federation.paths.batch(batch.partner, batch.digest)).read_bytes()
    with Office.open(federation.homes["south"]) as office:
        federation_task = office.task(federation.round_id)
        assert federation_task is not None
        seat = office.bench(federation_task).seat
    file = BatchFile(data, task)
    monkeypatch.setattr(workers, "WORKER_ROWS", 1)
    results = []
    place = str(federation.file(federation.paths.batch(batch.partner, batch.digest)))
    for fast_rows, processes, location in (
        (1 << 30, 1, None),
        (1, 1, None),
        (1 << 30, 2, None),
        (1 << 30, 2, place),
    ):
        monkeypatch.setattr(paths, "FAST_ROWS", fast_rows)
        with workers.Crew(seat, batch.rows, processes) as crew:
            results.append(list(crew.examine(file, location)))
    assert all(result == results[0] for result in results[1:])
    file.check_content([digest for _, found in results[0] for digest in found.digests])
    opened = open_rows(seat, file.rows(next(file.spans(3))))
    assert paths.FastPath(task).total(seat, opened) == paths.ReferencePath().total(seat, opened)


def test_processes_that_stop_are_told_in_words(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from grievance.aggregator import Office
    from grievance.errors import StateError

    task = federation.task
    federation.sync("north")
    batch = federation.chain().batches[0]
    data = federation.file(federation.paths.batch(batch.partner, batch.digest)).read_bytes()
    file = BatchFile(data, task)
    with Office.open(federation.homes["south"]) as office:
        mine = office.task(federation.round_id)
        assert mine is not None
        seat = office.bench(mine).seat
    broken = dataclasses.replace(seat, task=dataclasses.replace(task, data=b"no task"))
    monkeypatch.setattr(workers, "WORKER_ROWS", 1)
    with workers.Crew(broken, batch.rows, 2) as crew, pytest.raises(StateError) as error:
        list(crew.examine(file))
    assert error.value.code == "state.workers"


def test_a_file_that_changes_below_the_processes_is_not_the_batch(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They read the file themselves; the digests they hand back tell what they read."""
    from grievance.aggregator import Office
    from grievance.errors import BatchError
    from grievance.pool.batch import HEADER_SIZE

    federation.sync("north")
    batch = federation.chain().batches[0]
    data = federation.file(federation.paths.batch(batch.partner, batch.digest)).read_bytes()
    file = BatchFile(data, federation.task)
    with Office.open(federation.homes["south"]) as office:
        mine = office.task(federation.round_id)
        assert mine is not None
        seat = office.bench(mine).seat
    monkeypatch.setattr(workers, "WORKER_ROWS", 1)
    changed = bytearray(data)
    changed[HEADER_SIZE + 100] ^= 1
    other = bytearray(data)
    other[HEADER_SIZE - 1] ^= 1
    with workers.Crew(seat, batch.rows, 2) as crew:
        (tmp_path / "changed").write_bytes(changed)
        found = list(crew.examine(file, str(tmp_path / "changed")))
        with pytest.raises(BatchError) as error:
            file.check_content([digest for _, rows in found for digest in rows.digests])
        assert error.value.code == "batch.digest"
    for name, content in (("other", bytes(other)), ("short", data[:-1]), ("empty", b"")):
        with workers.Crew(seat, batch.rows, 2) as crew:
            (tmp_path / name).write_bytes(content)
            with pytest.raises(BatchError):
                list(crew.examine(file, str(tmp_path / name)))
    with workers.Crew(seat, batch.rows, 2) as crew, pytest.raises(BatchError):
        list(crew.examine(file, str(tmp_path / "gone")))

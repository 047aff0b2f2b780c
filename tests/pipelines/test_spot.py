"""What the kernels found is held against the reference, row by drawn row, before it is kept."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cli.cli_shell import Town, type_words
from dishonest import TINY_ANSWERS, TINY_PLAN
from federation import Federation, encode, seal_measurement
from grievance.aggregator import Office, sync
from grievance.aggregator.decisions import read_decision, read_findings
from grievance.errors import BatchError, StateError
from grievance.kernels import BatchPrio3
from grievance.pipelines import open_rows, paths, spot, workers
from grievance.pool.batch import BatchFile, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grievance.kernels.batch import BatchVerified
    from grievance.pipelines import Seat

SEQ = 3
"""The batch's place in the chain, after two admissions."""


@pytest.fixture(autouse=True)
def kernels_for_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "FAST_ROWS", 1)


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """A round with one batch of 100 reports, ordered and checked by nobody."""
    made = Federation.opened(tmp_path / "world", TINY_PLAN)
    made.relay("nurses", made.seal(100, TINY_ANSWERS))
    return made


def seat_and_batch(federation: Federation) -> tuple[Seat, BatchFile]:
    """The helper's seat, and the one batch in the pool."""
    folder = federation.file(federation.paths.batches)
    (path,) = folder.iterdir()
    with Office.open(federation.homes["south"]) as office:
        bench, _ = office.open_bench(federation.round_id)
        return bench.seat, BatchFile(path.read_bytes(), federation.task)


def err_in(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[bytes], bool], name: str = "verify"
) -> None:
    """A double of a kernel: it errs in the reports whose first bytes `wrong` picks."""
    real = getattr(BatchPrio3, name)

    def verify(self: BatchPrio3, *arguments: object) -> BatchVerified:
        found: BatchVerified = real(self, *arguments)
        nonces = arguments[3]
        assert isinstance(nonces, np.ndarray)
        for row, nonce in enumerate(nonces):
            if wrong(nonce.tobytes()):
                found.verifier_shares[row, 0] ^= 1
        return found

    monkeypatch.setattr(BatchPrio3, name, verify)


def no_rows(_num_rows: int, _number: int) -> list[int]:
    """The control: nothing is drawn."""
    return []


def test_twenty_of_ten_thousand_are_drawn_and_one_of_every_batch() -> None:
    drawn = spot.Draw()
    spans = [drawn.of(Span(0, 0, 1_000, start)) for start in range(0, 10_000, 1_000)]
    assert sum(map(len, spans)) == 20
    assert all(len(set(rows)) == 2 and 0 <= min(rows) <= max(rows) < 1_000 for rows in spans)
    batches = [drawn.of(Span(0, 0, 40, 0)) for _ in range(100)]
    assert all(len(rows) == 1 for rows in batches)
    # Of small pieces of one batch only as many as are due: a relay that cuts its file so that
    # every piece is one row has no aggregator do every row again.
    pieces = spot.Draw()
    assert sum(len(pieces.of(Span(0, 0, 1, start))) for start in range(10_000)) == 20


def test_rows_are_drawn_anew_each_time() -> None:
    assert len({tuple(spot.draw(1_000, 2)) for _ in range(20)}) > 15
    hit = np.zeros(50)
    for _ in range(5_000):
        hit[spot.draw(50, 1)] += 1
    assert hit.min() > 40  # expected: 100 each


def test_an_error_in_one_row_of_a_hundred_is_caught_over_many_rows(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 rows, one of them wrong, one drawn: found after some hundred batches, not at the first.

    The control is the same double with nothing drawn: it goes through.
    """
    seat, batch = seat_and_batch(federation)
    ((_, honest),) = workers.Crew(seat, 100).examine(batch)
    victim = honest.commitments[37][:16]
    err_in(monkeypatch, lambda nonce: nonce == victim)
    with monkeypatch.context() as control:
        control.setattr(spot, "draw", no_rows)
        ((_, first),) = workers.Crew(seat, 100).examine(batch)
        assert first.verified != honest.verified
    crew = workers.Crew(seat, 100)
    with pytest.raises(StateError) as error:
        for _ in range(3_000):  # 0.99 ** 3000 < 10 ** -13
            list(crew.examine(batch))
    assert error.value.code == "state.kernels"


def test_an_error_in_chosen_rows_is_not_caught_where_others_are_drawn(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/threats.md says is not protected: the draw finds rates, not chosen rows."""
    seat, batch = seat_and_batch(federation)
    ((_, honest),) = workers.Crew(seat, 100).examine(batch)
    victim = honest.commitments[37][:16]
    err_in(monkeypatch, lambda nonce: nonce == victim)
    monkeypatch.setattr(spot, "draw", lambda _rows, _number: [12])
    ((_, found),) = workers.Crew(seat, 100).examine(batch)
    assert found.verified != honest.verified


def test_a_wrong_sum_is_caught_though_every_verifier_share_is_right(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat, batch = seat_and_batch(federation)
    real = BatchPrio3._truncated
    monkeypatch.setattr(
        BatchPrio3, "_truncated", lambda self, totals: [x + 1 for x in real(self, totals)]
    )
    with monkeypatch.context() as control:
        control.setattr(spot, "draw", no_rows)
        list(workers.Crew(seat, 100).examine(batch))
    with pytest.raises(StateError, match="different bytes"):
        list(workers.Crew(seat, 100).examine(batch))
    opened = open_rows(seat, batch.rows(next(batch.spans())))
    with pytest.raises(StateError, match="different bytes"):
        workers.Crew(seat, 100).total(opened)


def test_processes_are_checked_as_well(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They compute rightly; one finding is changed on its way back."""
    seat, batch = seat_and_batch(federation)
    monkeypatch.setattr(workers, "WORKER_ROWS", 1)
    monkeypatch.setattr(spot, "draw", lambda rows, _number: list(range(rows)))
    with workers.Crew(seat, 5_000, 2) as crew:
        ((span, found),) = crew.examine(batch)
        assert (span.count, len(found.digests)) == (100, 100)
        with monkeypatch.context() as control:
            control.setattr(spot, "draw", no_rows)
            assert list(crew.examine(batch)) == [(span, found)]
        real = spot.compare

        def altered(task: object, first: spot.Examined, *rest: object) -> None:
            shares = bytearray(first.verified.found.shares)
            shares[-1] ^= 1
            found = type(first.verified.found)(first.verified.found.statuses, bytes(shares))
            real(task, _with(first, found), *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(spot, "compare", altered)
        with pytest.raises(StateError, match="different bytes"):
            list(crew.examine(batch))


def _with(first: spot.Examined, found: object) -> spot.Examined:
    verified = type(first.verified)(found, first.verified.total)  # type: ignore[arg-type]
    return spot.Examined(first.commitments, first.publics, first.inputs, first.digests, verified)


def test_another_file_at_the_second_look_is_another_batch(federation: Federation) -> None:
    seat, batch = seat_and_batch(federation)
    rows = batch.rows(next(batch.spans()))
    first = spot.examine_rows(seat, rows, paths.ReferencePath())
    again = spot.examine_again(seat, rows.take([3]), paths.ReferencePath())
    spot.compare(seat.task, first, [3], again)
    with pytest.raises(BatchError) as error:
        spot.compare(seat.task, first, [4], again)
    assert error.value.code == "batch.digest"


def test_a_wrong_decision_is_refused(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.sync("north")
    real = BatchPrio3.decide

    def decide(self: BatchPrio3, *arguments: Sequence[object]) -> object:
        verdicts, culprits = real(self, *arguments)  # type: ignore[arg-type]
        return np.ones_like(verdicts) * 6, culprits

    monkeypatch.setattr(BatchPrio3, "decide", decide)
    (result,) = federation.sync("south", clean=False)
    assert [fault.code for fault in result.faults] == ["state.kernels"]
    assert not federation.file(federation.paths.decide(SEQ, "south")).exists()
    with monkeypatch.context() as control:
        control.setattr(spot, "draw", no_rows)
        federation.sync("south")
    assert len(refused_by_south(federation)) == 100


def refused_by_south(federation: Federation) -> set[int]:
    with Office.open(federation.homes["south"]) as office:
        bench, chain = office.open_bench(federation.round_id)
        decision = read_decision(bench, chain.batches[0], 1)
        assert decision is not None
        return set(decision.refused)


def test_the_reference_leaves_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 reports, some of them bad: findings, decisions and sums, byte for byte."""
    made = Federation.opened(tmp_path / "world", TINY_PLAN)
    task = made.task
    meas = encode(task, TINY_ANSWERS)
    bad = [seal_measurement(task, [2, *meas[1:]], seed=bytes([i]) * 32) for i in range(1, 6)]
    made.relay("nurses", [*made.seal(295, TINY_ANSWERS), *bad])
    shutil.copytree(made.folder, tmp_path / "before")

    def play(*, reference: bool) -> list[object]:
        shutil.rmtree(made.folder)
        shutil.copytree(tmp_path / "before", made.folder)
        left: list[object] = []
        for name in ("north", "south", "north"):
            with Office.open(made.homes[name], reference=reference) as office:
                assert not sync(office).faults
        assert len(refused_by_south(made)) == 5
        for name in ("north", "south"):
            left.append(made.file(made.paths.decide(SEQ, name)).read_bytes())
            with Office.open(made.homes[name]) as office:
                bench, chain = office.open_bench(made.round_id)
                (batch,) = chain.batches
                left += [read_findings(bench, batch, sender) for sender in range(2)]
                stored = office.state.batch(task.digest, SEQ)
                assert stored is not None
                left.append(bench.open_sum(SEQ, stored.sum))
        return left

    fast = play(reference=False)

    def no_kernels(*_: object) -> None:
        raise AssertionError("the reference needs no kernel")

    with monkeypatch.context() as only:
        only.setattr(paths.FastPath, "__init__", no_kernels)
        assert play(reference=True) == fast


def test_sync_reference_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path)
    town.found("north", "south", "nurses")
    town.open("nurses")
    inbox = town.fill(12)
    town.type("nurses", "relay", str(inbox), "--trust", town.digest).done()
    paths._fast_paths.clear()

    def no_kernels(*_: object) -> None:
        raise RuntimeError("a kernel")

    monkeypatch.setattr(paths.FastPath, "__init__", no_kernels)
    with pytest.raises(RuntimeError, match="a kernel"):
        type_words("sync", "--json", home=town.home("north"))
    done = type_words("sync", "--reference", "--json", home=town.home("north")).done()
    assert "checked batch 2" in str(done.json["done"])

"""The kernels seal what the reference seals: the same bytes for the same randomness."""

from __future__ import annotations

import itertools

import pytest

from grievance.client import Report, open_input_share, seal
from grievance.demo import generate
from grievance.errors import AnswerError
from grievance.tables import bulk, workers
from grievance.testing import EXAMPLE_PLAN, Coalition, make_coalition, with_envelope


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(with_envelope(EXAMPLE_PLAN))


def test_the_same_randomness_gives_the_same_shares(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    module = importlib.import_module("grievance.client.seal")
    task = coalition.task

    def fixed(label: bytes, _digest: bytes, bits: list[int], size: int) -> bytes:
        seed = (sum(bits) + sum(label)) % 150  # another one for each salt
        return bytes(itertools.islice(itertools.cycle(range(seed, seed + 97)), size))

    monkeypatch.setattr(module, "_hedged", fixed)
    people = generate(task.plan, 30, seed=2)
    rows = [*people[:10], {"unheard-of": 1}, *people[10:], {}]
    sealed = bulk.BulkSealer(task).seal(rows)
    assert isinstance(sealed[10], AnswerError)
    for answers, found in zip(rows, sealed, strict=True):
        if isinstance(found, AnswerError):
            continue
        one, other = seal(task, answers), Report.from_bytes(found, task)
        assert (one.commitment, one.public_share) == (other.commitment, other.public_share)
        for index, key in enumerate(coalition.hpke_keys):
            shares = [
                open_input_share(
                    key, task, index, r.commitment, r.public_share, r.ciphertexts[index]
                )
                for r in (one, other)
            ]
            assert shares[0] == shares[1]


@pytest.mark.parametrize("processes", [None, 2])
def test_a_large_table_takes_the_kernels_and_keeps_its_order(
    coalition: Coalition, monkeypatch: pytest.MonkeyPatch, processes: int | None
) -> None:
    task = coalition.task
    monkeypatch.setattr(workers, "FAST_ROWS", 20)
    made = []
    sealer = bulk.BulkSealer
    monkeypatch.setattr(bulk, "BulkSealer", lambda t: made.append(t) or sealer(t))
    rows: list[dict[str, object]] = [*generate(task.plan, 40, seed=5)]
    rows.insert(7, {"unheard-of": 1})
    found = list(workers.seal_in_order(task, rows, processes))
    assert len(found) == 41
    assert isinstance(found[7], tuple)
    reports = [Report.from_bytes(item, task) for item in found if isinstance(item, bytes)]
    assert len({report.commitment for report in reports}) == 40
    assert bool(made) == (processes is None)

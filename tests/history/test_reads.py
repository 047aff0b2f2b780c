"""What `status` and `sync` read of batches: what is decided costs them nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN
from federation import Federation
from grievance.aggregator import Office, sync
from grievance.aggregator.status import status
from grievance.pool.store import LocalStore

Read = Callable[[Callable[[Office], object]], Counter[str]]


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    made = Federation(tmp_path)
    made.open_round(TINY_PLAN)
    for relay in ("nurses", "carers"):
        made.relay(relay, made.seal(2, TINY_ANSWERS))
    return made


@pytest.fixture
def read(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Runs something at south, and says how often it opened each file of the round."""
    seen: Counter[str] = Counter()
    source = LocalStore.source

    def noted(store: LocalStore, path: str, limit: int) -> object:
        seen[path.removeprefix(f"{federation.paths.folder}/")] += 1
        return source(store, path, limit)

    monkeypatch.setattr(LocalStore, "source", noted)

    def run(act: Callable[[Office], object]) -> Counter[str]:
        seen.clear()
        with Office.open(federation.homes["south"]) as office:
            act(office)
        return seen

    return run


def folders(seen: Counter[str]) -> set[str]:
    return {path.split("/")[0] for path in seen} & {"batches", "verify", "decide"}


def test_status_reads_nothing_about_what_is_decided(federation: Federation, read: Read) -> None:
    federation.sync("north")
    # The control: south has not checked them.
    assert folders(read(status)) == {"batches", "verify"}
    federation.settle()
    assert folders(read(status)) == set()


def test_decisions_are_read_when_somebody_waits_for_them(
    federation: Federation, read: Read
) -> None:
    """The others', once the round is closed; what we decided we know."""
    federation.settle()
    federation.close()
    assert sorted(path for path in read(status) if path.startswith("decide/")) == [
        f"decide/{batch.seq}/north.json" for batch in federation.chain().batches
    ]


def test_what_a_step_needs_is_read_once(federation: Federation, read: Read) -> None:
    """`sync` opens a peer's verifier shares when it asks for them, and not again to decide."""
    federation.sync("north")
    seen = read(sync)
    for batch in federation.chain().batches:
        assert seen[f"verify/{batch.seq}/north"] == 1
        assert federation.file(federation.paths.decide(batch.seq, "south")).exists()

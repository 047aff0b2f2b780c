"""Every claim of an exposure statement, carried out: seized copies of homes, every group of them.

What the statement lists can be done, with the very numbers; what it does not list cannot.
"""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from seizure import Loot, seize

from federation import ANSWERS, Federation
from grievance import backup
from grievance.aggregator import Office
from grievance.aggregator.destroy import destroy
from grievance.exposure import World, expose, survey
from grievance.exposure.reach import findings

PARTIES = ("north", "south", "nurses", "carers", "anna")
TODAY = date(2026, 10, 1)
OTHER = {"region": "Wales", "problems": ["overtime", "caseload"], "hours": "9"}
Place = tuple[str, str, tuple[str, ...]]
RECEIPTS: list[str] = []


class Seized:
    """Copies of everybody's home and of the pool at one moment."""

    def __init__(self, federation: Federation, folder: Path) -> None:
        self.folder, self.federation = folder, federation
        shutil.copytree(federation.pool, folder / "pool")
        for name in PARTIES:
            shutil.copytree(federation.homes[name].root, folder / name)
        homes = [federation.homes[name] for name in PARTIES]
        self.world = survey(homes[0].store, homes)

    def take(self, *names: str, pool: Path | None = None) -> Loot:
        return seize([self.folder / name for name in names], pool or self.folder / "pool")


def groups() -> list[tuple[str, ...]]:
    return [g for size in range(1, 6) for g in itertools.combinations(PARTIES, size)]


def implied(places: set[Place], got: Place) -> bool:
    """Whether a listed, greater finding says this one too."""
    kind, about, who = got
    greater = {p for p in places if p[1] == about}
    if kind in ("totals", "noise", "share"):
        return any(
            p[0] == "answers"
            or (kind == "noise" and (p[0] == "totals" or (p[0] == kind and set(who) < set(p[2]))))
            for p in greater
        )
    return False


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seized]:
    """One campaign's round, seized again and again: open, released, destroyed by one, by both."""
    root = tmp_path_factory.mktemp("stages")
    federation = Federation(root / "live", relays=("nurses", "carers", "anna"))
    homes = federation.homes
    found: dict[str, Seized] = {}

    def stage(name: str) -> None:
        found[name] = Seized(federation, root / name)

    trustees = [homes[name].identity for name in ("nurses", "carers", "anna")]
    federation.open_round()
    backup.make(homes["north"], trustees, 2, TODAY)
    backup.make(homes["south"], trustees[:2], 2, TODAY)
    federation.relay("nurses", federation.seal(6))
    others = federation.seal(5, OTHER)
    RECEIPTS[:] = [report.digest.hex() for report in others]
    federation.relay("carers", others)
    federation.settle()
    stage("open")
    federation.release()
    stage("released")
    _destroy(federation, "south")
    stage("south destroyed, archive old")
    backup.refresh(homes["south"])
    stage("south destroyed")
    _destroy(federation, "north")
    backup.refresh(homes["north"])
    stage("both destroyed")
    return found


def _destroy(federation: Federation, name: str) -> None:
    with Office.open(federation.homes[name]) as office:
        task = office.task(federation.round_id)
        assert task is not None
        destroy(office, office.chain(task))
        office.publish()


STAGES = [
    "open",
    "released",
    "south destroyed, archive old",
    "south destroyed",
    "both destroyed",
]


@pytest.mark.parametrize("stage", STAGES)
def test_every_claim_is_carried_out_and_nothing_is_left_out(
    stages: dict[str, Seized], stage: str
) -> None:
    seized = stages[stage]
    for group in groups():
        claimed = {f.place: f for f in findings(seized.world, group) if f.known == "found"}
        got = seized.take(*group).got
        for place, finding in claimed.items():
            assert place in got, (stage, group, place, "is claimed and cannot be done")
            if finding.kind in ("answers", "share", "archives"):
                assert got[place] == finding.number, (stage, group, place)
        for place in got:
            known = place in claimed or implied(set(claimed), place)
            assert known, (stage, group, place, "can be done and is not claimed")


def test_before_destruction_all_aggregators_read_every_answer(stages: dict[str, Seized]) -> None:
    seized = stages["released"]
    task = seized.federation.task
    loot = seized.take("north", "south")
    wanted = Counter(
        tuple(task.layout.encode(task.layout.answers(answers)))
        for answers, number in ((ANSWERS, 6), (OTHER, 5))
        for _ in range(number)
    )
    assert Counter(loot.answers[task.round_id]) == wanted
    # With the relay each came through, and whose they are, where a receipt was found too.
    bits = tuple(task.layout.encode(task.layout.answers(OTHER)))
    assert {loot.by_receipt[receipt] for receipt in RECEIPTS} == {bits}
    assert {loot.relay[receipt] for receipt in RECEIPTS} == {"carers"}


def test_one_share_alone_is_uniformly_random(stages: dict[str, Seized]) -> None:
    """Chi-square over the top byte of every element; equal answers give no equal shares."""
    loot = stages["released"].take("north")
    round_id = stages["released"].federation.round_id
    assert not loot.answers and not loot.totals
    shares = loot.shares[round_id, "north"]
    elements = [element for share in shares for element in share]
    assert len(set(elements)) == len(elements)
    counts = Counter(element >> 124 for element in elements)
    expected = len(elements) / 16
    statistic = sum((counts[i] - expected) ** 2 / expected for i in range(16))
    assert statistic < 80.0  # 15 degrees of freedom: one run in ten thousand millions
    truth = [
        element
        for share in stages["released"].take("north", "south").answers[round_id]
        for element in share
    ]
    assert set(truth) <= {0, 1}


def test_trustees_alone_and_enough_of_them(stages: dict[str, Seized]) -> None:
    seized = stages["open"]
    one = expose(seized.world, "nurses").together
    alone = next(group for group in one if group.parties == ("nurses",))
    assert {finding.kind for finding in alone.findings} == {"identity"}
    pair = next(group for group in one if group.parties == ("nurses", "carers"))
    assert pair.new[0].kind == "answers"  # both backups have these two
    assert seized.take("nurses").answers == {}
    assert len(seized.take("nurses", "carers").answers[seized.federation.round_id]) == 11
    # North's threshold without south's: one share, no answer.
    assert seized.take("nurses", "anna").answers == {}


def test_an_old_copy_of_the_pool_is_what_the_statement_warns_of(stages: dict[str, Seized]) -> None:
    """After destruction the old archives are in nobody's pool; in an old copy they still open."""
    late = stages["both destroyed"]
    assert seize([late.folder / name for name in PARTIES], late.folder / "pool").answers == {}
    old = stages["open"].folder / "pool"
    everybody = [late.folder / name for name in PARTIES]
    assert len(seize(everybody, old).answers[late.federation.round_id]) == 11
    # The aggregators alone do not open it: their own machines cannot open their archives.
    assert seize(everybody[:2], old).answers == {}


def test_from_the_pool_alone_nothing_that_is_there_is_missed(stages: dict[str, Seized]) -> None:
    for stage in STAGES:
        seized = stages[stage]
        world = survey_copy(seized)
        for group in groups():
            inferred = {f.place for f in findings(world, group)}
            assert all(f.known == "inferred" for f in findings(world, group))
            for finding in findings(seized.world, group):
                known = finding.place in inferred or implied(inferred, finding.place)
                assert known, (stage, group, finding.place)


def survey_copy(seized: Seized) -> World:
    from grievance.pool.store import open_store

    return survey(open_store(seized.folder / "pool"))


def test_a_request_under_way_opens_what_was_answered(tmp_path: Path) -> None:
    """The key of a rehearsal, and the answers in the pool, are as good as the trustees."""
    federation = Federation(tmp_path / "live", relays=("nurses", "carers", "anna"))
    homes = federation.homes
    federation.open_round()
    federation.relay("nurses", federation.seal(2))
    federation.settle()
    backup.make(homes["north"], [homes[n].identity for n in ("nurses", "carers")], 2, TODAY)
    backup.rehearse(homes["north"], TODAY)
    for name in ("nurses", "carers"):
        plea = backup.find_plea(homes[name], "north")
        backup.answer(homes[name], plea, plea.request.request_id)
    seized = Seized(federation, tmp_path / "now")
    claimed = {f.kind for f in findings(seized.world, ["north"])}
    got = {place[0] for place in seized.take("north").got}
    assert "archives" in claimed and "archives" in got
    assert backup.rehearse(homes["north"], TODAY).day
    later = Seized(federation, tmp_path / "later")
    assert "archives" not in {f.kind for f in findings(later.world, ["north"])}
    assert "archives" not in {place[0] for place in later.take("north").got}


def test_a_passphrase_is_said_and_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grievance.crypto import pkcs8
    from grievance.home import Home

    monkeypatch.setattr(pkcs8, "SCRYPT_N", 16)  # stretching is tested elsewhere

    federation = Federation(tmp_path / "live")
    old = federation.homes["south"]
    shutil.rmtree(old.root)
    for file in Path(federation.pool).glob("partners/south*"):
        file.unlink()
    south = Home.create(old.root, "south", "South", federation.pool, "correct horse")
    federation.homes["south"] = south
    for one in federation.homes.values():
        for other in federation.homes.values():
            if one is not other:
                one.trust(other.identity)
    federation.open_round()
    federation.relay("nurses", federation.seal(2))
    federation.settle()
    everybody = [federation.homes[name] for name in ("north", "south")]
    world = survey(south.store, everybody)
    (answers,) = [f for f in findings(world, ["north", "south"]) if f.kind == "answers"]
    assert answers.known == "locked"
    known = {f.about: f.known for f in findings(world, ["north", "south"]) if f.kind == "identity"}
    assert known == {"north": "found", "south": "locked"}
    pool, homes = Path(federation.pool), [home.root for home in everybody]
    assert seize(homes, pool).answers == {}
    assert len(seize(homes, pool, "correct horse").answers[federation.round_id]) == 2


def test_a_rehearsal_is_one_party(tmp_path: Path) -> None:
    from grievance.aggregator import sync
    from grievance.aggregator.rehearsal import make_helper, sync_helper
    from grievance.aggregator.rounds import new_round

    federation = Federation(tmp_path / "live")
    north = federation.leader
    helper = make_helper(north)
    with Office.open(north) as office:
        plan = b'title = "Try"' + __import__("federation").PLAN.partition(b'work"')[2]
        made = new_round(north, office.state, plan, [helper.identity], rehearsal=True)
        office.publish()
    federation.round_id = made.round_id
    north.admit_later(made.round_id, ["nurses"])
    for _ in range(3):
        sync_helper(north)
        with Office.open(north) as office:
            sync(office)
    federation.relay("nurses", federation.seal(2))
    world = survey(north.store, [north])
    alone = findings(world, ["north"])
    assert alone[0].kind == "answers" and alone[0].known == "found" and alone[0].number == 2
    assert len(seize([north.root], Path(federation.pool)).answers[made.round_id]) == 2

"""Pools in which nothing is wrong, at every stage of their lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audit_world import Pool, faults, make_pool, make_round, pool_of

from federation import HYBRID, Federation
from grievance.aggregator import Office
from grievance.audit import audit_pool
from grievance.audit.result import verdict_of
from grievance.crypto.documents import canonical, sign_document
from grievance.crypto.signing import SigningKey
from grievance.errors import PoolError, TrustError, UsageError
from grievance.pool.events import Expel, Void
from grievance.pool.store import LocalStore
from grievance.release import collect

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_whole_round_passes(made: Pool) -> None:
    report = made.audit()
    assert (report.verdict, report.findings) == ("pass", ())
    assert report.vouched and report.omitted == 0
    counts = report.counts
    assert (counts.rounds, counts.batches, counts.releases) == (1, 2, 1)
    assert (counts.reports, counts.accepted) == (12, 11)
    assert counts.files == len(made.files()) and counts.signatures > 30
    totals = report.campaigns["trial"]
    assert set(totals.spent) == {"north", "south"}
    assert len(set(totals.spent.values())) == 1
    assert totals.reserved == str(made.task.reserved.amount) == totals.spent["north"]


def test_three_aggregators_pass(made_three: Pool) -> None:
    assert made_three.audit().verdict == "pass"


def test_several_rounds_of_a_campaign_pass(made_campaign: Pool) -> None:
    report = made_campaign.audit()
    assert (report.verdict, report.findings) == ("pass", ())
    assert report.counts.rounds == report.counts.releases == 2
    spent, reserved = report.campaigns["trial"].spent["north"], report.campaigns["trial"].reserved
    assert spent == reserved == str(made_campaign.task.reserved.amount)


def test_a_rehearsal_passes_and_says_what_it_is(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, rehearsal=True)
    report = pool.audit()
    assert report.verdict == "pass"
    assert report.rehearsals == (pool.task.round_id,)


def test_hybrid_keys_pass(tmp_path: Path) -> None:
    assert make_pool(tmp_path, plan=HYBRID).audit().verdict == "pass"


def test_a_remote_pool_passes(tmp_path: Path) -> None:
    federation = Federation(tmp_path, pool=f"memory://{tmp_path.name}-clean")
    make_round(federation)
    trust = [federation.task.digest.hex()]
    report = audit_pool(federation.pool, trust=trust)
    assert (report.verdict, report.findings) == ("pass", ())


def test_one_digest_vouches_for_the_rounds_that_follow_with_its_keys(made_campaign: Pool) -> None:
    for task in made_campaign.tasks:
        assert made_campaign.audit(trust=[task.short_digest]).verdict == "pass"


def test_some_fingerprints_are_not_enough(made: Pool) -> None:
    report = made.audit(trust=made.trust[:1])
    assert report.verdict == "untrusted"
    (found,) = report.findings
    assert found.rule == "task.trust" and "south" in found.message


def test_without_anchors_the_best_verdict_is_untrusted(made: Pool) -> None:
    report = made.audit(trust=[])
    assert (report.verdict, report.vouched, report.findings) == ("untrusted", False, ())
    assert report.sentence.startswith("Nobody vouched for these keys.")
    assert set(report.keys) == {"north", "south"}
    assert report.keys["north"] == made.task.aggregators[0].member.fingerprint


def test_malformed_anchors_and_missing_pools_are_refused(made: Pool, tmp_path: Path) -> None:
    with pytest.raises(TrustError):
        made.audit(trust=["not a fingerprint"])
    with pytest.raises(PoolError):
        audit_pool(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        made.audit(round_id="trial-00000000")


@pytest.mark.parametrize("stage", [Pool.without_ledger, Pool.without_release, Pool.without_close])
def test_earlier_stages_have_no_faults(pool: Pool, stage: Callable[[Pool], Pool]) -> None:
    report = stage(pool).audit()
    assert not report.faults
    assert report.verdict == ("incomplete" if stage is Pool.without_ledger else "pass")


def test_every_moment_of_a_round_is_without_fault(tmp_path: Path) -> None:
    """Audit after every single act, in the middle of everything."""
    federation = Federation(tmp_path)
    verdicts = []

    def look() -> None:
        report = audit_pool(federation.pool)
        assert not report.faults, [str(f) for f in report.faults]
        verdicts.append(verdict_of(list(report.findings), vouched=True))

    look()
    federation.open_round()
    look()
    federation.relay("nurses", federation.seal(6))
    look()
    for name in ("north", "south", "north", "south"):
        federation.sync(name)
        look()
    federation.relay("carers", federation.seal(6))
    federation.settle()
    federation.close()
    look()
    view = federation.propose()
    look()
    federation.answer("south", view.release_id)
    for name in ("south", "north", "south", "north", "south", "north"):
        federation.sync(name)
        look()
    assert verdicts[0] == verdicts[-1] == "pass" and "incomplete" in verdicts


def test_declined_releases_and_expelled_partners_are_no_faults(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Expel("carers"))
        office.publish()
    federation.relay("carers", federation.seal(3))
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id, "decline", "let us talk first")
    federation.settle()
    federation.release()
    report = pool_of(federation, [federation.task]).audit()
    assert report.verdict == "pass", [str(f) for f in report.findings]
    assert {f.rule for f in report.findings} == {"release.approval", "batch.unordered"}


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_voided_batch_and_a_destroyed_round_are_no_faults(
    tmp_path: Path, comes_back: bool
) -> None:
    from grievance.aggregator.destroy import destroy

    federation = Federation.opened(tmp_path)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.relay("carers", federation.seal(3))
    federation.sync("north")
    lost = federation.chain().batches[-1]
    place = federation.file(federation.paths.batch("carers", lost.digest))
    data = place.read_bytes()
    place.unlink()
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Void(lost.seq))
        office.publish()
    if comes_back:
        place.write_bytes(data)
    federation.settle()
    federation.release()
    federation.settle()
    for name in federation.aggregators:
        with Office.open(federation.homes[name]) as office:
            destroy(office, office.chain(federation.task))
            office.publish()
    federation.settle()
    report = pool_of(federation, [federation.task]).audit()
    assert report.verdict == "pass", [str(f) for f in report.findings]
    assert report.counts.accepted == 12  # what was given up comes back by an order alone


def test_a_release_with_tables_read_off_larger_ones_adds_up(made: Pool, tmp_path: Path) -> None:
    from federation import PLAN

    more = b'\n[statistics.problems]\ncount = ["region"]\n'
    federation = Federation(tmp_path / "implied")
    make_round(federation, plan=PLAN + more)
    release = collect(federation.leader.store, federation.task)
    assert "problems" in release.names and len(release.values) < len(release.names)
    pool = pool_of(federation, [federation.task])
    place = tmp_path / "release.json"
    place.write_bytes(release.to_bytes())
    assert pool.audit(releases=[place]).verdict == "pass"
    value = release.to_json()
    for item in value["statistics"]:
        for part in item["parts"]:
            part["values"][-1] += 1
            place.write_bytes(canonical(value))
            assert faults(pool.audit(releases=[place])) == {"release.sum"}, item["name"]
            part["values"][-1] -= 1
    # The same file inside the pool, where it does no harm.
    pool.write(f"{pool.paths.releases}/{release.release_id}/release.json", release.to_bytes())
    assert pool.audit().verdict == "pass"
    assert faults(made.audit(releases=[place])) == {"release.sum"}


def test_one_round_alone_can_be_looked_at(campaign: Pool) -> None:
    first, second = campaign.tasks
    campaign.write(f"rounds/{first.round_id}/notes.txt", b"x")
    noted = campaign.audit(round_id=first.round_id).findings
    assert [f.rule for f in noted] == ["file.unknown"]
    assert campaign.audit(round_id=second.round_id).findings == ()


def test_an_audit_changes_nothing(made: Pool) -> None:
    before = {path: made.file(path).stat().st_mtime_ns for path in made.files()}
    made.audit()
    assert before == {path: made.file(path).stat().st_mtime_ns for path in made.files()}


def test_progress_is_told(made: Pool) -> None:
    told: list[tuple[str, int, int]] = []
    audit_pool(LocalStore(made.folder), trust=made.trust, progress=lambda *args: told.append(args))
    assert ("batches of " + made.task.round_id, 2, 2) in told


def test_backups_lie_in_the_pool_as_their_owners_signed_them(pool: Pool) -> None:
    """Only signature and place are public; what is sealed stays sealed."""
    north, south = pool.keys["north"], pool.keys["south"]
    name, request = "0123456789abcdef", "K3TQ-8M2X-4F7P-0ZRW-19CD"
    body = {"owner": "north", "set": name}

    def write(path: str, kind: str, key: SigningKey, **more: object) -> None:
        pool.write(f"backups/north/{path}", sign_document(f"grievance/2 {kind}", body | more, key))

    write(f"{name}/set.json", "backup set", north)
    write(f"{name}/rehearsed.json", "backup rehearsed", north)
    write(f"{name}/archive-1", "backup archive", north, number=1)
    write(f"requests/{request}.json", "backup request", SigningKey.generate())
    write(f"answers/{request}/south.json", "backup answer", south, trustee="south")
    assert pool.audit().verdict == "pass"
    write(f"{name}/archive-2", "backup archive", north, number=1)
    write(f"{name}/archive-3", "backup archive", south, number=3)
    write(f"answers/{request}/north.json", "backup answer", north, trustee="south")
    pool.write("backups/north/other", b"x")
    report = pool.audit()
    assert report.verdict == "incomplete"
    assert {(f.rule, f.file.removeprefix("backups/north/")) for f in report.findings} == {
        ("file.place", f"{name}/archive-2"),
        ("file.foreign", f"{name}/archive-3"),
        ("file.place", f"answers/{request}/north.json"),
        ("file.unknown", "other"),
    }

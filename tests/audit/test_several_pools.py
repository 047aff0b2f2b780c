"""Two folders, one campaign: what neither shows by itself, both together do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from audit_world import Pool
from defects_ledgers import destroyed
from test_audit_cli import call

from campaign_forger import Forger
from federation import Federation
from grievance.audit import Statements, audit_pool
from grievance.audit.bundling import make_bundle
from grievance.pool.layout import RoundPaths


class TwoFolders:
    """North begins one campaign with south in one folder, and with west in another."""

    def __init__(self, folder: Path) -> None:
        federation = Federation(folder, ("north", "south", "west"), relays=())
        forger = Forger(federation)
        tasks = [forger.task(["north", name], None) for name in ("south", "west")]
        self.pools = [folder / "one", folder / "two"]
        for pool, hidden in zip(self.pools, reversed(tasks), strict=True):
            shutil.copytree(federation.pool, pool)
            shutil.rmtree(pool / RoundPaths(hidden.round_id).folder)
        keys = (federation.homes[name].key.public for name in federation.aggregators)
        self.trust = [key.fingerprint.hex() for key in keys]

    def words(self) -> list[str]:
        return [word for text in self.trust for word in ("--trust", text)]


def test_two_beginnings_name_the_leader_of_both(tmp_path: Path) -> None:
    both = TwoFolders(tmp_path)
    for pool in both.pools:
        assert not audit_pool(pool, trust=both.trust).faults
    together = Statements()
    reports = [
        audit_pool(pool, trust=both.trust, statements=together, label=pool.name)
        for pool in both.pools
    ]
    assert not reports[0].faults and reports[1].verdict == "fail"
    (found,) = reports[1].faults
    assert (found.rule, found.by) == ("task.campaign", ("north",))
    assert "the beginning of the campaign trial" in found.message and "one: " in found.message


def test_the_command_takes_pools_and_bundles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = TwoFolders(tmp_path)
    make_bundle(both.pools[1], tmp_path / "two.zip")
    pools = [str(both.pools[0]), str(tmp_path / "two.zip")]
    assert [call(capsys, "audit", pool, *both.words())[0] for pool in pools] == [3, 3]
    code, out, _ = call(capsys, "audit", *pools, *both.words())
    assert code == 1 and "All 2 together: FAIL" in out and "signed by: north" in out
    code, out, _ = call(capsys, "audit", *pools, *both.words(), "--json")
    value = json.loads(out)
    assert (code, value["verdict"]) == (1, "fail")
    assert [pool["pool"] for pool in value["pools"]] == pools
    assert value["pools"][1]["findings"][0]["by"] == ["north"]


def test_two_ledgers_name_their_owner(made_campaign: Pool, tmp_path: Path) -> None:
    """An entry that destroys one round here and the other round there."""
    pools = [made_campaign.copy(tmp_path / name) for name in ("one", "two")]
    for pool, task in zip(pools, made_campaign.tasks, strict=True):
        digest = task.digest.hex()
        pool.charge_again(
            "north", 3, lambda body, digest=digest: (destroyed(body), body.update(task=digest))
        )
        assert pool.audit().verdict == "pass"
    together = Statements()
    reports = [pool.audit(statements=together) for pool in pools]
    assert [report.verdict for report in reports] == ["pass", "fail"]
    assert {(f.rule, f.by) for f in reports[1].faults} == {("ledger.fork", ("north",))}


def test_one_pool_and_its_bundle_agree(made: Pool, made_bundle: Path) -> None:
    together = Statements()
    for pool in (made.folder, made_bundle):
        assert audit_pool(pool, trust=made.trust, statements=together).verdict == "pass"


def test_what_is_about_one_pool_is_refused_for_several(
    made: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "audit", str(made.folder), str(made.folder), "--html", "x.html")
    assert code == 2 and "about one pool" in err

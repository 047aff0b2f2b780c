"""Faults of consent: something else lies there than was read, or few people stand behind many."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fault_world import refused, tells

from federation import NAMED_PLAN, PLAN, Federation
from grievance import task as tasks
from grievance.aggregator import Office
from grievance.aggregator.rounds import join_round, new_round
from grievance.crypto.signing import SigningKey
from grievance.task import BackupClaim
from grievance.task.backup import ClaimedTrustee
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from pathlib import Path

DEARER = NAMED_PLAN.replace(b"epsilon = 2.0", b"epsilon = 4.0", 1)


def swapped(federation: Federation, plan: bytes) -> None:
    """The leader signs an invitation to another plan and puts both in the place of the first."""
    north, paths = federation.leader, federation.paths
    card = tasks.parse_card(federation.file(paths.card("north")).read_bytes())
    sha256 = hashlib.sha256(plan).digest()
    other = tasks.make_card(
        north.key, card.hpke, round_id=card.round_id, plan_sha256=sha256, members=card.members
    )
    federation.file(paths.plan).write_bytes(plan)
    federation.file(paths.card("north")).write_bytes(other)


def test_a21_plan_swapped_between_reading_and_signing(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=())
    federation.round_id = federation.invite_to(NAMED_PLAN, "south")
    swapped(federation, DEARER)
    (result,) = federation.sync("south", clean=False)
    fault = next(fault for fault in result.faults if fault.code == "consent.changed")
    folder = federation.homes["south"].root / "evidence" / federation.round_id
    tells(fault, "consent.changed", "north has put something else", step=str(folder))
    assert (folder / "agreed.plan.toml").read_bytes() == NAMED_PLAN
    assert not federation.file(federation.paths.signature("south")).exists()


def test_a22_second_card_for_one_round(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=())
    federation.round_id = federation.invite_to(NAMED_PLAN, "south")
    home, card = federation.homes["south"], federation.file(federation.paths.card("south"))
    made = card.read_bytes()
    swapped(federation, DEARER)
    card.unlink()
    other = home.invitation(federation.round_id)
    assert other is not None
    with Office.open(home) as office, refused("consent.twice", "never a second", step="round new"):
        join_round(home, office.state, other)
    federation.sync("south", clean=False)
    assert card.read_bytes() == made


def test_a23_trustees_that_could_act_for_two(tmp_path: Path) -> None:
    people = tuple(ClaimedTrustee(name, SigningKey.generate().public) for name in ("ann", "bob"))
    claim = BackupClaim("ab" * 8, 2, people, "2026-09-30")
    with refused("task.trustees", "both have ann, bob as trustees", step="shared_trustees"):
        make_coalition(backups={"north-union": claim, "south-network": claim})
    federation = Federation(tmp_path, relays=())
    north, south = federation.leader, federation.homes["south"]
    inside = (ClaimedTrustee("south", south.key.public), *people)
    expected = [BackupClaim("ab" * 8, 2, inside, "2026-09-30"), None]
    with Office.open(north) as office, refused("task.trustees", "as well", step="other trustees"):
        new_round(north, office.state, PLAN, [south.identity], expected=expected)
    assert not federation.file("rounds").exists()

"""Support for tests, in this project and in others: a whole coalition in memory.

Everything is real (keys, signatures, task), only that one process holds all private keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import canonical
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.plan import Plan
from grievance.plan.budget import write_mechanism
from grievance.secret import VerifyKey
from grievance.task.anchor import TrustAnchor, load_task
from grievance.task.card import Card, make_card, parse_card
from grievance.task.identity import Identity
from grievance.task.signatures import bundle, sign_task
from grievance.task.task import Task, build_task, parse_task
from grievance.task.verify_key import seal_verify_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.crypto.hpke import HpkePublicKey
    from grievance.task.backup import BackupClaim
    from grievance.task.heads import LedgerHeads

EXAMPLE_PLAN = """\
title = "Workload, a small example"
campaign = "example"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 1.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 10

[fields.region]
question = "Where do you work?"
choices = ["North", "Midlands", "South"]
required = true

[fields.problems]
question = "Which of these are a problem where you work?"
help = "Tick at most two."
choices = ["overtime", "targets", "bullying", "caseload"]
pick = 2

[fields.unpaid_hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 10
step = 0.5
bands = [0, 1, 5, 10]

[statistics.problems_by_region]
count = ["problems", "region"]
importance = 2

[statistics.mean_hours]
mean = "unpaid_hours"
by = ["region"]
where = { region = ["North", "Midlands"] }

[statistics.hours_spread]
distribution = "unpaid_hours"
by = ["region"]
merge = { region = { "not North" = ["Midlands", "South"] } }
"""
"""A plan with all three kinds of statistics, a restriction, a merged table and ticks."""


def with_envelope(plan: str, envelope: str = "x25519") -> str:
    """Return the text of a plan that chooses no envelope, with one; X25519 is the quicker."""
    return plan.replace("[privacy]", f'envelope = "{envelope}"\n\n[privacy]', 1)


def example_plan() -> Plan:
    """Return the plan `EXAMPLE_PLAN` describes."""
    return Plan.from_toml(EXAMPLE_PLAN)


@dataclass(frozen=True)
class Coalition:
    """Aggregators that have agreed on one task. All tuples are in the task's order.

    `plan_file` holds the bytes whose hash the cards and the task name. `sealed_verify_key` is
    the leader's document, `bundle` the task with all signatures.
    """

    names: tuple[str, ...]
    plan_file: bytes
    signing_keys: tuple[SigningKey, ...]
    hpke_keys: tuple[HpkePrivateKey, ...]
    cards: tuple[Card, ...]
    verify_key: VerifyKey
    task: Task
    signatures: tuple[bytes, ...]
    sealed_verify_key: bytes
    bundle: bytes

    @property
    def plan(self) -> Plan:
        """The plan of the task."""
        return self.task.plan

    @property
    def fingerprints(self) -> list[str]:
        """The short fingerprint of every aggregator, as `load_task` takes them."""
        return [entry.member.fingerprint for entry in self.task.aggregators]

    @property
    def trust(self) -> TrustAnchor:
        """A trust anchor that vouches for all aggregators."""
        return TrustAnchor.from_texts(self.fingerprints)


def make_cards(
    keys: Sequence[tuple[SigningKey, HpkePublicKey]],
    backups: Sequence[BackupClaim | None] = (),
    **terms: Any,
) -> tuple[Card, ...]:
    """Make one card of every aggregator: the leader's, which is the invitation, then the others'.

    `backups` is what they say of their backups, in the same order; the invitation knew it.
    `terms`: see `grievance.task.make_card`.
    """
    claims = list(backups) or [None] * len(keys)
    (first, hpke), *others = keys
    made = make_card(first, hpke, **terms, backup=claims[0], expected=claims)
    cards = [parse_card(made)]
    for (key, public), claim in zip(others, claims[1:], strict=True):
        invitation = cards[0].digest
        made = make_card(key, public, **terms, backup=claim, invitation=invitation)
        cards.append(parse_card(made))
    return tuple(cards)


def make_coalition(
    plan: Plan | str = EXAMPLE_PLAN,
    names: Sequence[str] = ("north-union", "south-network"),
    *,
    round_id: str | None = None,
    previous: Coalition | None = None,
    ledger_heads: LedgerHeads | None = None,
    rehearsal: bool = False,
    backups: Mapping[str, BackupClaim] | None = None,
) -> Coalition:
    """Let fresh aggregators agree on a task for `plan`, given as TOML or as a `Plan`.

    A `Plan` stands in for its own file with its JSON form. With `previous` the round
    continues that coalition's campaign, with its mechanism where a text leaves that out, and
    aggregators of the same name keep their keys.
    `backups` is what the cards say by name, and the invitation knew.
    """
    if previous is not None and isinstance(plan, str):
        plan = write_mechanism(plan, previous.task.mechanism)
    parsed = Plan.from_toml(plan) if isinstance(plan, str) else plan
    plan_file = plan.encode() if isinstance(plan, str) else canonical(parsed.to_json())
    known = dict(zip(previous.names, previous.signing_keys, strict=True)) if previous else {}
    signing_keys = tuple(known.get(name) or SigningKey.generate() for name in names)
    members = [
        Identity(name, name.replace("-", " ").title(), key.public)
        for name, key in zip(names, signing_keys, strict=True)
    ]
    hpke_keys = tuple(HpkePrivateKey.generate(parsed.kem) for _ in names)
    if round_id is None:
        number = int(previous.task.round_id.rsplit("-", 1)[-1], 16) + 1 if previous else 1
        round_id = f"{parsed.campaign}-{number:08x}"
    cards = make_cards(
        [(key, hpke.public) for key, hpke in zip(signing_keys, hpke_keys, strict=True)],
        [(backups or {}).get(name) for name in names],
        round_id=round_id,
        plan_sha256=hashlib.sha256(plan_file).digest(),
        members=members,
        rehearsal=rehearsal,
    )
    verify_key = VerifyKey.generate()
    task = parse_task(
        build_task(
            parsed,
            cards,
            verify_key,
            round_id=round_id,
            previous=previous.task if previous else None,
            ledger_heads=ledger_heads,
            rehearsal=rehearsal,
        )
    )
    signatures = tuple(
        sign_task(task, key, name) for name, key in zip(names, signing_keys, strict=True)
    )
    return Coalition(
        names=tuple(names),
        plan_file=plan_file,
        signing_keys=signing_keys,
        hpke_keys=hpke_keys,
        cards=cards,
        verify_key=verify_key,
        task=load_task(
            (task.data, signatures),
            trust=[member.fingerprint for member in members],
        ),
        signatures=signatures,
        sealed_verify_key=seal_verify_key(task, verify_key, signing_keys[0]),
        bundle=bundle(task, signatures),
    )

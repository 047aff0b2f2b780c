"""The task: a plan, bound to keys, noise, budget and parties for one round.

A task file is the JCS form of one object without signatures; its SHA-256 is the digest
that goes into every share and every signature. Only what people or keys decide is read
from it. Everything that follows from the plan (encoding, noise, costs) is computed again,
and a task that says anything else is refused. So a `Task`, once parsed, can be trusted to
be consistent; who stands behind it is the business of signatures and anchors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from grievance.cost import Cost
from grievance.crypto.documents import canonical, parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import PrivacyError, TaskError
from grievance.plan import Layout, Plan
from grievance.plan.budget import AUTO, round_budget
from grievance.task.backup import read_backup_claim
from grievance.task.card import card_matches, check_envelope, read_hpke_key
from grievance.task.heads import LedgerHead, LedgerHeads
from grievance.task.identity import (
    ONE_EACH,
    check_members,
    check_round_id,
    read_identity_fields,
)
from grievance.task.later import check_later, later_fields
from grievance.task.terms import AggregatorEntry, RoundTerms
from grievance.task.trustees import check_trustees
from grievance.task.verify_key import commitment
from grievance.task.witnesses import check_outside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.plan import StatisticLayout
    from grievance.privacy.mechanisms import Allocation
    from grievance.secret import VerifyKey
    from grievance.task.card import Card

KIND = "grievance/2 task"
LIMIT = 1 << 20
VDAF_DRAFT = "draft-irtf-cfrg-vdaf-20"
VDAF_VERSION = 18
ALGORITHM = 0xFFFF4742
FIELD = "Field128"
NUM_PROOFS = 1
_KEYS = (
    "aggregators",
    "campaign",
    "issuers",
    "kind",
    "ledger_heads",
    "plan",
    "plan_sha256",
    "previous",
    "privacy",
    "rehearsal",
    "reserved",
    "round",
    "translations",
    "vdaf",
    "verify_key_commitment",
)
_AGGREGATOR_KEYS = ("backup", "card", "display_name", "hpke", "identity", "kem", "name")


@dataclass(frozen=True)
class Task(RoundTerms):
    """A consistent task. Made by `parse_task` and `load_task` only."""

    allocations: Mapping[str, Allocation]


def build_task(
    plan: Plan,
    cards: Sequence[Card],
    verify_key: VerifyKey,
    *,
    round_id: str,
    previous: Task | None = None,
    ledger_heads: LedgerHeads | None = None,
    rehearsal: bool = False,
) -> bytes:
    """Put a task together, unsigned. Run by the leader.

    `cards` hold one card of every aggregator, in any order; the hash of the plan's file is
    theirs. `ledger_heads` may leave out aggregators whose ledger is empty. Raises TaskError
    when a card was made for something else or the campaign has another mechanism,
    BudgetExceededError when the campaign cannot pay for the round.
    """
    if not cards:
        raise TaskError("a round needs the cards of its aggregators", code="task.card")
    members, plan_sha256 = cards[0].members, cards[0].plan_sha256
    ordered = sorted(cards, key=lambda card: card.index)
    if [card.index for card in ordered] != list(range(len(members))):
        raise TaskError("a round needs one card of every aggregator", code="task.card")
    for card in ordered:
        card_matches(
            card,
            round_id=round_id,
            plan_sha256=plan_sha256,
            members=members,
            rehearsal=rehearsal,
            invitation=ordered[0].digest,
            kem=plan.kem,
        )
    check_mechanism_stays(plan, previous)
    terms = _Terms(plan, len(members))
    heads = dict.fromkeys([member.name for member in members]) | dict(ledger_heads or {})
    body = terms.body(
        round_id=round_id,
        rehearsal=rehearsal,
        plan_sha256=plan_sha256,
        aggregators=[
            AggregatorEntry(
                card.owner.name,
                card.owner.display_name,
                card.owner.key,
                card.digest,
                card.hpke,
                card.backup,
            )
            for card in ordered
        ],
        verify_key_commitment=commitment(verify_key),
        previous=previous.digest if previous else None,
        reserved=previous.reserved + terms.cost if previous else terms.cost,
        ledger_heads=heads,
    )
    return parse_task(canonical(body)).data


def check_mechanism_stays(plan: Plan, previous: Task | None) -> None:
    """Check that a plan has the mechanism of its campaign, `previous` being its last task.

    Raises TaskError `task.mechanism`, in words for a steward.
    """
    from grievance.privacy.mechanisms import noise_of

    said = plan.privacy.mechanism
    if previous is None or said == previous.mechanism:
        return
    why = "only its first plan may leave the choice open" if said == AUTO else f'not "{said}"'
    raise TaskError(
        f"the campaign {previous.campaign} has {noise_of(previous.mechanism).in_task} noise in all "
        f"its rounds, {why}: costs of the two kinds cannot be added up",
        code="task.mechanism",
        hint=f'write mechanism = "{previous.mechanism}" in the plan, or begin a new campaign and '
        "say so to the workers",
    )


def parse_task(data: bytes) -> Task:
    """Read a task and compute again all that follows from its plan. Checks no signature.

    Raises WireError for bytes that are no canonical JSON, PlanError for a plan that breaks
    a rule, BudgetExceededError when the campaign's budget does not hold, TaskError for
    everything else. The same bytes give the same object, which nobody can change.
    """
    return _parse_task(bytes(data))


@lru_cache(maxsize=32)
def _parse_task(data: bytes) -> Task:
    """Every step reads tasks again, and computing what follows from a plan takes a while."""
    value = parse_canonical(data, LIMIT)
    fields = StrictObject(value, _KEYS, where="task", error=TaskError, code="task.field")
    fields.literal("kind", KIND)
    aggregators = tuple(_read_aggregator(item) for item in fields.items("aggregators"))
    _check_aggregators(aggregators)
    _check_version(fields.mapping("vdaf"))
    terms = _Terms(Plan.from_json(fields.mapping("plan"), source="task"), len(aggregators))
    check_later(fields)
    for entry in aggregators:
        check_envelope(terms.plan, entry.name, entry.hpke)
    check_trustees([(e.member, e.backup) for e in aggregators], shared=terms.plan.shared_trustees)
    check_outside(terms.plan, [entry.member for entry in aggregators])
    read: dict[str, Any] = {
        "round_id": check_round_id(fields.text("round")),
        "rehearsal": fields.flag("rehearsal"),
        "plan_sha256": fields.digest("plan_sha256"),
        "aggregators": aggregators,
        "verify_key_commitment": fields.digest("verify_key_commitment"),
        "previous": None if fields.raw("previous") is None else fields.digest("previous"),
        "reserved": _read_reserved(fields, terms),
        "ledger_heads": _read_heads(fields, [entry.name for entry in aggregators]),
    }
    if read["previous"] is not None and terms.plan.privacy.mechanism == AUTO:
        fields.refuse('says mechanism = "auto", which only a campaign\'s first plan may', "plan")
    for key, expected in terms.body(**read).items():
        # as bytes: to Python, true equals 1
        if canonical(value[key]) != canonical(expected):
            fields.refuse("is not what follows from the plan", key)
    return Task(
        data=data,
        digest=hashlib.sha256(data).digest(),
        plan=terms.plan,
        layout=terms.layout,
        mechanism=terms.mechanism,
        allocations=MappingProxyType(terms.allocations),
        cost=terms.cost,
        lifetime=terms.lifetime,
        **read,
    )


def _ticks(statistic: StatisticLayout) -> dict[str, Any]:
    """What a task says of a charged statistic's ticks; nothing where it counts none."""
    if statistic.multi is None:
        return {}
    a, t = statistic.centre
    return {"ticks": {"a": a, "t": t}}


class _Terms:
    """What follows from a plan and the number of aggregators: encoding, noise, costs."""

    def __init__(self, plan: Plan, num_aggregators: int) -> None:
        found = round_budget(plan, Layout(plan))
        self.plan, self.layout = plan, found.layout
        self.mechanism, self.allocations = found.mechanism, found.allocations
        self.lifetime, self.cost = found.lifetime, found.cost
        self.num_aggregators = num_aggregators

    def body(
        self,
        *,
        round_id: str,
        rehearsal: bool,
        plan_sha256: bytes,
        aggregators: Sequence[AggregatorEntry],
        verify_key_commitment: bytes,
        previous: bytes | None,
        reserved: Cost,
        ledger_heads: LedgerHeads,
    ) -> dict[str, Any]:
        """Write the one body a task with these parts has."""
        from grievance.privacy.mechanisms import noise_of

        return {
            "aggregators": [entry.to_json() for entry in aggregators],
            "campaign": self.plan.campaign,
            "kind": KIND,
            "ledger_heads": {
                name: None if head is None else head.to_json()
                for name, head in ledger_heads.items()
            },
            "plan": self.plan.to_json(),
            "plan_sha256": plan_sha256.hex(),
            "previous": None if previous is None else previous.hex(),
            "privacy": {
                "cost": self.cost.to_json(),
                "lifetime": self.lifetime.to_json(),
                "mechanism": noise_of(self.mechanism).in_task,
                "statistics": {
                    name: {
                        "cost": given.cost.to_json(),
                        noise_of(given.mechanism).scale_name: str(given.scale),
                        **_ticks(self.layout.statistics[name]),
                    }
                    for name, given in self.allocations.items()
                },
            },
            **later_fields(),
            "rehearsal": rehearsal,
            "reserved": reserved.to_json(),
            "round": round_id,
            "vdaf": {
                "algorithm": ALGORITHM,
                "chunk_length": self.layout.chunk_length,
                "draft": VDAF_DRAFT,
                "field": FIELD,
                "num_bits": self.layout.num_bits,
                "proofs": NUM_PROOFS,
                "version": VDAF_VERSION,
            },
            "verify_key_commitment": verify_key_commitment.hex(),
        }


def _read_aggregator(value: object) -> AggregatorEntry:
    fields = StrictObject(
        value, _AGGREGATOR_KEYS, where="task.aggregators", error=TaskError, code="task.field"
    )
    member = read_identity_fields(fields)
    hpke = read_hpke_key(fields)
    backup = read_backup_claim(
        fields.raw("backup"), member, "task.aggregators.backup", "task.field"
    )
    return AggregatorEntry(
        member.name, member.display_name, member.key, fields.digest("card"), hpke, backup
    )


def _check_aggregators(aggregators: Sequence[AggregatorEntry]) -> None:
    """Refuse one aggregator, or anything that two of them share."""
    check_members([entry.member for entry in aggregators])
    halves = [half for entry in aggregators for half in entry.hpke.halves]
    if len(set(halves)) < len(halves):
        raise TaskError(
            "two aggregators have one HPKE key, or one half of it: one could read both shares",
            code="plan.aggregators",
            hint=ONE_EACH,
        )
    if len({entry.card for entry in aggregators}) < len(aggregators):
        raise TaskError("two aggregators have one card", code="plan.aggregators", hint=ONE_EACH)


def _check_version(vdaf: Mapping[str, Any]) -> None:
    """Refuse a task of another VDAF version: its proofs would fail here, one and all."""
    if type(found := vdaf.get("version")) is int and found != VDAF_VERSION:
        raise TaskError(
            f"this round speaks version {found} of the VDAF, this program version {VDAF_VERSION}",
            code="task.version",
            hint="end this round with the version of this program that began it",
        )


def _read_reserved(fields: StrictObject, terms: _Terms) -> Cost:
    """Read `reserved` and check that it holds this round in full and stays in the budget."""
    from grievance.privacy.filter import BudgetFilter

    try:
        reserved = Cost.from_json(fields.raw("reserved"))
        covered = terms.cost <= reserved
    except PrivacyError:
        fields.refuse("is not a cost of the campaign's kind", "reserved")
    if not covered:
        fields.refuse("does not hold this round's own cost", "reserved")
    if (fields.raw("previous") is None) is not (reserved == terms.cost):
        fields.refuse("does not fit `previous`: each round before cost something", "reserved")
    BudgetFilter(terms.lifetime, spent=reserved - terms.cost).charge(terms.cost)
    return reserved


def _read_heads(fields: StrictObject, names: Sequence[str]) -> LedgerHeads:
    where, code = "task.ledger_heads", "task.field"
    heads = StrictObject(fields.raw("ledger_heads"), names, where=where, error=TaskError, code=code)
    result: dict[str, LedgerHead | None] = {}
    for name in names:
        result[name] = None
        if heads.raw(name) is not None:
            head = StrictObject(
                heads.raw(name), ("root", "size"), where=where, error=TaskError, code=code
            )
            result[name] = LedgerHead(head.integer("size", 1), head.digest("root"))
    return MappingProxyType(result)

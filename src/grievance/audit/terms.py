"""Reads a task file and recomputes its costs, without the code that made or checks it.

Encoding, parties and plan are read with the same strict readers everybody uses; noise and
costs are taken as they are stated and held against `grievance.audit.accounting`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from grievance.audit import accounting
from grievance.cost import Cost, parse_fraction
from grievance.crypto.documents import b64encode, canonical, parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, PrivacyError, TaskError
from grievance.plan import Layout, Plan
from grievance.task.backup import read_backup_claim
from grievance.task.card import read_hpke_key
from grievance.task.heads import LedgerHead
from grievance.task.identity import check_members, check_round_id, read_identity_fields
from grievance.task.terms import AggregatorEntry, RoundTerms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.cost import Kind
    from grievance.plan import StatisticLayout

Mechanism = Literal["gaussian", "laplace"]

# What a task calls a mechanism: what a plan does, the cost it has, and its scale's name.
_NOISES: Mapping[str, tuple[Mechanism, Kind, str]] = MappingProxyType(
    {
        "discrete-gaussian": ("gaussian", "zcdp", "sigma"),
        "discrete-laplace": ("laplace", "pure", "b"),
    }
)

LIMIT = 1 << 20
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
_PARTY_KEYS = ("backup", "card", "display_name", "hpke", "identity", "kem", "name")


@dataclass(frozen=True)
class Stated:
    """Noise and cost of a statistic as the task states them."""

    mechanism: Mechanism
    scale: Fraction
    cost: Cost


@dataclass(frozen=True)
class AuditedTask(RoundTerms):
    """A task as it reads: noise and costs as they are stated."""

    allocations: Mapping[str, Stated]


@dataclass(frozen=True)
class Terms:
    """A task as it reads, and every (rule, message) about its costs."""

    task: AuditedTask
    problems: tuple[tuple[str, str], ...]


def ticks_of(statistic: StatisticLayout, kind: Kind) -> accounting.Ticks | None:
    """What the costs of a table of ticks depend on; None for other tables."""
    multi = next((axis for axis in statistic.axes if axis.kind == "multi"), None)
    if multi is None:
        return None
    groups = math.prod(axis.size for axis in statistic.axes if axis is not multi)
    required = statistic.parts[0].size == groups
    return accounting.Ticks(
        multi.size, statistic.pick, groups, required, 2 if kind == "zcdp" else 1
    )


def moved_by(statistic: StatisticLayout, kind: Kind) -> int | Fraction:
    """How far one report moves a charged statistic, in units of its noise.

    It is the squared L2 distance for costs of zCDP, and the L1 distance for pure ones.
    """
    if statistic.kind == "mean":
        far = accounting.moved_by_mean if kind == "zcdp" else accounting.shifted_by_mean
        return far(statistic.grid_size, statistic.cells)
    ticks = ticks_of(statistic, kind)
    if ticks is None:
        return accounting.moved_by_count(statistic.cells)
    return ticks.moved(*ticks.centre())


def true_cost(task: AuditedTask, name: str) -> Cost:
    """What a charged statistic costs with the noise its task states, recomputed."""
    kind, reports = task.cost.kind, task.plan.privacy.reports_per_worker
    moved = moved_by(task.layout.statistics[name], kind)
    price = accounting.rho_of if kind == "zcdp" else accounting.epsilon_of
    return Cost(kind, price(moved, task.allocations[name].scale, reports))


def keeps(cost: Cost, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether a cost is proved to keep a promise: (epsilon, delta), or epsilon if it is pure."""
    if cost.kind == "pure":
        return cost.amount <= epsilon
    return accounting.keeps(cost.amount, epsilon, delta)


@lru_cache(maxsize=64)
def read_terms(data: bytes) -> Terms:
    """Read a task file. Raises GrievanceError when it is none, or contradicts its plan."""
    value = parse_canonical(data, LIMIT)
    fields = StrictObject(value, _KEYS, where="task", error=TaskError, code="task.field")
    fields.literal("kind", "grievance/2 task")
    parties = tuple(_party(item) for item in fields.items("aggregators"))
    _check_parties(parties)
    plan = Plan.from_json(fields.mapping("plan"), source="task")
    if fields.text("campaign") != plan.campaign:
        fields.refuse("is not the plan's", "campaign")
    kem = {"hybrid": "MLKEM768_X25519", "x25519": "X25519"}[plan.envelope]
    if any(party.hpke.kem != kem for party in parties):
        fields.refuse("have keys for another envelope than the plan's", "aggregators")
    _check_witnesses(plan, parties)
    privacy = _strict(fields.raw("privacy"), "cost lifetime mechanism statistics", "privacy")
    noise = _noise(privacy, plan)
    mechanism, kind, _ = noise
    layout = Layout(plan, mechanism)
    _check_encoding(fields, layout)
    if fields.items("issuers"):
        fields.refuse("names issuers of tokens, which this audit does not know", "issuers")
    if fields.mapping("translations"):
        fields.refuse("has translations, which this audit does not know", "translations")
    stated = _stated(privacy, layout, noise)
    task = AuditedTask(
        data=data,
        digest=hashlib.sha256(data).digest(),
        round_id=check_round_id(fields.text("round")),
        rehearsal=fields.flag("rehearsal"),
        plan=plan,
        plan_sha256=fields.digest("plan_sha256"),
        layout=layout,
        aggregators=parties,
        mechanism=mechanism,
        allocations=MappingProxyType(stated),
        cost=_cost(privacy, "cost", kind),
        lifetime=_cost(privacy, "lifetime", kind),
        reserved=_cost(fields, "reserved", kind),
        verify_key_commitment=fields.digest("verify_key_commitment"),
        previous=None if fields.raw("previous") is None else fields.digest("previous"),
        ledger_heads=_heads(fields, [party.name for party in parties]),
    )
    return Terms(task, tuple(_cost_problems(task)))


def _strict(value: object, keys: str, where: str) -> StrictObject:
    where = f"task.{where}"
    return StrictObject(value, keys.split(), where=where, error=TaskError, code="task.field")


def _party(value: object) -> AggregatorEntry:
    fields = _strict(value, " ".join(_PARTY_KEYS), "aggregators")
    member = read_identity_fields(fields)
    hpke, where = read_hpke_key(fields), "task.aggregators.backup"
    backup = read_backup_claim(fields.raw("backup"), member, where, "task.field")
    return AggregatorEntry(
        member.name, member.display_name, member.key, fields.digest("card"), hpke, backup
    )


def _check_parties(parties: tuple[AggregatorEntry, ...]) -> None:
    check_members([party.member for party in parties])
    halves = [half for party in parties for half in party.hpke.halves]
    cards = {party.card for party in parties}
    if len(set(halves)) < len(halves) or len(cards) < len(parties):
        raise TaskError("two aggregators share a key or a card", code="plan.aggregators")


def _check_witnesses(plan: Plan, parties: tuple[AggregatorEntry, ...]) -> None:
    inside = {party.name for party in parties} | {b64encode(p.identity.raw) for p in parties}
    if inside & {*plan.witnesses, *plan.witnesses.values()}:
        raise TaskError("an aggregator is named as a witness", code="task.witnesses")
    if plan.witness_quorum > len(plan.witnesses):
        raise TaskError("fewer witnesses are named than wanted", code="task.witnesses")


def _check_encoding(fields: StrictObject, layout: Layout) -> None:
    expected = {
        "algorithm": 0xFFFF4742,
        "chunk_length": layout.chunk_length,
        "draft": "draft-irtf-cfrg-vdaf-20",
        "field": "Field128",
        "num_bits": layout.num_bits,
        "proofs": 1,
        "version": 18,
    }
    if canonical(fields.raw("vdaf")) != canonical(expected):
        fields.refuse("is not the encoding that follows from the plan", "vdaf")


def _noise(privacy: StrictObject, plan: Plan) -> tuple[Mechanism, Kind, str]:
    """Read the mechanism: the plan's own, or either where the plan left the choice open."""
    noise = _NOISES.get(privacy.text("mechanism"))
    if noise is None or plan.privacy.mechanism not in (noise[0], "auto"):
        privacy.refuse("is not the plan's", "mechanism")
    return noise


def _stated(
    privacy: StrictObject, layout: Layout, noise: tuple[Mechanism, Kind, str]
) -> dict[str, Stated]:
    mechanism, kind, key = noise
    names = [statistic.name for statistic in layout.charged]
    given = _strict(privacy.raw("statistics"), " ".join(names), "privacy.statistics")
    found = {}
    for statistic in layout.charged:
        name = statistic.name
        where, ticks = f"privacy.statistics.{name}", ticks_of(statistic, kind)
        item = _strict(given.raw(name), f"cost {key} ticks" if ticks else f"cost {key}", where)
        if ticks:
            said = _strict(item.raw("ticks"), "a t", f"{where}.ticks")
            if (said.integer("a"), said.integer("t")) != ticks.centre():
                said.refuse("are not centred and scaled as follows from the plan", "ticks")
        try:
            scale = parse_fraction(item.text(key))
        except PrivacyError:
            item.refuse("is not an exact fraction", key)
        if scale == 0:
            item.refuse("is zero", key)
        found[name] = Stated(mechanism, scale, _cost(item, "cost", kind))
    return found


def _cost(fields: StrictObject, key: str, kind: Kind) -> Cost:
    try:
        cost = Cost.from_json(fields.raw(key))
    except GrievanceError:
        fields.refuse("is not a cost", key)
    if cost.kind != kind:
        fields.refuse("is not a cost of the kind its noise has", key)
    return cost


def _heads(fields: StrictObject, names: list[str]) -> Mapping[str, LedgerHead | None]:
    heads = _strict(fields.raw("ledger_heads"), " ".join(names), "ledger_heads")
    found: dict[str, LedgerHead | None] = {}
    for name in names:
        found[name] = None
        if heads.raw(name) is not None:
            head = _strict(heads.raw(name), "root size", "ledger_heads")
            found[name] = LedgerHead(head.integer("size", 1), head.digest("root"))
    return found


def _cost_problems(task: AuditedTask) -> list[tuple[str, str]]:
    """Hold every stated cost against our own; (rule, message) for each that differs."""
    terms, found = task.plan.privacy, []
    total = Cost.zero(task.cost.kind)
    for name, given in task.allocations.items():
        wrong = accounting.scale_fault(given.mechanism, given.scale)
        if wrong is not None:
            found.append(("cost.sigma", f"{name}: {wrong}"))
        true = true_cost(task, name)
        if true != given.cost:
            found.append(("cost.statistic", f"{name}: the task says {given.cost}, it costs {true}"))
        total = total + true
    # Stated costs that are wrong were reported one by one; the sum is over the true ones.
    says_sum = sum((given.cost.amount for given in task.allocations.values()), Fraction(0))
    if task.cost.amount != says_sum:
        found.append(("cost.round", f"the task says {task.cost} for the round, not {total}"))
    allows = f"at delta {float(terms.delta):g} allows" if total.kind == "zcdp" else "allows"
    if not keeps(total, terms.epsilon, terms.delta):
        message = f"{total} is more than epsilon {float(terms.epsilon):g} {allows}"
        found.append(("cost.round", message))
    if not keeps(task.lifetime, terms.lifetime_epsilon, terms.delta):
        lifetime = f"the lifetime's epsilon {float(terms.lifetime_epsilon):g}"
        found.append(("cost.lifetime", f"{task.lifetime} is more than {lifetime} {allows}"))
    if not task.reserved <= task.lifetime:
        excess = float(task.reserved.amount - task.lifetime.amount)
        message = f"{task.reserved} is reserved, {excess:.3g} more than {task.lifetime}"
        found.append(("cost.lifetime", message))
    return found

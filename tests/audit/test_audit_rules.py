"""For every rule a pool that breaks it and no other, mostly signed by the guilty party itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from audit_world import Pool, faults, make_round, pool_of, set_bits

from federation import Federation
from grievance.aggregator import Desk
from grievance.aggregator.releases import accepted_set
from grievance.audit import RULES, AuditReport, audit_pool
from grievance.cost import Cost
from grievance.crypto.documents import b64encode, canonical, sign_document
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.merkle import root
from grievance.crypto.signing import SigningKey
from grievance.errors import PoolError
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.ledger.evidence import sign_fork
from grievance.pipelines import report_leaves
from grievance.pool.batch import HEADER_SIZE, read_header, read_rows
from grievance.pool.batch import LABEL as BATCH_LABEL
from grievance.pool.order import sign_order_fork
from grievance.pool.proposals import Proposal
from grievance.pool.relay import make_batches
from grievance.pool.store import LocalStore
from grievance.pool.verdicts import LABEL as VERIFY_LABEL
from grievance.release import collect
from grievance.task import make_identity, sign_task

Case = Callable[[Pool], AuditReport | None]
FAULTS: dict[str, Case] = {}
OTHERS: dict[str, tuple[str, Case]] = {}


def case(rule: str, severity: str = "fault") -> Callable[[Case], Case]:
    def note(function: Case) -> Case:
        if severity == "fault":
            FAULTS[rule] = function
        else:
            OTHERS[rule] = (severity, function)
        return function

    return note


# Files.


@case("file.unknown")
def an_unknown_file(pool: Pool) -> None:
    pool.write(f"{pool.paths.folder}/notes.txt", b"hello")


@case("file.leftover", "waiting")
def a_half_written_file(pool: Pool) -> None:
    pool.write("partners/.north.json.0123456789ab", b"{")


@case("file.kind")
def a_link(pool: Pool) -> None:
    pool.file("partners/friend.json").symlink_to("/etc/passwd")


@case("file.size")
def a_large_file(pool: Pool) -> None:
    with pool.file("partners/nurses.json").open("r+b") as file:
        file.truncate(5 << 20)


@case("file.read")
def a_file_that_does_not_read(pool: Pool) -> AuditReport:
    class Broken:
        def __init__(self, store: LocalStore) -> None:
            self.names, self.size, self.location = store.names, store.size, store.location
            self._store = store

        def view(self, path: str, limit: int) -> bytes | memoryview | None:
            if path == "partners/nurses.json":
                raise PoolError("input/output error", code="pool.read")
            return self._store.view(path, limit)

    return pool_audit(Broken(LocalStore(pool.folder)), pool)


def pool_audit(store: Any, pool: Pool) -> AuditReport:
    return audit_pool(store, trust=pool.trust)


@case("file.form")
def a_file_of_another_form(pool: Pool) -> None:
    pool.write("partners/nurses.json", b"{}")


@case("file.signature")
def a_changed_name(pool: Pool) -> None:
    data = pool.read("partners/nurses.json")
    pool.write("partners/nurses.json", data.replace(b"Nurses", b"Nursed"))


@case("file.foreign")
def a_decision_by_somebody_else(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    pool.sign_again(pool.paths.decide(seq, "south"), pool.keys["carers"], lambda body: None)


@case("file.place")
def an_identity_under_another_name(pool: Pool) -> None:
    pool.write("partners/nobody.json", pool.read("partners/nurses.json"))


@case("file.unchecked", "note")
def behind_a_broken_event(pool: Pool) -> None:
    path = pool.paths.order(3)
    pool.write(path, pool.read(path).replace(b"nurses", b"nursed"))


# Opening.


def reopen(pool: Pool, change: Callable[[dict[str, Any]], None], keep_ledger: int = 0) -> None:
    """Rewrite the last task as all its aggregators would sign it; nothing came after it."""
    folder = pool.file(pool.paths.folder)
    for name in ("order", "batches", "verify", "decide", "releases"):
        pool.remove(f"{pool.paths.folder}/{name}")
    for path in pool.files():
        if path.startswith("ledger/") and int(Path(path).name.split(".")[0]) > keep_ledger:
            pool.remove(path)
    value = json.loads(pool.task.data)
    change(value)
    data = canonical(value)
    (folder / "task.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()

    def rebind(body: dict[str, Any]) -> None:
        body["task"] = digest

    pool.sign_again(pool.paths.verify_key, pool.leader, rebind)
    for name in pool.names:
        pool.sign_again(pool.paths.signature(name), pool.keys[name], rebind)


@case("task.form")
def a_task_with_another_encoding(pool: Pool) -> None:
    reopen(pool, lambda task: task["vdaf"].update(chunk_length=task["vdaf"]["chunk_length"] + 1))


@case("task.plan")
def another_plan_file(pool: Pool) -> None:
    pool.write(pool.paths.plan, pool.read(pool.paths.plan) + b"\n")


@case("task.cards")
def another_card(pool: Pool) -> None:
    fresh = b64encode(HpkePrivateKey.generate("X25519").public.raw)
    pool.sign_again(
        pool.paths.card("south"), pool.keys["south"], lambda body: body.update(hpke=fresh)
    )


@case("task.verify-key")
def a_verify_key_for_one_only(pool: Pool) -> None:
    pool.sign_again(pool.paths.verify_key, pool.leader, lambda body: body["sealed"].pop("south"))


@case("task.signatures")
def a_task_signed_by_one_only(pool: Pool) -> None:
    pool.remove(pool.paths.signature("south"))


@case("task.trust")
def other_anchors(pool: Pool) -> AuditReport:
    fake = SigningKey.generate().public.fingerprint.hex()
    return pool.audit(trust=[pool.trust[0], fake])


@case("task.campaign")
def a_second_beginning(pool: Pool) -> None:
    def begin(task: dict[str, Any]) -> None:
        task["previous"], task["reserved"] = None, task["privacy"]["cost"]

    reopen(pool, begin, keep_ledger=1)


@case("task.ledger")
def a_head_that_never_was(pool: Pool) -> None:
    reopen(pool, lambda task: task["ledger_heads"]["south"].update(root="00" * 32), keep_ledger=1)


# Order.


@case("order.chain")
def an_event_that_follows_nothing(pool: Pool) -> None:
    pool.sign_again(pool.paths.order(2), pool.leader, lambda body: body.update(previous="00" * 32))


@case("order.event")
def an_expulsion_of_nobody(pool: Pool) -> None:
    pool.without_close().append_event({"type": "expel", "partner": "nobody"})


@case("order.closed")
def a_late_batch(pool: Pool) -> None:
    data = late_batch(pool)
    event = {"type": "batch", "partner": "carers", "batch": hashlib.sha256(data).hexdigest()}
    pool.append_event({**event, "rows": 1})


def late_batch(pool: Pool) -> bytes:
    from grievance.client import seal

    reports = [seal(pool.task, {"region": "North"})]
    (data,) = make_batches(pool.task, reports, pool.keys["carers"], pad_to=1)
    pool.write(pool.paths.batch("carers", hashlib.sha256(data).digest()), data)
    return data


@case("order.fork")
def two_events_for_one_place(pool: Pool) -> None:
    first = pool.read(pool.paths.order(1))
    pool.sign_again(
        pool.paths.order(1), pool.leader, lambda body: body["event"].update(partner="others")
    )
    second = pool.read(pool.paths.order(1))
    pool.write(pool.paths.order(1), first)
    evidence = sign_order_fork(1, first, second, pool.keys["south"])
    pool.write(pool.paths.order_fork(1, "south"), evidence)


@case("order.partner")
def a_second_key_for_a_partner(pool: Pool) -> None:
    pool.write("partners/nurses.json", make_identity("nurses", "Nurses", SigningKey.generate()))


# Batches.


@case("batch.unordered", "note")
def a_batch_after_the_end(pool: Pool) -> None:
    late_batch(pool)


def a_batch_of(pool: Pool, partner: str) -> str:
    return next(path for path in pool.files() if f"/batches/{partner}-" in path)


@case("batch.missing")
def an_ordered_batch_is_gone(pool: Pool) -> None:
    pool.remove(a_batch_of(pool, "nurses"))


@case("batch.digest")
def a_changed_batch(pool: Pool) -> None:
    path = a_batch_of(pool, "nurses")
    data = bytearray(pool.read(path))
    data[len(data) // 2] ^= 1
    pool.write(path, bytes(data))


@case("batch.header")
def a_batch_that_nobody_signed(pool: Pool) -> None:
    data = bytearray(pool.read(a_batch_of(pool, "nurses")))
    data[HEADER_SIZE - 1] ^= 1
    pool.write(pool.paths.batch("nurses", hashlib.sha256(data).digest()), bytes(data))


@case("batch.rows", "note")
def a_signed_batch_of_nonsense(pool: Pool) -> None:
    payload = b"x" * (len(pool.read(a_batch_of(pool, "carers"))) - HEADER_SIZE)
    old = pool.read(a_batch_of(pool, "carers"))
    signed = old[: HEADER_SIZE - 96] + hashlib.sha256(payload).digest()
    data = signed + pool.keys["carers"].sign(BATCH_LABEL, signed) + payload
    pool.write(pool.paths.batch("carers", hashlib.sha256(data).digest()), data)


# Verifier shares and decisions.


@case("verify.header")
def verifier_shares_about_more_rows(pool: Pool) -> None:
    path = pool.paths.verify(pool.batch_places()[0], "south")
    data = pool.read(path)
    size = 111 + 37
    signed = data[:74] + (99).to_bytes(4, "big") + data[78:size]
    signature = pool.keys["south"].sign(VERIFY_LABEL, signed)
    pool.write(path, signed + signature + data[size + 64 :])


@case("verify.missing")
def verifier_shares_are_gone(pool: Pool) -> None:
    pool.remove(pool.paths.verify(pool.batch_places()[0], "south"))


@case("decide.missing")
def a_decision_is_gone(pool: Pool) -> None:
    pool.remove(pool.paths.decide(pool.batch_places()[0], "south"))


@case("decide.bits")
def a_bit_flipped_and_signed(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    pool.decide_again(seq, lambda body: set_bits(body, 2, accept=False), "south")


@case("decide.root")
def a_wrong_root_signed_by_all(pool: Pool) -> None:
    pool.decide_again(pool.batch_places()[0], lambda body: body.update(root="11" * 32))


def leaves_of(pool: Pool, seq: int) -> list[bytes]:
    """Leaves of a batch's rows, as the aggregators compute them."""
    digest = json.loads(pool.read(pool.paths.order(seq)))["body"]["event"]["batch"]
    path = next(path for path in pool.files() if path.endswith(digest))
    data = pool.read(path)
    found: list[bytes] = []
    for rows in read_rows(data, read_header(data, pool.task), pool.task):
        found += report_leaves(pool.task, rows, range(rows.num_rows))
    return found


@case("decide.equal")
def a_row_refused_by_one(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    leaves = leaves_of(pool, seq)

    def refuse(body: dict[str, Any]) -> None:
        set_bits(body, 2, accept=False)
        body["accepted"] -= 1
        body["refused"] = [[2, "report.proof", -1]]
        body["root"] = root(sorted(leaves[:2] + leaves[3:])).hex()

    pool.decide_again(seq, refuse, "south")


@case("decide.replay")
def a_report_counted_twice(pool: Pool) -> None:
    seq = pool.batch_places()[1]
    ((row, reason, _),) = pool.body(pool.paths.decide(seq, "south"))["refused"]
    assert reason == "report.replay"
    leaves = leaves_of(pool, seq)

    def accept(body: dict[str, Any]) -> None:
        set_bits(body, row, accept=True)
        body["accepted"] += 1
        body["refused"] = []
        body["root"] = root(sorted(leaves)).hex()

    pool.decide_again(seq, accept)


# Ledgers.


@case("ledger.chain")
def an_entry_that_follows_nothing(pool: Pool) -> None:
    pool.charge_again("north", 2, lambda body: body.update(previous="00" * 32))


@case("ledger.sum")
def a_sum_too_low(pool: Pool) -> None:
    def halve(body: dict[str, Any]) -> None:
        body["spent"] = Cost("zcdp", Fraction(body["spent"]["zcdp"]) / 2).to_json()

    pool.charge_again("north", 1, halve)


def destroyed(body: dict[str, Any]) -> None:
    body["event"] = {"type": "destroyed"}


@case("ledger.task")
def an_entry_about_no_round(pool: Pool) -> None:
    pool.charge_again("north", 2, lambda body: (destroyed(body), body.update(task="00" * 32)))


@case("ledger.destroyed")
def an_entry_after_the_end(pool: Pool) -> None:
    pool.charge_again("north", 2, destroyed)
    pool.charge_again("north", 3, destroyed)


@case("ledger.checkpoint")
def a_head_of_other_entries(pool: Pool) -> None:
    pool.sign_head("north", 1, head=b"\x01" * 32)


@case("ledger.cosignature")
def a_cosignature_is_gone(pool: Pool) -> None:
    pool.remove("ledger/north/1.south.cosignature")


@case("ledger.fork")
def two_heads_of_one_size(pool: Pool) -> None:
    notes = [
        sign_checkpoint("north", 1, bytes([value]) * 32, pool.keys["north"]) for value in (1, 2)
    ]
    pool.write("ledger/north/1.south.fork", sign_fork("north", 1, notes, pool.keys["south"]))


# Costs.


def reprice(task: dict[str, Any], factor: Fraction, units: int) -> None:
    """Give every statistic another noise, with the costs that follow from it."""
    terms = task["privacy"]
    for given in terms["statistics"].values():
        sigma, cost = Fraction(given["sigma"]), Fraction(given["cost"]["zcdp"])
        other = Fraction(int(sigma * factor * units), units)
        given["sigma"] = str(other)
        given["cost"] = {"zcdp": str(cost * sigma**2 / other**2)}
    total = sum(Fraction(given["cost"]["zcdp"]) for given in terms["statistics"].values())
    terms["cost"] = task["reserved"] = {"zcdp": str(total)}


@case("cost.sigma")
def noise_off_the_grid(pool: Pool) -> None:
    reopen(pool, lambda task: reprice(task, Fraction(1001, 1000), 1000))


@case("cost.statistic")
def a_cost_too_low(pool: Pool) -> None:
    def cheaper(body: dict[str, Any]) -> None:
        costs = body["event"]["statistics"]
        costs["hours_mean"] = {"zcdp": str(Fraction(costs["hours_mean"]["zcdp"]) / 2)}
        body["spent"] = {"zcdp": str(sum(Fraction(cost["zcdp"]) for cost in costs.values()))}

    pool.charge_again("north", 1, cheaper)


@case("cost.round")
def too_little_noise(pool: Pool) -> None:
    reopen(pool, lambda task: reprice(task, Fraction(99, 100), 64))


@case("cost.lifetime")
def a_lifetime_overspent_by_one_in_a_million_millions(pool: Pool) -> None:
    def tighten(task: dict[str, Any]) -> None:
        reserved = Fraction(task["reserved"]["zcdp"])
        task["privacy"]["lifetime"] = {"zcdp": str(reserved * (1 - Fraction(1, 10**12)))}

    reopen(pool, tighten)


# Releases.


def propose(pool: Pool, **changes: Any) -> str:
    """Sign another proposal than the one there, and leave it unanswered. Returns its path."""
    path = pool.paths.proposal(pool.release_id)
    body = pool.body(path)
    pool.without_release()
    body |= changes
    release_id = hashlib.sha256(canonical(body)).hexdigest()[:16]
    data = sign_document("grievance/1 release proposal", body, pool.leader)
    pool.write(pool.paths.proposal(release_id), data)
    return release_id


@case("release.proposal")
def a_proposal_of_something_else(pool: Pool) -> None:
    propose(pool, statistics=["hours_spread", "problems_by_region"])


@case("release.approval")
def an_approval_is_missing(pool: Pool) -> None:
    pool.remove(pool.paths.approval(pool.release_id, "south"))


@case("release.order")
def a_release_that_was_never_ordered(pool: Pool) -> None:
    events = sorted(int(p.stem) for p in pool.file(f"{pool.paths.folder}/order").iterdir())
    pool.remove(pool.paths.order(events[-1]))


@case("release.root")
def a_release_over_other_reports(pool: Pool) -> None:
    propose(pool, accepted=12, root="22" * 32)


@case("release.minimum")
def a_release_over_too_few(pool: Pool) -> AuditReport:
    federation = Federation(pool.folder.parent / "few")
    federation.open_round()
    federation.relay("nurses", federation.seal(5))
    federation.settle()
    federation.close()
    with Desk.open(federation.leader) as desk:
        bench, chain = desk.open_bench(federation.round_id)
        accepted = accepted_set(bench, chain)
    assert accepted is not None
    names, task = tuple(federation.task.allocations), federation.task
    proposal = Proposal("north", chain.closed_by or b"", names, accepted.accepted, accepted.root, 0)
    few = pool_of(federation, [task])
    few.write(few.paths.proposal(proposal.release_id(task)), proposal.sign(task, few.keys["north"]))
    return few.audit()


@case("release.entry")
def an_entry_on_other_terms(pool: Pool) -> None:
    pool.charge_again("south", 1, lambda body: body["event"].update(accepted=999))


@case("release.twice")
def a_statistic_charged_twice(pool: Pool) -> AuditReport:
    federation = Federation(pool.folder.parent / "partial")
    federation.open_round()
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    federation.release(["hours_mean"])
    partial = pool_of(federation, [federation.task])

    def double(body: dict[str, Any]) -> None:
        body["spent"] = {"zcdp": str(2 * Fraction(body["spent"]["zcdp"]))}

    partial.charge_again("north", 2, double)
    return partial.audit()


@case("release.share")
def a_noisy_share_exchanged(pool: Pool) -> None:
    path = pool.paths.noisy(pool.release_id, "south")
    vectors = pool.task.layout.statistics["hours_spread"].num_released
    assert vectors > 1
    pool.sign_again(
        path,
        pool.keys["south"],
        lambda body: body["statistics"].update(hours_spread=b64encode(bytes(16 * vectors))),
    )


@case("release.sum")
def a_published_number_changed(pool: Pool) -> AuditReport:
    value = collect(LocalStore(pool.folder), pool.task).to_json()
    value["statistics"][0]["parts"][0]["values"][0] += 1
    folder = pool.folder.parent / "published"
    folder.mkdir()
    (folder / "release.json").write_bytes(canonical(value))
    return pool.audit(releases=[folder])


@case("audit.error")
def a_mistake_of_our_own(pool: Pool) -> AuditReport:
    from grievance.audit import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "check_campaigns", lambda *_args: 1 // 0)
        return pool.audit()


CAMPAIGN = {"task.campaign", "task.ledger", "ledger.chain"}


def test_every_rule_has_a_pool_that_breaks_it() -> None:
    assert set(FAULTS) | set(OTHERS) == set(RULES)


@pytest.mark.parametrize("rule", sorted(FAULTS))
def test_a_pool_that_breaks_one_rule_alone(
    rule: str, made: Pool, made_campaign: Pool, tmp_path: Path
) -> None:
    pool = (made_campaign if rule in CAMPAIGN else made).copy(tmp_path / "copy")
    report = FAULTS[rule](pool) or pool.audit()
    assert faults(report) == {rule}, [str(f) for f in report.faults]
    assert report.verdict == "fail"


@pytest.mark.parametrize("rule", sorted(OTHERS))
def test_a_pool_with_something_to_say(rule: str, pool: Pool) -> None:
    severity, spoil = OTHERS[rule]
    report = spoil(pool) or pool.audit()
    assert rule in {f.rule for f in report.findings if f.severity == severity}
    if severity == "waiting":
        assert report.verdict == "incomplete"


def test_the_signature_of_a_task_is_by_its_signer(pool: Pool) -> None:
    """What `reopen` signs is what an aggregator signs."""
    made = sign_task(pool.task, pool.keys["south"], "south")
    assert made == pool.read(pool.paths.signature("south"))


def test_a_whole_second_history_is_noticed(made: Pool, tmp_path: Path) -> None:
    """Other keys, everything consistent: only the anchors tell."""
    federation = Federation(tmp_path / "other")
    make_round(federation)
    other = pool_of(federation, [federation.task])
    report = other.audit(trust=made.trust)
    assert faults(report) == {"task.trust"} and report.verdict == "fail"
    assert other.audit(trust=[]).verdict == "untrusted"

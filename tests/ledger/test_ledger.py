"""A ledger's chain and sums, with owners that cheat and files that are not theirs.

Source: docs/design.md, section 10; docs/threats.md, section 3; docs/faults.md, faults D10 to D12.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dishonest import flip
from grievance.cost import Cost
from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.merkle import root
from grievance.crypto.signing import SigningKey
from grievance.errors import BudgetExceededError, GrievanceError, LedgerError
from grievance.ledger import KIND, LedgerEntry, LedgerLog, ReleaseEvent, read_ledger
from grievance.pool.layout import ledger_path
from grievance.pool.store import open_store
from grievance.privacy import BudgetFilter
from grievance.task.heads import LedgerHead

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
TASK, CAMPAIGN = b"\1" * 32, "trial"
RHO = Fraction(3, 125)


def event(number: int = 1, **costs: Fraction) -> ReleaseEvent:
    priced = {name: Cost("zcdp", rho) for name, rho in (costs or {"who": RHO}).items()}
    return ReleaseEvent(f"{number:016x}", b"\2" * 32, priced, 100, b"\3" * 32, b"\4" * 32)


def entry(log: LedgerLog, of: ReleaseEvent, **changes: Any) -> LedgerEntry:
    """The next entry as its owner would sign it, or with something else in it."""
    values: dict[str, Any] = {
        "ledger": log.aggregator,
        "after": log.last,
        "campaign": CAMPAIGN,
        "task": TASK,
        "event": of,
    }
    if "spent" not in changes:
        values["spent"] = log.spent(changes.get("campaign", CAMPAIGN), "zcdp") + of.cost
    key = changes.pop("key", KEY)
    return LedgerEntry.sign(key, **(values | changes))


def grown(number: int = 3) -> LedgerLog:
    log = LedgerLog("north")
    for i in range(number):
        log.append(entry(log, event(i, **{f"statistic_{i}": RHO * (i + 1)})))
    return log


def publish(folder: Path, log: LedgerLog) -> None:
    store = open_store(folder)
    for item in log.entries:
        store.put(ledger_path(log.aggregator, item.size), item.data)


def refused(log: LedgerLog, item: LedgerEntry, code: str) -> None:
    before = list(log.entries)
    with pytest.raises(LedgerError) as error:
        log.append(item)
    assert error.value.code == code
    assert log.entries == before


def test_a_ledger_reads_back(tmp_path: Path) -> None:
    log = grown()
    publish(tmp_path, log)
    found = read_ledger(open_store(tmp_path), "north", KEY.public)
    assert found == log
    assert found.head == LedgerHead(3, root([e.data for e in log.entries]))
    assert found.spent(CAMPAIGN, "zcdp") == Cost("zcdp", RHO * 6)
    assert found.spent("another", "zcdp") == Cost.zero("zcdp")
    assert read_ledger(open_store(tmp_path), "south", KEY.public).head is None


def test_entries_that_do_not_follow() -> None:
    log = grown()
    shorter = LedgerLog("north", log.entries[:2])
    refused(log, log.entries[1], "ledger.chain")  # the same place again
    refused(log, entry(LedgerLog("north"), event(9)), "ledger.chain")
    refused(log, entry(shorter, event(9)), "ledger.chain")  # a fork
    refused(shorter, entry(log, event(9)), "ledger.chain")  # a gap
    edited = grown()
    edited.entries[2] = entry(shorter, event(7, other=RHO))
    refused(log, entry(edited, event(9)), "ledger.chain")


def test_an_entry_of_another_ledger() -> None:
    log = grown(1)
    refused(log, entry(log, event(9), ledger="south"), "ledger.owner")


@pytest.mark.parametrize(
    "factor",
    [Fraction(0), 1 + Fraction(1, 10**12), 1 - Fraction(1, 10**12), Fraction(2)],
)
def test_a_sum_that_is_wrong_by_the_smallest_part(factor: Fraction) -> None:
    log = grown(2)
    right = log.spent(CAMPAIGN, "zcdp") + Cost("zcdp", RHO)
    refused(log, entry(log, event(9), spent=Cost("zcdp", right.amount * factor)), "ledger.sum")
    log.append(entry(log, event(9), spent=right))


def test_a_sum_in_another_currency() -> None:
    log = grown(1)
    refused(log, entry(log, event(9), spent=Cost("pure", RHO)), "ledger.sum")
    pure = replace(event(9), statistics={"late": Cost("pure", RHO)})
    refused(log, entry(log, pure, spent=Cost("pure", RHO)), "ledger.sum")
    refused(log, entry(log, pure, spent=Cost("zcdp", RHO * 2)), "ledger.sum")
    mixed = replace(event(9), statistics={"a": Cost("pure", RHO), "b": Cost("zcdp", RHO)})
    refused(log, entry(log, mixed, spent=Cost("zcdp", RHO * 2)), "ledger.sum")


def test_a_pure_campaign_beside_one_of_zcdp() -> None:
    log = grown(1)
    for number in (1, 2):
        pure = replace(event(number), statistics={f"s{number}": Cost("pure", RHO)})
        spent = Cost("pure", number * RHO)
        log.append(entry(log, pure, campaign="small", task=b"\7" * 32, spent=spent))
    assert log.spent("small", "pure") == Cost("pure", 2 * RHO)
    assert log.spent(CAMPAIGN, "zcdp") == Cost("zcdp", RHO)


def test_campaigns_are_summed_apart() -> None:
    log = grown(2)
    log.append(entry(log, event(9), campaign="another", task=b"\7" * 32))
    assert log.spent("another", "zcdp") == Cost("zcdp", RHO)
    assert log.spent(CAMPAIGN, "zcdp") == Cost("zcdp", RHO * 3)
    wrong = Cost("zcdp", RHO * 5)
    refused(
        log, entry(log, event(10), campaign="another", task=b"\7" * 32, spent=wrong), "ledger.sum"
    )


def test_a_statistic_is_charged_once_for_a_round() -> None:
    log = grown(2)
    refused(log, entry(log, event(9, statistic_1=RHO)), "ledger.twice")
    refused(log, entry(log, event(9, fresh=RHO, statistic_0=RHO)), "ledger.twice")
    log.append(entry(log, event(9, statistic_1=RHO), task=b"\5" * 32))
    assert log.released(b"\5" * 32, "statistic_1")
    assert not log.released(b"\5" * 32, "statistic_0")


@given(
    costs=st.lists(
        st.fractions(Fraction(1, 10**12), 1, max_denominator=10**12), min_size=1, max_size=6
    )
)
@settings(max_examples=20)
def test_the_filter_and_the_ledger_keep_the_same_exact_books(costs: list[Fraction]) -> None:
    """A budget of exactly the sum is enough; a part in 10^12 of the last less is not."""
    total = sum(costs, Fraction(0))
    exact = BudgetFilter(Cost("zcdp", total), spent=Cost.zero("zcdp"))
    short = BudgetFilter(Cost("zcdp", total - costs[-1] / 10**12), spent=Cost.zero("zcdp"))
    log = LedgerLog("north")
    for number, rho in enumerate(costs):
        log.append(entry(log, event(number, **{f"s{number}": rho})))
        exact.charge(Cost("zcdp", rho))
        if number < len(costs) - 1:
            short.charge(Cost("zcdp", rho))
    assert log.spent(CAMPAIGN, "zcdp") == exact.spent == Cost("zcdp", total)
    with pytest.raises(BudgetExceededError):
        short.charge(Cost("zcdp", costs[-1]))
    with pytest.raises(BudgetExceededError):
        exact.charge(Cost("zcdp", Fraction(1, 10**12)))
    assert exact.spent == Cost("zcdp", total)


def test_a_file_its_owner_did_not_sign_ends_the_ledger(tmp_path: Path) -> None:
    log = grown()
    publish(tmp_path, log)
    store, path = open_store(tmp_path), ledger_path("north", 2)
    good = log.entries[1].data
    forged = entry(LedgerLog("north", log.entries[:1]), event(1, statistic_1=RHO * 2), key=OTHER)
    others = [
        forged.data,
        good[:-1],
        good + b" ",
        b"",
        b"{}",
        log.entries[0].data.replace(b"a", b"b"),
    ]
    others += [flip(good, at) for at in range(0, len(good), 11)]
    for data in others:
        store.put(path, data)
        assert len(read_ledger(store, "north", KEY.public).entries) == 1
    store.put(path, good)
    assert len(read_ledger(store, "north", KEY.public).entries) == 3


def test_an_owner_that_signs_a_broken_chain_is_named(tmp_path: Path) -> None:
    log = grown()
    publish(tmp_path, log)
    store = open_store(tmp_path)
    store.put(ledger_path("north", 2), log.entries[2].data)
    # A true entry of another place: anybody can put it there, so nobody is named.
    assert len(read_ledger(store, "north", KEY.public).entries) == 1
    first = entry(LedgerLog("north"), event(7, statistic_9=RHO))
    second = entry(LedgerLog("north", [first]), event(8, statistic_8=RHO))
    store.put(ledger_path("north", 2), second.data)
    with pytest.raises(LedgerError, match=r"ledger/north/2\.json"):
        read_ledger(store, "north", KEY.public)


def body_of(item: LedgerEntry) -> dict[str, Any]:
    return dict(parse_document(item.data, kind=KIND).body)


BROKEN: dict[str, Any] = {
    "no size": {"size": ...},
    "size 0": {"size": 0},
    "size in words": {"size": "1"},
    "a size that is true": {"size": True},
    "one field more": {"note": ""},
    "previous that is no hex": {"previous": "zz"},
    "a task that is no hex": {"task": "zz"},
    "a task that is a number": {"task": 5},
    "spent as a number": {"spent": 1},
    "spent as a decimal": {"spent": {"zcdp": "0.1"}},
    "spent negative": {"spent": {"zcdp": "-1/2"}},
    "spent not in lowest terms": {"spent": {"zcdp": "2/4"}},
    "spent by zero": {"spent": {"zcdp": "1/0"}},
    "spent in two kinds": {"spent": {"zcdp": "1", "pure": "1"}},
    "no event": {"event": None},
    "an unknown event": {"event": {"type": "refund"}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_entries_that_are_none(name: str) -> None:
    body = body_of(grown(1).entries[0]) | BROKEN[name]
    body = {key: value for key, value in body.items() if value is not ...}
    with pytest.raises(GrievanceError):
        LedgerEntry.parse(sign_document(KIND, body, KEY), KEY.public)


@pytest.mark.parametrize(
    "changes",
    [
        {"statistics": {}},
        {"statistics": {"who": {"zcdp": "0.5"}}},
        {"statistics": ["who"]},
        {"accepted": -1},
        {"accepted": "100"},
        {"accepted": True},
        {"root": "AB" * 32},
        {"proposal": "zz" * 32},
        {"noisy_share": None},
        {"release": 5},
        {"release": "../../x"},
        {"root": "ab"},
        {"more": 1},
    ],
    ids=str,
)
def test_events_that_are_none(changes: dict[str, Any]) -> None:
    log = LedgerLog("north")
    body = body_of(entry(log, event()))
    body["event"] |= changes
    with pytest.raises(GrievanceError):
        log.append(LedgerEntry.parse(sign_document(KIND, body, KEY), KEY.public))
    assert not log.entries

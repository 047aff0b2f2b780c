"""An auditor's script: the library's audit, three things done again by hand, and a memory.

    python examples/auditor/run.py POOL --trust ... --heads DIR [--release release.json]

POOL is a folder, a URL or a bundle. By hand, with plain integers, fractions and hashes: one
released number is added up from the noisy shares, one cost is computed from its noise, and each
ledger's head is hashed from its entries. DIR keeps the heads: an audit alone cannot see that a
pool is an older copy of itself, but who kept a newer head can. Exit codes: 0 all holds; 1
something does not; 3 something has yet to come, or was left out of a bundle.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from grievance.audit import AuditResult, audit_pool
from grievance.cli.output import errors_to_words
from grievance.pool.store import Store, find, open_store

FIELD = 2**128 - 7 * 2**66 + 1
"""The modulus of Field128. Source: VDAF draft-20, 6.1.3."""

LIMIT = 8 << 20
BROKEN = (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError)
"""What plain Python raises where a file is not what it should be."""


class Fault(Exception):  # noqa: N818  (a finding, not an error of the program)
    """Something that does not hold, in words."""


class Auditor:
    """One look at a pool. Faults are gathered, so that one does not hide another."""

    def __init__(self, store: Store, report: AuditResult) -> None:
        self.store, self.report = store, report
        self.faults: list[str] = []

    def attempt(self, what: str, step: Callable[..., None], *given: object) -> None:
        """Do one step; what does not hold, or does not read, is a fault."""
        try:
            step(*given)
        except Fault as fault:
            self.faults.append(f"{what}: {fault}")
        except BROKEN:
            self.faults.append(f"{what}: a file it needs does not read")

    def read(self, path: str) -> bytes:
        """Return a file of the pool."""
        data = find(self.store, path, LIMIT)
        if data is None:
            raise Fault(f"{path} is missing")
        return bytes(data)

    def body(self, path: str) -> dict[str, Any]:
        """Return what a signed document says; the audit has checked who signed it."""
        found: dict[str, Any] = json.loads(self.read(path))["body"]
        return found

    def entries(self, ledger: str) -> list[bytes]:
        """Return a ledger's entries, in order."""
        found = {
            int(name.removesuffix(".json"))
            for name in self.store.names(f"ledger/{ledger}")
            if name.endswith(".json")
        }
        return [self.read(f"ledger/{ledger}/{size}.json") for size in range(1, len(found) + 1)]

    # A released number, from the noisy shares.

    def add_up_all(self, published: Path | None) -> None:
        """Add up every release of the pool, and hold the published one to what comes out."""
        said = None if published is None else json.loads(published.read_bytes())
        for facts in self.report.details:
            task = json.loads(self.read(f"rounds/{facts.round_id}/task.json"))
            for release in facts.releases:
                if release.complete:
                    totals = self.add_up(task, facts.round_id, release.release_id)
                    if said is not None and said["release"] == release.release_id:
                        compare_published(said, task, totals)
                        print(f"    {published} says the same, of all {len(totals)} statistics.")
                        said = None
        if said is not None:
            raise Fault(f"{published} is of no release in this pool")

    def add_up(self, task: dict[str, Any], round_id: str, release_id: str) -> dict[str, list[int]]:
        """Add up a release: sums modulo the field, and above half of it they are negative."""
        parties = [party["name"] for party in task["aggregators"]]
        folder = f"rounds/{round_id}/releases/{release_id}/noisy"
        shares = {}
        for name in parties:
            file = self.read(f"{folder}/{name}.json")
            if hashlib.sha256(file).hexdigest() != self.charged(name, release_id)["noisy_share"]:
                raise Fault(f"{folder}/{name}.json is not the file that {name} charged for")
            shares[name] = json.loads(file)["body"]["statistics"]
        totals = {
            statistic: [
                centred(sum(column))
                for column in zip(
                    *(numbers(shares[name][statistic]) for name in parties), strict=True
                )
            ]
            for statistic in shares[parties[0]]
        }
        statistic = min(totals)
        print(f"\nBy hand, the first of {len(totals[statistic])} numbers of {statistic}:")
        for name in parties:
            print(f"    {numbers(shares[name][statistic])[0]:>40}  the noisy share of {name}")
        print(f"    {totals[statistic][0]:>40}  their sum, modulo {FIELD}")
        return totals

    def charged(self, ledger: str, release_id: str) -> dict[str, Any]:
        """Return what a ledger says of a release."""
        for entry in self.entries(ledger):
            event: dict[str, Any] = json.loads(entry)["body"]["event"]
            if event.get("release") == release_id:
                return event
        raise Fault(f"{ledger} charged nothing for release {release_id}")

    # A line of a ledger, in fractions.

    def account(self, ledger: str) -> None:
        """Compute costs from noise, and the sums of a ledger from its costs."""
        tasks = {
            facts.digest: json.loads(self.read(f"rounds/{facts.round_id}/task.json"))
            for facts in self.report.details
        }
        spent: dict[str, Fraction] = {}
        shown = False
        for size, data in enumerate(self.entries(ledger), start=1):
            entry = json.loads(data)["body"]
            campaign, lines = entry["campaign"], entry["event"].get("statistics", {})
            for name, cost in lines.items():
                ((kind, charged),) = cost.items()
                spent[campaign] = spent.get(campaign, Fraction(0)) + Fraction(charged)
                found = price(tasks[entry["task"]], name, kind)
                if found is None:
                    continue
                words, true = found
                if true != Fraction(charged):
                    raise Fault(f"entry {size} charges {charged} for {name}; it costs {true}")
                if not shown:
                    print(f"\nBy hand, one line of {ledger}'s ledger, entry {size}:")
                    print(f"    {name}: {words} = {true}, as charged")
                    shown = True
            ((_, says),) = entry["spent"].items()
            if Fraction(says) != spent.get(campaign, Fraction(0)):
                raise Fault(f"entry {size} says {says} is spent, not {spent[campaign]}")
        if shown:
            total = ", ".join(f"{name} {amount}" for name, amount in spent.items())
            print(f"    {len(self.entries(ledger))} entries add up to: {total}")

    # Heads of ledgers, now and last time.

    def head(self, ledger: str, kept: str | None) -> str | None:
        """Return a ledger's newest signed head, hashed again, and held to the one kept."""
        names = self.store.names(f"ledger/{ledger}")
        sizes = [int(n.removesuffix(".checkpoint")) for n in names if n.endswith(".checkpoint")]
        note = self.read(f"ledger/{ledger}/{max(sizes)}.checkpoint").decode() if sizes else None
        entries = self.entries(ledger)
        for text, when in ((note, "now"), (kept, "kept from last time")):
            if text is None:
                continue
            origin, size, root = text.splitlines()[:3]
            if note is None or int(size) > max(sizes) or int(size) > len(entries):
                raise Fault(f"ROLLED BACK: the head {when} has {size} entries, the pool has fewer")
            if origin != note.splitlines()[0]:
                raise Fault(f"the head {when} is of another key, {origin}")
            if merkle_root(entries[: int(size)]).hex() != base64.b64decode(root).hex():
                raise Fault(f"REWRITTEN: the head {when} is not that of the first {size} entries")
        return note


def numbers(text: str) -> list[int]:
    """Read a vector of field elements: base64url of 16 bytes each, the lowest byte first."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return [int.from_bytes(data[at : at + 16], "little") for at in range(0, len(data), 16)]


def centred(total: int) -> int:
    """Read a sum of shares as a signed number."""
    total %= FIELD
    return total - FIELD if total > FIELD // 2 else total


def compare_published(
    said: dict[str, Any], task: dict[str, Any], totals: dict[str, list[int]]
) -> None:
    """Hold what a release.json says to what was added up. Raises Fault."""
    if said["task"] != task:
        raise Fault("the published release is of another round")
    values = {
        statistic["name"]: [value for part in statistic["parts"] for value in part["values"]]
        for statistic in said["statistics"]
        if statistic["implied_by"] is None
    }
    wrong = sorted(name for name in {*values, *totals} if values.get(name) != totals.get(name))
    if wrong:
        raise Fault(f"published otherwise than the noisy shares add up: {', '.join(wrong)}")


def price(task: dict[str, Any], name: str, kind: str) -> tuple[str, Fraction] | None:
    """Return what a statistic costs, in words and exactly, where that takes one line.

    One exchanged report moves one cell down and another one up: 2, squared or not. A mean's
    total and number, in units of their noise, it moves by 4 (without groups and not squared,
    by 2). Where labels are merged, left out, or ticked, docs/audit/cost.statistic.md counts.
    """
    plan = task["plan"]
    ticked = {field["name"] for field in plan["fields"] if field["kind"] == "multi"}
    bands = {field["name"]: len(field.get("bands", ())) for field in plan["fields"]}
    asked = next(statistic for statistic in plan["statistics"] if statistic["name"] == name)
    if asked["where"] or asked["merge"] or ticked & set(asked.get("count", ())):
        return None
    if asked["kind"] == "distribution" and bands[asked["distribution"]] < 3:
        return None
    mean = asked["kind"] == "mean"
    moved = 4 if mean and (kind == "zcdp" or asked["by"]) else 2
    terms = task["privacy"]["statistics"][name]
    scale = Fraction(terms["sigma" if kind == "zcdp" else "b"])
    most = plan["privacy"]["reports_per_worker"]
    if kind == "zcdp":
        rho = most**2 * moved / (2 * (scale**2 - Fraction(5, 4)))
        return f"{most}^2 * {moved} / (2 * (({scale})^2 - 5/4))", rho
    return f"{most} * {moved} / ({scale})", most * moved / scale


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Hash a list into one value. Source: RFC 6962, 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = merkle_root(leaves[:half]), merkle_root(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def read_heads(path: Path) -> dict[str, str]:
    """Return the heads kept last time, by ledger; none the first time."""
    found: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def keep_heads(path: Path, heads: dict[str, str]) -> None:
    """Keep the heads for next time: signed notes, which prove what was shown here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(heads, indent=2, ensure_ascii=False), "utf-8")
    os.replace(fresh, path)  # noqa: PTH105  (whole, or not at all)


def show(report: AuditResult, pool: str) -> None:
    """Print the verdict of the library's audit, and its faults."""
    print(f"Audit of {pool}: {report.verdict.upper()}. {report.sentence}")
    found = report.counts
    print(f"    {found.files:,} files, {found.signatures:,} signatures, {found.accepted:,} reports")
    for finding in report.findings:
        if finding.severity != "note":
            print(f"    {finding.rule}: {finding.file}: {finding.message}")


def audit(pool: str, trust: Sequence[str], kept: Path, published: Path | None) -> int:
    """Audit a pool, do some of it by hand, compare with last time. Returns the exit code."""
    store = open_store(pool)
    report = audit_pool(store, trust=trust, releases=[published] if published else [])
    show(report, pool)
    auditor, heads = Auditor(store, report), dict(before := read_heads(kept))

    def look(ledger: str) -> None:
        head = auditor.head(ledger, before.get(ledger))
        if head is not None:
            heads[ledger] = head

    auditor.attempt("the releases", auditor.add_up_all, published)
    for ledger in sorted({*report.keys, *before}):
        auditor.attempt(f"the ledger of {ledger}", auditor.account, ledger)
        auditor.attempt(f"the ledger of {ledger}", look, ledger)
    print()
    for fault in auditor.faults:
        print(f"FAULT: {fault}")
    if auditor.faults or report.verdict in ("fail", "untrusted"):
        print("Something does not hold. The heads kept from last time stay as they were.")
        return 1
    keep_heads(kept, heads)
    print(f"All that is there holds; {len(heads)} heads are kept in {kept} for next time.")
    return 0 if report.verdict == "pass" else 3


def main(words: Sequence[str] | None = None) -> int:
    """Run the example as typed; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pool", help="a folder, a URL or a bundle")
    parser.add_argument(
        "--trust", action="append", default=[], help="a round's digest, or an aggregator's key"
    )
    parser.add_argument("--heads", type=Path, required=True, help="where heads are kept")
    parser.add_argument("--release", type=Path, help="a published release.json")
    typed = parser.parse_args(words)
    with errors_to_words():
        return audit(typed.pool, typed.trust, typed.heads / "heads.json", typed.release)


if __name__ == "__main__":
    raise SystemExit(main())

"""What must hold after every step of a history, and how a history ends."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from history_model import ACCEPTED, Expected
from history_plan import STATISTICS
from history_town import Town

from grievance.aggregator import Office
from grievance.audit import audit_pool
from grievance.pool.events import Close
from grievance.pool.noisy import parse_noisy_share
from grievance.release import collect

if TYPE_CHECKING:
    from typing import Any

    from grievance.aggregator.state import BatchRow

NOISE_SDS = 10
"""How far a released number may lie from the truth: by chance once in 10^22 numbers."""


def look(town: Town) -> None:
    """Hold everything that is new in the pool against the model."""
    fresh = town.scan()
    for round_id in town.books:
        folder = f"rounds/{round_id}/"
        mine = [path for path in fresh if path.startswith(folder)]
        if any("/decide/" in path for path in mine):
            check_decisions(town, round_id)
        if any("/noisy/" in path for path in mine):
            check_releases(town, round_id)
    for name in town.aggregators:
        if any(path.startswith(f"ledger/{name}/") for path in fresh):
            check_ledger(town, name)


def expected(town: Town, round_id: str) -> dict[int, Expected]:
    """What every counted batch of a round must come to."""
    book, verified = town.books[round_id], []
    for name in town.aggregators:
        text = "SELECT seq FROM batches WHERE task = ?"
        rows = town.query(town.folder / name, text, book.task.digest)
        verified.append({row[0] for row in rows})
    return book.expect(town.events(round_id), verified)


def check_decisions(town: Town, round_id: str) -> None:
    """Every row got the reason it must have, at all aggregators alike; the sums are exact."""
    wanted, complete = expected(town, round_id), False
    for seq, batch in wanted.items():
        paths = [f"rounds/{round_id}/decide/{seq}/{name}.json" for name in town.aggregators]
        said = [town.body(path) for path in paths if path in town.first]
        for body in said:
            assert body == said[0], f"batch {seq} was decided in two ways"
            assert _codes(body) == batch.codes, f"batch {seq}"
        if len(said) == len(paths) and (round_id, seq) not in town.checked:
            complete = True
    if complete:
        check_sums(town, round_id, wanted)


def _codes(body: dict[str, Any]) -> tuple[str, ...]:
    """The reason code of every row in a decision."""
    bits = base64.urlsafe_b64decode(body["bits"])
    codes = [ACCEPTED if bits[r // 8] >> r % 8 & 1 else "?" for r in range(body["rows"])]
    for row, code, _by in body["refused"]:
        assert codes[row] == "?"
        codes[row] = code
    return tuple(codes)


def check_sums(town: Town, round_id: str, wanted: dict[int, Expected]) -> None:
    """The aggregators' un-noised sums of every batch add up to exactly what counts in it."""
    task = town.books[round_id].task
    rows: list[dict[int, BatchRow]] = []
    sums: list[dict[int, list[int]]] = []
    for name in town.aggregators:
        with Office.open(town.homes[name]) as office:
            bench = office.bench(task)
            rows.append(bench.state.batches(task.digest))
            decided = {seq: row for seq, row in rows[-1].items() if row.decided}
            sums.append({seq: bench.open_sum(seq, row.sum) for seq, row in decided.items()})
    for seq in set(sums[0]).intersection(*sums[1:]) & set(wanted):
        total = task.vdaf.merge([own[seq] for own in sums])
        assert tuple(total) == wanted[seq].total, f"the sum of batch {seq}"
        for own in rows:
            assert own[seq].accepted == wanted[seq].accepted
        town.checked.add((round_id, seq))
        town.tally["sum held against the truth"] += 1


def check_ledger(town: Town, name: str) -> None:
    """The charges of one ledger keep every budget, and none is taken back or made twice."""
    entries = []
    while (path := f"ledger/{name}/{len(entries) + 1}.json") in town.first:
        entries.append(town.body(path))
    town.purses[name].replay(entries)


def check_releases(town: Town, round_id: str) -> None:
    """What is released is the truth and noise, and the same bytes whoever adds it up and when."""
    task = town.books[round_id].task
    truth = [sum(column) for column in zip(*_totals(town, round_id), strict=True)]
    for event in town.events(round_id):
        if event["type"] != "release":
            continue
        release = event["release"]
        paths = [f"rounds/{round_id}/releases/{release}/noisy/{n}.json" for n in town.aggregators]
        if not all(path in town.first for path in paths):
            continue
        shares = [parse_noisy_share(town.first[p], task, i) for i, p in enumerate(paths)]
        for name in shares[0].values:
            scale = float(task.allocations[name].scale) * len(shares) ** 0.5
            modulus = task.vdaf.field.MODULUS
            exact = task.layout.project(name, truth, modulus)
            factors = task.layout.noise_scale(name)
            columns = zip(*(share.values[name] for share in shares), strict=True)
            for column, true, factor in zip(columns, exact, factors, strict=True):
                off = (sum(column) - true + modulus // 2) % modulus - modulus // 2
                message = f"{name} of {release} is not the truth"
                assert abs(off) <= NOISE_SDS * scale * factor, message
        if not town.spoiled:
            data = collect(town.leader.store, task, release).to_bytes()
            assert town.released.setdefault(release, data) == data
            town.tally["release held against the truth"] += 1


def _totals(town: Town, round_id: str) -> list[tuple[int, ...]]:
    zero = (0,) * town.books[round_id].task.layout.num_bits
    return [zero, *(batch.total for batch in expected(town, round_id).values())]


def check_audit(town: Town) -> str:
    """The audit finds nothing in a pool nobody touched, and names every file that was changed.

    A deleted file cannot always be told from one that is still to come, and a changed one that
    comes after another spoilt one is listed as unchecked.
    """
    trust = [town.homes[name].identity.key.fingerprint.hex() for name in town.aggregators]
    report = audit_pool(Path(town.pool), trust=trust)
    named = {finding.file for finding in report.findings}
    assert "audit.error" not in {finding.rule for finding in report.findings}
    assert not report.faults, [str(finding) for finding in report.faults]
    for path, data in town.spoiled.items():
        assert data is None or path in named, f"{path} was changed, and the audit does not say so"
    weighty = [path for path, data in town.spoiled.items() if data and hangs_on(town, path)]
    assert report.verdict != "pass" or not weighty, weighty
    town.tally[f"audit: {report.verdict}"] += 1
    return report.verdict


def hangs_on(town: Town, path: str) -> bool:
    """Whether anything that was ordered hangs on a file.

    A batch that has no place and the papers of somebody nobody admitted are a note at most.
    """
    events = [event for round_id in town.books for event in town.events(round_id)]
    if "/batches/" in path:
        return any(e["type"] == "batch" and path.endswith(f"-{e['batch']}") for e in events)
    admitted = {e["partner"] for e in events if e["type"] == "admit"} | set(town.aggregators)
    return (
        not path.startswith("partners/") or path.split("/")[1].split(".", maxsplit=1)[0] in admitted
    )


def finish(town: Town) -> None:
    """Mend whatever is broken, bring every round to its release, and look at everything again."""
    check_audit(town)
    for name in town.aggregators:
        town.sync_one(name)
        look(town)
    town.heal_all()
    for name in {*town.old, *town.unsure}:
        town.rebuild(name)
        look(town)
    settle(town)
    for round_id in town.books:
        town.round_id = round_id
        check_complete(town)
        _close(town)
    settle(town)
    for round_id in town.books:
        town.round_id = round_id
        _release_rest(town)
    settle(town)
    for round_id in town.books:
        check_complete(town, round_id)
        check_decisions(town, round_id)
        check_releases(town, round_id)
    for name in town.aggregators:
        check_ledger(town, name)
    assert check_audit(town) == "pass"


def settle(town: Town) -> None:
    """Sync until nobody has anything left to do."""
    for _ in range(12):
        results = town.sync()
        look(town)
        if not any(result.done or result.written for result in results):
            return
    raise AssertionError("the aggregators do not come to rest")


def check_complete(town: Town, round_id: str | None = None) -> None:
    """Nothing waits: what was relayed has its place and is decided, what was ordered is out."""
    round_id = round_id or town.round_id
    book, events = town.books[round_id], town.events(round_id)
    partners = {e["partner"] for e in events if e["type"] == "admit"}
    partners -= {e["partner"] for e in events if e["type"] == "expel"}
    ordered = {e["batch"] for e in events if e["type"] == "batch"}
    if all(e["type"] != "close" for e in events):
        waiting = {d for d, (relay, _, _) in book.batches.items() if relay in partners}
        assert waiting <= ordered, "a batch of a partner has no place"
    for seq in expected(town, round_id):
        for name in town.aggregators:
            assert f"rounds/{round_id}/decide/{seq}/{name}.json" in town.first, f"batch {seq}"
    out: set[str] = set()
    for event in (e for e in events if e["type"] == "release"):
        folder = f"rounds/{round_id}/releases/{event['release']}"
        names = set(town.body(f"{folder}/proposal.json")["statistics"])
        if names & out:
            continue
        out |= names
        for name in town.aggregators:
            assert f"{folder}/noisy/{name}.json" in town.first, f"{event['release']} is stuck"


def _close(town: Town) -> None:
    """Close the round and answer every proposal."""

    def close(office: Office) -> None:
        _, chain = office.open_bench(town.round_id)
        office.order(chain, Close())
        office.publish()

    if all(event["type"] != "close" for event in town.events(town.round_id)):
        town.at_office("north", close)
    for release, who in open_proposals(town):
        for name in who:
            town.answer(name, release)
    look(town)


def _release_rest(town: Town) -> None:
    """Release what is left of a closed and decided round, where it may be."""
    accepted = sum(batch.accepted for batch in expected(town, town.round_id).values())
    minimum = town.book.task.plan.privacy.minimum_reports
    left = [name for name in STATISTICS if name not in spoken_for(town)]
    if accepted >= minimum and left:
        release = town.propose(statistics=left)
        for name in town.aggregators[1:]:
            town.answer(name, release.release_id)
        look(town)
        town.tally["released at the end"] += 1


def proposals(town: Town) -> dict[str, tuple[set[str], dict[str, str]]]:
    """Every proposal of the round: its statistics, and the answers by aggregator."""
    found = {}
    folder = f"rounds/{town.round_id}/releases/"
    for path in town.first:
        if path.startswith(folder) and path.endswith("/proposal.json"):
            release = path.removeprefix(folder).split("/")[0]
            answers = {}
            for name in town.aggregators:
                given = f"{folder}{release}/approvals/{name}.json"
                if given in town.first:
                    answers[name] = town.body(given)["answer"]
            found[release] = (set(town.body(path)["statistics"]), answers)
    return found


def open_proposals(town: Town) -> list[tuple[str, list[str]]]:
    """Proposals that nobody declined and somebody has not answered, with whoever that is."""
    found = []
    for release, (_, answers) in sorted(proposals(town).items()):
        missing = [name for name in town.aggregators if name not in answers]
        if missing and "decline" not in answers.values():
            found.append((release, missing))
    return found


def spoken_for(town: Town) -> set[str]:
    """Statistics that are released, or about to be."""
    kept = [names for names, given in proposals(town).values() if "decline" not in given.values()]
    return set().union(*kept)

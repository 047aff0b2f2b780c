"""The audit of a whole pool, from its files alone."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.audit.batches import check_batches
from grievance.audit.bundles import check_bundle, note_left_out
from grievance.audit.campaigns import check_campaigns, check_heads, owners
from grievance.audit.chain import walk
from grievance.audit.decisions import check_decisions
from grievance.audit.evidence import check_evidence_files
from grievance.audit.files import PoolFiles
from grievance.audit.inspection import Inspection
from grievance.audit.ledgers import check_ledgers
from grievance.audit.needs import check_begun
from grievance.audit.newer import check_newer, seen_heads
from grievance.audit.opening import note_followed, open_rounds
from grievance.audit.organisations import check_organisations
from grievance.audit.published import FILE_NAME, LIMIT, check_published, check_published_bytes
from grievance.audit.releases import check_releases
from grievance.audit.result import SEVERITIES, AuditResult, Counts, verdict_of
from grievance.audit.rules import RULES
from grievance.audit.strangers import check_strangers
from grievance.audit.telling import campaign_totals, round_facts
from grievance.audit.trust import check_trust
from grievance.crypto.fingerprint import short
from grievance.errors import UsageError
from grievance.pool.bundle import BundleStore
from grievance.pool.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.audit.facts import RoundFacts
    from grievance.audit.ledgers import Ledger
    from grievance.audit.once import Statements
    from grievance.audit.opening import OpenedRound
    from grievance.audit.releases import AuditedRelease
    from grievance.crypto.signing import VerifyingKey
    from grievance.pool.store import Store

Progress = "Callable[[str, int, int], None]"


def _quiet(_what: str, _done: int, _total: int) -> None:
    pass


def audit_pool(
    pool: str | Path | Store,
    *,
    trust: Sequence[str] = (),
    round_id: str | None = None,
    releases: Sequence[str | Path] = (),
    newer_than: Sequence[str] = (),
    all_files: bool = False,
    statements: Statements | None = None,
    label: str = "",
    progress: Callable[[str, int, int], None] = _quiet,
) -> AuditResult:
    """Check everything in a pool that can be checked. Anyone can run this; it changes nothing.

    Args:
        pool: A folder, an fsspec URL, or an open store.
        trust: Digests of rounds, or fingerprints of aggregators, known from outside the pool.
        round_id: Look at the files of this round only; tasks and ledgers are read as a whole.
        releases: Published release.json files; what stands beside them is for `release check`.
        newer_than: Heads, bundles or copies of the pool that it must not be older than.
        all_files: Read every file that no place knows, however many and large.
        statements: What was signed in other pools, to hold this one against; it is added to.
        label: What to call this pool where there are several.
        progress: Called as progress(what, done, total).

    Raises PoolError when there is no such pool, TrustError for a malformed anchor, UsageError
    for a round that is not there. Everything in the pool itself becomes a finding.
    """
    began = time.monotonic()
    store = open_store(pool) if isinstance(pool, str | Path) else pool
    inspection = Inspection(PoolFiles(store), statements, label)
    audit = _Audit(inspection, round_id, progress, all_files=all_files)
    audit.run(trust, releases, newer_than)
    return audit.result(time.monotonic() - began)


class _Audit:
    def __init__(
        self,
        inspection: Inspection,
        only: str | None,
        progress: Callable[[str, int, int], None],
        *,
        all_files: bool,
    ) -> None:
        self.inspection, self.only, self.progress = inspection, only, progress
        self.all_files = all_files
        self.rounds: dict[str, OpenedRound] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.releases: list[AuditedRelease] = []
        self.vouched = self.anchored = False
        self.batches = self.reports = self.accepted = 0
        self.keys: dict[str, set[VerifyingKey]] = {}
        self.facts: list[RoundFacts] = []

    def run(
        self, trust: Sequence[str], published: Sequence[str | Path], newer_than: Sequence[str]
    ) -> None:
        inspection = self.inspection
        inspection.step("bundle", check_bundle, inspection, self.progress)
        self.rounds = open_rounds(inspection, trust)
        self.anchored = bool(trust)
        if self.only is not None and self.only not in inspection.files.inner("rounds"):
            raise UsageError(
                f"this pool has no round {self.only!r:.60}",
                code="round.missing",
                hint=f"there are: {', '.join(self.rounds) or 'none'}",
            )
        if self.only in inspection.strange:
            message = "nobody vouched for has signed this round, so it was not looked at"
            inspection.uncertain("task.trust", f"rounds/{self.only}", message)
        rounds = list(self.rounds.values())
        note_followed(inspection, rounds)
        self.vouched = check_trust(inspection, rounds, trust)
        # Where two rounds contradict each other, the one that nobody vouched for is named.
        rounds.sort(key=lambda opened: not opened.vouched)
        keys = owners(inspection, rounds)
        inspection.step("rounds", check_campaigns, inspection, rounds)
        self.ledgers = check_ledgers(inspection, rounds, keys)
        check_newer(inspection, self.ledgers, newer_than)
        roots = {name: ledger.roots for name, ledger in self.ledgers.items()}
        inspection.step("rounds", check_heads, inspection, rounds, roots)
        for name, key in keys.items():
            self.keys.setdefault(name, set()).add(key)
        for opened in rounds:
            if self.only in (None, opened.task.round_id):
                where = opened.paths.folder
                inspection.step(where, self._check_round, opened)
            else:
                inspection.claimed.update(inspection.files.under(opened.paths.folder))
        titles: dict[VerifyingKey, set[str]] = {}
        for party in (party for opened in rounds for party in opened.task.aggregators):
            titles.setdefault(party.identity, set()).add(party.display_name)
        inspection.step("partners", check_organisations, inspection, self.keys, titles)
        self._check_published(published)
        self._check_rest()

    def _check_round(self, opened: OpenedRound) -> None:
        inspection = self.inspection
        check_begun(inspection, opened)
        note_left_out(inspection, opened)
        order = walk(inspection, opened)
        for name, key in order.chain.partners.items():
            self.keys.setdefault(name, set()).add(key)
        batches = check_batches(inspection, opened, order, self.progress)
        decisions = check_decisions(inspection, opened, order, batches)
        accepted = decisions.accepted_set(order)
        found = check_releases(inspection, opened, order, accepted, self.ledgers)
        self.releases += found
        self.batches += len(order.chain.batches)
        self.reports += sum(batch.rows for batch in order.chain.counted)
        self.accepted += accepted[0] if accepted is not None else 0
        self.facts.append(round_facts(opened, order, accepted, found, self.ledgers))

    def _check_published(self, published: Sequence[str | Path]) -> None:
        inspection = self.inspection
        for place in published:
            inspection.step(str(place), check_published, inspection, place, self.releases)
        # Not a file that a pool needs, but one that can be recomputed, so it may lie there.
        for release in self.releases:
            folder = f"{release.opened.paths.releases}/{release.release_id}"
            data = inspection.read(f"{folder}/{FILE_NAME}", LIMIT)
            if data is not None:
                check_published_bytes(
                    inspection, f"{folder}/{FILE_NAME}", data, self.releases, self._lies
                )

    def _lies(self, _rule: str, path: str, message: str) -> None:
        """Anybody can leave a release.json in the pool; what it says is for the pool to say."""
        words = f"not ours, nobody signs a release.json: {message}; do not use it"
        self.inspection.note("release.sum", path, words)

    def _check_rest(self) -> None:
        """Whatever no step has dealt with is tried as what it may be."""
        inspection, rounds = self.inspection, list(self.rounds.values())
        inspection.step("evidence", check_evidence_files, inspection, rounds)
        strangers = partial(check_strangers, inspection, rounds, all_files=self.all_files)
        within = "" if self.only is None else f"rounds/{self.only}/"
        inspection.step("files of other names", partial(strangers, within=within))

    def result(self, seconds: float) -> AuditResult:
        inspection = self.inspection
        kept = sorted(
            inspection.findings,
            key=lambda f: (SEVERITIES.index(f.severity), f.file, f.rule),
        )
        return AuditResult(
            verdict=verdict_of(kept, vouched=self.vouched),
            vouched=self.vouched,
            anchored=self.anchored,
            findings=tuple(kept),
            omitted=inspection.omitted,
            counts=Counts(
                files=len(inspection.files.sizes),
                rules=len(RULES),
                signatures=inspection.signatures,
                rounds=len(self.rounds),
                batches=self.batches,
                reports=self.reports,
                accepted=self.accepted,
                releases=sum(release.totals is not None for release in self.releases),
            ),
            campaigns=campaign_totals(list(self.rounds.values()), self.ledgers),
            rounds={name: opened.task.short_digest for name, opened in self.rounds.items()},
            keys={name: short(ledger.key.fingerprint) for name, ledger in self.ledgers.items()},
            heads=seen_heads(self.ledgers),
            details=tuple(sorted(self.facts, key=lambda facts: facts.round_id)),
            bundle=_bundle(inspection.files.store),
            rehearsals=tuple(n for n, opened in self.rounds.items() if opened.task.rehearsal),
            seconds=seconds,
        )


def _bundle(store: Store) -> str:
    return store.manifest.made_with if isinstance(store, BundleStore) else ""

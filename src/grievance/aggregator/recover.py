"""Rebuild a lost state from the pool: our own signed files, our keys, what others cosigned.

Everything an aggregator did is a pure function of the order chain and its keys, so it can be
done again and held against what it published. The first byte that differs stops it: then
the pool, the keys or this program are not what they were, and going on could spend budget
twice or verify a nonce with other bytes. Source: docs/design.md, section 8.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from grievance.aggregator import arrivals, asked, batches, decisions, releases, shares
from grievance.aggregator.bench import find_batch
from grievance.aggregator.consent import keep_card
from grievance.aggregator.office import Office
from grievance.aggregator.state import open_state
from grievance.aggregator.watched import watched
from grievance.errors import GrievanceError, LedgerError, SignatureError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.history import History
from grievance.ledger import AloneEvent, LedgerEntry, ReleaseEvent, read_ledger
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, check_cosignature
from grievance.ledger.cosigned import read_checkpoint
from grievance.pool.decisions import decision_limit, read_signed_header, verify_size
from grievance.pool.layout import (
    RoundPaths,
    checkpoint_path,
    cosignature_path,
    fork_path,
    heads_request_path,
    ledger_path,
    share_path,
)
from grievance.pool.noisy import LIMIT, digest_of
from grievance.pool.order import read_chain
from grievance.pool.proposals import read_releases
from grievance.pool.rounds import invitation_of, own_cards, read_task_and_signatures
from grievance.pool.store import SMALL_FILE_SIZE, find, sync_folder
from grievance.pool.waivers import read_waivers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from grievance.aggregator.asked import Told
    from grievance.aggregator.bench import Bench
    from grievance.home import Home
    from grievance.ledger import LedgerLog
    from grievance.pipelines import Crew
    from grievance.pool.order import OrderChain, OrderedBatch
    from grievance.task import Card, Task


def recover(
    home: Home,
    told: Told,
    progress: Callable[[str, int, int], None] = lambda _w, _d, _t: None,
    *,
    reference: bool = False,
) -> list[str]:
    """Rebuild `state.sqlite`. Returns what was recovered, in words.

    `told` is what others say of our ledger (`asked.ask`): the pool alone may be an older copy.
    With `reference` no kernel has a part in it.
    Raises UsageError while there is a state (move it away first), StateError `recover.*` at the
    first thing that differs from what we published.
    """
    check_no_state(home)
    fresh = home.state_path.with_name("state.recovering")
    with home.lock():
        _discard(fresh)
        with open_state(fresh) as state:
            done = _Recovery(Office(home, state, reference=reference), told, progress).run()
        failpoint("recover.rebuilt")
        fresh.rename(home.state_path)
        sync_folder(home.root)
        failpoint("recover.renamed")
        asked.forget_question(home)
    return done


def check_no_state(home: Home) -> None:
    """Raise UsageError while there is a state: it may know what the pool does not show."""
    if home.state_path.exists():
        raise UsageError(
            f"there is a state at {home.state_path}",
            code="recover.state",
            hint="if it is older than the pool, move it away (do not delete it), then run this",
        )


def _discard(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class _Recovery:
    def __init__(
        self, office: Office, told: Told, progress: Callable[[str, int, int], None]
    ) -> None:
        self.told = told
        self.office, self.home, self.state = office, office.home, office.state
        self.store, self.progress = office.home.store, progress
        self.done: list[str] = []
        self.cards: dict[str, Card] = {}

    def run(self) -> list[str]:
        self.cards = own_cards(self.store, self.home.identity)
        signed = [(card, self._signed_task(card.round_id)) for card in self.cards.values()]
        # A campaign's tasks are chained: the reserved budget grows from one to the next.
        signed.sort(key=lambda pair: pair[1].reserved.amount if pair[1] else 0)
        for card, task in signed:
            self._files_of_round(card, task)
        log = self._ledger([task for _, task in signed if task is not None])
        for _, task in signed:
            if task is None:
                continue
            if log.destroyed(task.digest):
                self._destroyed(task)
            else:
                self._round(task, log)
        self._witnessed()
        if self.told.alone:
            self._alone(log, [task for _, task in signed if task is not None])
        return self.done

    def _alone(self, log: LedgerLog, signed: list[Task]) -> None:
        """Say in our ledger that nobody outside confirmed it; the question stays open."""
        request = self.told.request or b""
        self._keep(heads_request_path(self.home.name, request.hex()[:16]))
        if not signed:
            return
        task = signed[-1]
        event = AloneEvent(self.told.answered)
        entry = LedgerEntry.sign(
            self.home.key,
            ledger=self.home.name,
            after=log.last,
            campaign=task.campaign,
            task=task.digest,
            spent=log.spent(task.campaign, task.cost.kind),
            event=event,
        )
        log.append(entry)
        with self.state.transaction():
            self.state.add_entry(entry.size, entry.data)
            failpoint("recover.alone")
            self.state.set_alone(request)
            releases.spool_entry(self.state, log, self.home.key)
        self.done.append(
            f"entry {entry.size} of our ledger says that we recovered alone, for everybody to read"
        )

    def _signed_task(self, round_id: str) -> Task | None:
        found = read_task_and_signatures(self.store, round_id)
        if found is None or self.home.name not in found[1]:
            return None
        # Somebody else's task may name us, with a key that is not ours.
        ours = found[0].aggregators[found[0].index_of(self.home.name)].identity
        return found[0] if ours == self.home.key.public else None

    def _keep(self, path: str, limit: int = SMALL_FILE_SIZE) -> bytes | None:
        """Take one of our own files back into the spool, as it lies in the pool."""
        data = find(self.store, path, limit)
        if data is None:
            return None
        with self.state.transaction():
            self.state.spool(path, bytes(data))
            failpoint("recover.kept")
        return bytes(data)

    def _files_of_round(self, card: Card, task: Task | None) -> None:
        """Our card, and what it says that we agreed to, where the pool still has that."""
        paths, leads = RoundPaths(card.round_id), card.index == 0
        agreed = invitation_of(self.store, card)
        with self.state.transaction():
            self.state.spool(paths.card(self.home.name), card.data)
            if agreed is not None:
                self.state.add_consent(card.round_id, agreed.plan_bytes, agreed.card.data)
                if leads:
                    self.state.spool(paths.plan, agreed.plan_bytes)
        keep_card(self.home, card)
        if agreed is None:
            self.done.append(
                f"{card.round_id}: the plan and the invitation that our card names are not here as "
                "we agreed to them; nothing is signed under anything else"
            )
        if task is None:
            return
        if leads:
            self._keep(paths.task)
            self._keep(paths.verify_key)
        self._keep(paths.signature(self.home.name))
        with self.state.transaction():
            self.state.add_task(task.digest, task.round_id, task.campaign, task.data)
        self.done.append(f"{task.round_id}: the task we signed")

    def _ledger(self, signed: list[Task]) -> LedgerLog:
        """Our ledger from the pool; nothing that we signed may say that it is longer."""
        name = self.home.name
        log = read_ledger(self.store, name, self.home.key.public)
        beyond = arrivals.unknown_charge(self.home, log.entries, sorted(self.cards), signed)
        if beyond is not None:
            raise StateError(
                f"{beyond} carries our signature and follows from an entry of our ledger that is "
                f"not here: only {len(log.entries)} have arrived",
                code="recover.ledger",
                hint="wait until the pool has arrived whole; if entries are gone, stop here",
            )
        for head in self.told.heads:
            head.check(log, self.home.key.public)
        with self.state.transaction():
            for entry in log.entries:
                self.state.add_entry(entry.size, entry.data)
        for entry in log.entries:
            for path in (ledger_path(name, entry.size), checkpoint_path(name, entry.size)):
                self._keep(path)
            self._keep(share_path(name, entry.size), LIMIT)
        if log.entries:
            self.done.append(f"our ledger, {len(log.entries)} entries")
        self.done.extend(
            f"{path} cannot be checked, for our head of that size is not here: if you released "
            "something after what is listed here, wait until it has arrived before you sync"
            for path in arrivals.unchecked_cosignatures(self.home, len(log.entries))
        )
        return log

    def _destroyed(self, task: Task) -> None:
        """Nothing of it can be opened: keys that a backup gave back go at the next sync."""
        with self.state.transaction():
            self.state.forget_round(task.digest)
        self.done.append(f"{task.round_id}: we destroyed it; it stays so")

    def _round(self, task: Task, log: LedgerLog) -> None:
        bench, chain = self.office.bench(task), read_chain(self.store, task)
        leads = bench.seat.index == 0
        with self.state.transaction():
            for seq, data in enumerate(chain.files, start=1):
                self.state.see_order(task.digest, seq, data)
        for seq in range(1, chain.length + 1):
            if leads:
                self._keep(bench.paths.order(seq))
        rows = sum(batch.rows for batch in chain.batches)
        with bench.crew(rows) as crew:
            last = self._last_checked(bench, chain)
            deciding = True
            for batch in chain.batches:
                if batch.seq > last:
                    break
                if batch.seq in chain.voided:
                    self._voided(bench, batch, crew, deciding=deciding)
                else:
                    self._examine(bench, batch, crew)
                    # In the order of the chain: a batch that waits makes later ones wait.
                    deciding = self._decide(bench, batch, crew, deciding=deciding)
        for view in read_releases(self.store, task):
            if view.proposal.proposer == self.home.name:
                self._keep(bench.paths.proposal(view.release_id))
            if self.home.name in view.answers:
                self._keep(bench.paths.approval(view.release_id, self.home.name))
            if self.home.name in read_waivers(self.store, task, view.release_id):
                self._keep(bench.paths.waiver(view.release_id, self.home.name))
            entry = log.release(task.digest, view.release_id)
            if entry is not None:
                self._share(bench, entry.size, entry.event)

    def _last_checked(self, bench: Bench, chain: OrderChain) -> int:
        """The last batch about which we signed something; up to it we had checked them all."""
        history = History(bench.seat.task, self.store, chain)
        for batch in reversed(chain.batches):
            if history.verified(batch, bench.name) or history.decided(batch, bench.name):
                return batch.seq
        return 0

    def _voided(self, bench: Bench, batch: OrderedBatch, crew: Crew, *, deciding: bool) -> None:
        """Do a voided batch again where we had verified it: what it burnt stays burnt."""
        path, task = bench.paths.verify(batch.seq, bench.name), bench.seat.task
        published = find(self.store, path, verify_size(task, batch.rows))
        if published is None:
            return
        if find_batch(bench, batch) is not None:
            self._examine(bench, batch, crew)
            self._decide(bench, batch, crew, deciding=deciding)
        else:
            self._keep(path, verify_size(task, batch.rows))
            self.done.append(
                f"{task.round_id}: batch {batch.seq} was voided and is gone; the nonces we "
                "verified in it are not remembered any more"
            )

    def _examine(self, bench: Bench, batch: OrderedBatch, crew: Crew) -> None:
        """Do a batch again and hold it against our published findings.

        Findings that are gone from the pool while later files of ours are there are made anew in
        their turn. They are encrypted anew too, but say what the first ones said, so nobody
        who kept those has two versions (`ledger.versions`).
        """
        task, path = bench.seat.task, bench.paths.verify(batch.seq, bench.name)
        published = find(self.store, path, verify_size(task, batch.rows))
        view = find_batch(bench, batch)
        if view is None:
            raise StateError(
                f"batch {batch.seq} is not in the pool, but we have checked it",
                code="recover.batch",
                hint=f"wait until the pool has arrived whole; if it stays so, ask {batch.partner} "
                "for the file as they made it",
            )
        progress = partial(self.progress, f"doing batch {batch.seq} again")
        if published is None:
            with self.state.transaction():
                batches.verify_batch(bench, batch, view, crew, progress)
            self.done.append(
                f"{task.round_id}: batch {batch.seq}; what we had found in it was gone from the "
                "pool and is made again"
            )
            return
        try:
            header = read_signed_header(published, task, batch, bench.seat.index)
        except GrievanceError as error:
            raise _differs(path, str(error)) from None
        with self.state.transaction():
            findings = batches.examine(bench, batch, view, crew, progress)
            digest = hashlib.sha256(findings.found.plaintext()).digest()
            if digest != header.plaintext_digest:
                raise _differs(path, "it is not what we find today")
            self.state.spool(path, bytes(published))
            batches.keep_findings(bench, batch, findings)
        self.done.append(f"{task.round_id}: batch {batch.seq}")

    def _decide(self, bench: Bench, batch: OrderedBatch, crew: Crew, *, deciding: bool) -> bool:
        """Decide a batch again as we did; False where a later sync has to.

        That is where an earlier batch waits, or our decision or a peer's findings have not
        arrived. A decision of ours that has is kept: the sync must come to the same bytes.
        """
        path, view = bench.paths.decide(batch.seq, bench.name), find_batch(bench, batch)
        limit = decision_limit(batch.rows)
        if find(self.store, path, limit) is None or view is None:
            return False
        own, size = bench.seat.index, len(bench.seat.task.aggregators)
        others = [i for i in range(size) if i != own] if deciding else []
        found = {i: decisions.read_findings(bench, batch, i) for i in others}
        if not deciding or None in found.values():
            if decisions.read_decision(bench, batch, own) is not None:
                self._keep(path, limit)
            return False
        self._keep(path, limit)
        try:
            # Spooling other bytes than those kept above is refused.
            decisions.decide_batch(bench, batch, view, crew, [found.get(i) for i in range(size)])
        except StateError as error:
            raise _differs(path, str(error)) from None
        return True

    def _share(self, bench: Bench, size: int, event: ReleaseEvent) -> None:
        """The noisy share of a charged release: published, or sealed to us beside the entry."""
        path = bench.paths.noisy(event.release, bench.name)
        share = self._keep(path, LIMIT) or shares.sealed_share(bench, size, event)
        if share is None:
            self.done.append(
                f"{bench.seat.task.round_id}: release {event.release} was charged, but its noisy "
                f"share has not arrived; sync takes it in when {share_path(bench.name, size)} "
                "is there, and without it the release can never be completed"
            )
            return
        if digest_of(share) != event.noisy_share:
            raise _differs(path, "it is not the share our ledger names")
        sealed = releases.seal_share_at_rest(bench, event.release, share)
        with self.state.transaction():
            self.state.add_share(bench.seat.task.digest, event.release, sealed)
        self.done.append(f"{bench.seat.task.round_id}: the noisy share of {event.release}")

    def _witnessed(self) -> None:
        """The last head of every peer's ledger that carries our own cosignature."""
        for name, ledger in watched(self.home, self.state).items():
            key = ledger.key
            log = read_ledger(self.store, name, key)
            for size in range(1, len(log.entries) + 1):
                checkpoint = read_checkpoint(self.store, name, key, size)
                path = cosignature_path(name, size, self.home.name)
                line = find(self.store, path, MAX_NOTE_SIZE)
                if checkpoint is None or line is None:
                    if ledger.peer:
                        break
                    continue
                try:
                    check_cosignature(bytes(line), checkpoint, self.home.name, self.home.key.public)
                except (LedgerError, SignatureError) as error:
                    raise _differs(path, str(error)) from None
                self._keep(path)
                self._keep(fork_path(name, size, self.home.name))
                with self.state.transaction():
                    self.state.witness(key.raw, name, size, checkpoint.root, checkpoint.data)


def _differs(path: str, why: str) -> StateError:
    return StateError(
        f"{path} differs from what we would publish today: {why}",
        code="recover.differs",
        hint="stop here and keep everything; the pool, the keys or the program have changed",
    )

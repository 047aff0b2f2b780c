"""A rehearsal: a second aggregator on the same machine, to try a round out.

There is no split trust in it, which is why the cards and the task say so, every command
says so, and a rehearsal's task can never be mistaken for a real one: the flag is part of
what workers' devices check and show. Who destroys a rehearsal destroys it on both sides: the
helper follows its organisation whenever it works, also after a run that was cut short.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator import consent, destroy
from grievance.aggregator.office import Office
from grievance.aggregator.releases import answer
from grievance.aggregator.rounds import join_round
from grievance.aggregator.run import SyncResult, sync
from grievance.errors import GrievanceError
from grievance.home import Home
from grievance.pool.layout import RoundPaths
from grievance.pool.proposals import Approval, read_releases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grievance.pool.rounds import Invitation


def _helper_root(home: Home) -> Path:
    return home.root / "rehearsal-helper"


def make_helper(home: Home) -> Home:
    """The local helper organisation of an organisation's rehearsals, made when first needed."""
    root = _helper_root(home)
    if (root / "organisation.json").exists():
        helper = Home.open(root, home.passphrase)
        _introduce(home, helper)
        return helper
    name = f"{home.name[:30]}-rehearsal"
    display = f"{home.display_name} (rehearsal helper)"
    helper = Home.create(root, name, display, home.pool, home.passphrase)
    _introduce(home, helper)
    return helper


def _introduce(home: Home, helper: Home) -> None:
    """Let the two know each other's keys, also where an earlier run was cut short."""
    if helper.known_key(home.name) is None:
        helper.trust(home.identity)
    if home.known_key(helper.name) is None:
        home.trust(helper.identity)


def sync_helper(home: Home, *, reference: bool = False) -> SyncResult:
    """Do everything the local helper can do, consent included; nothing where there is no helper.

    It acts in rehearsals that `home` itself leads: an invitation to a real round, or by anybody
    else, is left alone. Rounds that `home` has destroyed it destroys too. What goes wrong in one
    round is among the `faults` and stops no other. `reference` as `Desk.open` takes it.
    """
    result = SyncResult()
    helper = find_helper(home)
    if helper is None:
        return result
    with Office.open(home) as office:
        given_up, rehearsals = _destroyed(office), _rehearsals(office, helper)
    with Office.open(helper, reference=reference) as office:
        for invitation in rehearsals:
            if office.state.outgoing(RoundPaths(invitation.round_id).card(helper.name)) is not None:
                continue
            with _collect(result):
                join_round(helper, office.state, invitation)
                result.done.append(f"{invitation.round_id}: the local helper joined")
        synced = sync(office)
        result.done += synced.done
        result.faults += synced.faults
        for invitation in rehearsals:
            with _collect(result):
                if _approve_all(office, invitation.round_id):
                    result.done.append(f"{invitation.round_id}: the local helper approved")
        for round_id in given_up:
            with _collect(result):
                if _destroy(office, round_id):
                    result.done.append(f"{round_id}: the local helper destroyed its keys")
        result.written = synced.written + len(office.publish())
    return result


def _rehearsals(office: Office, helper: Home) -> list[Invitation]:
    """The rehearsals that an organisation leads and its local helper takes part in.

    From its own state, not from the pool: the helper agrees to what the steward was shown.
    """
    found = []
    for round_id in consent.joined(office.home, office.state):
        with contextlib.suppress(GrievanceError):
            agreed = consent.find_consent(office.home, office.state, round_id)
            if agreed is None or agreed.leader != office.home.identity:
                continue
            invitation = agreed.invitation
            if invitation.card.rehearsal and helper.identity in invitation.members:
                found.append(invitation)
    return found


@contextlib.contextmanager
def _collect(result: SyncResult) -> Iterator[None]:
    """Keep what goes wrong in one round as a fault."""
    try:
        yield
    except GrievanceError as error:
        result.faults.append(error)


def helper_key_files(home: Home, round_id: str) -> list[Path]:
    """The files with keys of a rehearsal in the local helper's folder; none in a real round."""
    helper = find_helper(home)
    return destroy.files_of(helper, round_id) if helper is not None else []


def helper_pending(home: Home, round_id: str) -> list[str]:
    """What the local helper would lose if a rehearsal's keys were deleted now, in words."""
    helper = find_helper(home)
    if helper is None:
        return []
    with Office.open(helper) as office:
        task = office.task(round_id)
        if task is None or office.state.is_destroyed(task.digest):
            return []
        return destroy.pending(office, office.chain(task))


def find_helper(home: Home) -> Home | None:
    """The local helper of an organisation's rehearsals, where there is one."""
    if not (_helper_root(home) / "organisation.json").exists():
        return None
    return Home.open(_helper_root(home), home.passphrase)


def _destroyed(office: Office) -> list[str]:
    """The rehearsals whose keys an organisation has given up."""
    found = (tasks.parse_task(data) for data in office.state.tasks())
    return [t.round_id for t in found if t.rehearsal and office.state.is_destroyed(t.digest)]


def _destroy(office: Office, round_id: str) -> bool:
    """Destroy a rehearsal in the helper's folder, unless something there still needs its keys."""
    task = office.task(round_id)
    if task is None or office.state.is_destroyed(task.digest):
        return False
    chain = office.chain(task)
    if destroy.pending(office, chain):
        return False
    destroy.destroy(office, chain)
    return True


def _approve_all(office: Office, round_id: str) -> bool:
    task = office.task(round_id)
    if task is None or office.state.is_destroyed(task.digest):
        return False
    bench, chain = office.open_bench(round_id)
    did = False
    for view in read_releases(office.home.store, bench.seat.task):
        if bench.name not in view.answers and view.declined_by is None:
            answer(bench, chain, view.release_id, Approval(bench.name, "approve", "rehearsal"))
            did = True
    return did

"""The organisations of a pool that add nothing up in a round, and could watch it.

They are those with an identity in `partners/`; an organisation that only hands out links has
none, and cannot sign.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from grievance.errors import GrievanceError, LedgerError, SignatureError
from grievance.home import read_identity
from grievance.ledger import read_ledger
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, check_cosignature
from grievance.ledger.cosigned import read_checkpoint, witnesses_of
from grievance.names import is_name
from grievance.plan.witnesses import MAX_WITNESSES, witness_keys, write_out
from grievance.plan.words import day_in_words
from grievance.pool.layout import cosignature_path
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import VerifyingKey
    from grievance.home import Home
    from grievance.plan import Plan
    from grievance.pool.store import Store
    from grievance.task import Identity, Task


def organisations(home: Home, members: Sequence[Identity]) -> dict[str, VerifyingKey]:
    """Everybody in the pool but the aggregators of a round, whom we compared first.

    One that has another key than the one we compared is left out.
    """
    inside = {member.name for member in members} | {member.key for member in members}
    found: dict[str, VerifyingKey] = {}
    for file in home.store.names("partners"):
        name = file.removesuffix(".json")
        if not is_name(name) or name in inside:
            continue
        try:
            key = read_identity(home.store, name).key
        except GrievanceError:
            continue
        if key not in inside and home.known_key(name) in (None, key):
            found[name] = key
    compared = {name: key for name, key in found.items() if home.known_key(name) == key}
    return dict([*compared.items(), *((n, k) for n, k in found.items() if n not in compared)])


def with_witnesses(
    home: Home, plan_bytes: bytes, members: Sequence[Identity], *, rehearsal: bool
) -> bytes:
    """The plan that a leader publishes: with its witnesses written out. Run by `round new`.

    A rehearsal is held alone, so nobody watches it.
    """
    found = {} if rehearsal else organisations(home, members)
    first = dict(list(found.items())[:MAX_WITNESSES])
    return write_out(plan_bytes.decode("utf-8"), first).encode("utf-8")


def quiet_witnesses(store: Store, task: Task) -> list[str]:
    """Witnesses who have cosigned nothing of a round's ledgers since its plan's closing day.

    In words, for whoever proposes a release: it will wait for them.
    """
    last: dict[str, date] = {}
    among = witnesses_of(task)
    for party in task.aggregators:
        for size in range(1, len(read_ledger(store, party.name, party.identity).entries) + 1):
            head = read_checkpoint(store, party.name, party.identity, size)
            if head is None:
                continue
            for name, key in among.items():
                data = find(store, cosignature_path(party.name, size, name), MAX_NOTE_SIZE)
                with contextlib.suppress(LedgerError, SignatureError):
                    seconds = check_cosignature(bytes(data or b""), head, name, key)
                    day = datetime.fromtimestamp(seconds, UTC).date()
                    last[name] = max(day, last.get(name, day))
    return [
        f"{name} has signed nothing here since {day_in_words(last[name])}"
        if name in last
        else f"{name} has signed nothing here yet"
        for name in among
        if name not in last or last[name] < task.plan.closes
    ]


def compared_witnesses(home: Home, plan: Plan) -> dict[str, VerifyingKey]:
    """The witnesses of a plan whose key this home itself has compared."""
    return {n: key for n, key in witness_keys(plan).items() if home.known_key(n) == key}

"""A round and attacks on it for `python -O`: every check is an `if` that raises.

`python -O optimised_round.py FOLDER [--without GUARD]`, with the folder of tests in PYTHONPATH.
Ends with 0 only when everything that
must be refused was refused, with the right code, and everything honest went through. `--without`
puts a test double in the place of one guard, which must be noticed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dishonest import TINY_ANSWERS, TINY_PLAN, publish, seal_plaintexts, shares_of
from federation import Federation, encode, seal_measurement
from grievance.aggregator import Office
from grievance.aggregator import destroy as destroying
from grievance.aggregator.burns import BurnIndex
from grievance.audit import audit_pool
from grievance.client import input_share as sealed
from grievance.cost import Cost
from grievance.crypto import keys
from grievance.crypto.signing import VerifyingKey
from grievance.errors import GrievanceError
from grievance.ledger import LedgerLog
from grievance.pipelines import rows
from grievance.pool.decisions import Status
from grievance.privacy import BudgetFilter
from grievance.secret import Secret
from grievance.task import TrustAnchor, load_task

if TYPE_CHECKING:
    from collections.abc import Callable

HONEST = 12


class GuardGoneError(Exception):
    """Something that must be refused was not, or the other way round."""


def check(what: str, holds: object) -> None:
    """Raise unless it holds. Not an `assert`, which this interpreter leaves out."""
    if not holds:
        raise GuardGoneError(what)


def refused(what: str, code: str | type[Exception], act: Callable[[], object]) -> None:
    """Raise unless `act` is refused with this code, or with this exception."""
    try:
        act()
    except GrievanceError as error:
        check(f"{what}: refused as {error.code}", error.code == code)
    except Exception as error:
        check(f"{what}: {error!r}", isinstance(code, type) and isinstance(error, code))
        if not isinstance(code, type):
            raise
    else:
        raise GuardGoneError(f"{what}: not refused")


def take_away(guard: str) -> None:
    """Put a double in the place of a guard."""

    def any_commitment(self, commitment, public_digest, ciphertext):  # type: ignore[no-untyped-def]
        info = sealed._info(self._info_head, commitment, public_digest)
        return self._key.open(ciphertext, info)[self._reader.size :]

    doubles: dict[str, tuple[object, str, object]] = {
        "proof": (rows, "_check_proof", lambda *_: (Status.OK, -1)),
        "commitment": (sealed.InputShareOpener, "open", any_commitment),
        "burn": (BurnIndex, "burn", _burn_all),
        "replay": (BurnIndex, "accept", lambda self, nonces: [True] * len(nonces)),
        "mode": (keys, "_check_owner", lambda *_: None),
        "signature": (VerifyingKey, "_check_bytes", lambda *_: None),
        "budget": (BudgetFilter, "charge", lambda *_: None),
        "destroy": (destroying, "pending", lambda *_: []),
        "twice": (LedgerLog, "released", lambda *_: False),
        "trust": (TrustAnchor, "check", lambda *_, **__: None),
        "pickle": (Secret, "__reduce_ex__", object.__reduce_ex__),
    }
    owner, name, double = doubles[guard]
    if not hasattr(owner, name):
        raise RuntimeError(f"there is no {name} to take away")
    setattr(owner, name, double)
    if guard == "pickle":
        del Secret.__getstate__  # it would refuse as well


_real_burn = BurnIndex.burn


def _burn_all(index: BurnIndex, commitments: list[bytes], inputs: list[bytes]) -> list[bool]:
    _real_burn(index, commitments, inputs)
    return [True] * len(commitments)


def small_guards(federation: Federation) -> None:
    """What needs no round: key files, secrets, budgets, trust."""
    import pickle

    task, home = federation.task, federation.leader
    path = home.round_files(federation.round_id).verify
    path.chmod(0o644)
    refused("a key file that others can read", "key.mode", lambda: keys.read_verify_key(path))
    path.chmod(0o600)
    refused("a wrong passphrase", "key.passphrase", lambda: keys.read_verify_key(path, "wrong"))
    secret = keys.read_verify_key(path)
    refused("a pickled secret", TypeError, lambda: pickle.dumps(secret))
    check("a secret that shows nothing", repr(secret) == "<VerifyKey>")
    budget = BudgetFilter(Cost("zcdp", Fraction(1, 2)))
    refused(
        "too much of a budget",
        "budget",
        lambda: budget.charge(Cost("zcdp", Fraction(1, 2) + Fraction(1, 10**12))),
    )
    signatures = [
        federation.file(federation.paths.signature(n)).read_bytes() for n in federation.aggregators
    ]
    stranger = federation.homes["nurses"].identity.fingerprint
    refused(
        "a task nobody vouched for",
        "trust.mismatch",
        lambda: load_task((task.data, signatures), trust=[stranger]),
    )


def attack_round(federation: Federation) -> None:
    """Bad rows among good ones, in two batches; each refused for its own reason."""
    task = federation.task
    good = federation.seal(HONEST, TINY_ANSWERS)
    seed = b"\x21" * 32
    public, shares = shares_of(task, encode(task, TINY_ANSWERS), seed)
    first = seal_plaintexts(task, seed, public, shares)
    again = seal_plaintexts(task, seed, *shares_of(task, encode(task, TINY_ANSWERS), seed))
    lie = encode(task, TINY_ANSWERS)
    lie[0] = 7
    flipped = bytes([good[0].ciphertexts[0][0] ^ 1]) + good[0].ciphertexts[0][1:]
    other = b"\x22" * 32
    parts = shares_of(task, encode(task, TINY_ANSWERS), other)
    bad = [
        replace(federation.seal(1, TINY_ANSWERS)[0], ciphertexts=(flipped, flipped)),
        seal_measurement(task, lie, seed=b"\x23" * 32),
        seal_measurement(task, encode(task, TINY_ANSWERS), commitment=b"\x24" * 32, seed=other),
    ]
    check("shares of other salts", parts[0])
    bad[0] = replace(good[0], ciphertexts=(flipped, good[0].ciphertexts[1]), commitment=bytes(32))
    publish(federation, "nurses", [*good, first, *bad])
    federation.settle()
    publish(federation, "carers", [again, good[1]])
    federation.settle()
    batches = {b.partner: b.seq for b in federation.chain().batches}
    reasons = federation.reasons()
    at = HONEST + 1
    expected = {at: "report.open", at + 1: "report.proof", at + 2: "report.commitment"}
    found = reasons[batches["nurses"]]
    check(f"reasons for the first batch: {found}", found == expected)
    found = reasons[batches["carers"]]
    check(
        f"reasons for the second batch: {found}", found == {0: "report.burnt", 1: "report.replay"}
    )


def finish_round(federation: Federation) -> None:
    """Release once, not twice; audit; destroy."""
    refused("destruction of an open round", "destroy.pending", lambda: destroy(federation, "south"))
    release = federation.release()
    check(f"accepted {release.accepted}", release.accepted == HONEST + 1)
    refused("a second release", "release.twice", federation.propose)
    trust = [federation.homes[name].identity.fingerprint for name in federation.aggregators]
    report = audit_pool(federation.leader.store, trust=trust)
    check(f"an audit that is {report.verdict}", report.verdict == "pass")
    path = federation.file(federation.paths.decide(3, "south"))
    data = path.read_bytes()
    at = data.index(b'"signature":"') + 20
    path.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])
    report = audit_pool(federation.leader.store, trust=trust)
    check("an audit of a tampered pool", report.verdict == "incomplete")
    path.write_bytes(data)
    destroy(federation, "south")
    refused("work on a destroyed round", "key.missing", lambda: sit(federation, "south"))


def destroy(federation: Federation, name: str) -> None:
    with Office.open(federation.homes[name]) as office:
        task = federation.task
        destroying.destroy(office, office.chain(task))
        office.publish()


def sit(federation: Federation, name: str) -> None:
    with Office.open(federation.homes[name]) as office:
        office.bench(federation.task)


def stripped() -> bool:
    """Whether this interpreter leaves asserts out."""
    try:
        assert False  # noqa: B011, PT015
    except AssertionError:
        return False
    return True


def main() -> None:
    """Play everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", default=None)
    given = parser.parse_args()
    check("asserts are left out, as they should be here", stripped() and sys.flags.optimize)
    federation = Federation(given.folder)
    federation.open_round(TINY_PLAN)
    if given.without is not None:
        take_away(given.without)
    small_guards(federation)
    attack_round(federation)
    finish_round(federation)
    print("all was refused that must be")


if __name__ == "__main__":
    main()

"""How long was our ledger? What others say of it, before a lost memory is rebuilt.

Whoever shows us the shared folder can show an older one, in which our newest entries are missing.
So `recover` asks those who watched from outside, and takes the longest head that any of them holds.
Only answers to this very request count, by witnesses (or trustees of our backup) whose key this
home itself has compared; the other aggregators' answers make the maximum longer and count for
nothing, and so does the pool. Source: docs/decisions/witnesses.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import backup
from grievance import task as tasks
from grievance.aggregator.outside import compared_witnesses
from grievance.aggregator.watched import watched
from grievance.crypto.documents import b64decode, b64encode
from grievance.crypto.fingerprint import matches
from grievance.crypto.merkle import root
from grievance.errors import GrievanceError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.ledger.asked import (
    LIMIT,
    Request,
    make_answer,
    make_request,
    parse_answer,
    parse_request,
    spoken_digest,
)
from grievance.ledger.checkpoint import origin_of, parse_checkpoint
from grievance.plan.witnesses import witness_keys
from grievance.pool.layout import heads_answer_path, heads_folder, heads_request_path
from grievance.pool.rounds import own_cards, read_task_and_signatures
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grievance.aggregator.office import Office
    from grievance.crypto.signing import VerifyingKey
    from grievance.home import Home
    from grievance.ledger import LedgerLog
    from grievance.plan import Plan
    from grievance.task import Task

SETTINGS = "heads"
MAX_REQUESTS = 100
ENOUGH = 2


@dataclass(frozen=True)
class ToldHead:
    """A head of our ledger that somebody holds. Read from an answer: `root`; typed: `spoken`."""

    who: str
    size: int
    root: bytes | None = None
    spoken: str = ""

    def check(self, log: LedgerLog, key: VerifyingKey) -> None:
        """Hold the ledger in the pool against it. Raises StateError `recover.ledger`."""
        if self.size > len(log.entries):
            raise StateError(
                f"{self.who} holds a head of our ledger with {self.size} entries; only "
                f"{len(log.entries)} are here",
                code="recover.ledger",
                hint="wait until the pool has arrived whole; if it stays so, somebody shows you an "
                "older folder: change nothing, and call the other organisations",
            )
        here = root([entry.data for entry in log.entries[: self.size]])
        origin = origin_of(log.aggregator, key)
        same = (
            self.root == here
            if self.root is not None
            else matches(self.spoken, spoken_digest(origin, self.size, here), groups=8)
        )
        if not same:
            raise StateError(
                f"the head of {self.size} entries that {self.who} holds is not of the entries here",
                code="recover.ledger",
                hint="keep the pool as it is, and call the other organisations; if it was typed, "
                "let it be read out once more",
            )


@dataclass(frozen=True)
class Told:
    """What is known from outside about our ledger when we recover.

    `alone`: fewer `answered`, of those who count, than are wanted, and our steward goes on without
    the others. `request` is the digest of the question that stays open then.
    """

    heads: tuple[ToldHead, ...] = ()
    alone: bool = False
    answered: tuple[str, ...] = ()
    request: bytes | None = None


@dataclass(frozen=True)
class Asked:
    """A question under way: who answered, and whose answers could count."""

    request: Request | None
    counted: dict[str, VerifyingKey]
    wanted: int
    heads: tuple[ToldHead, ...]

    @property
    def answered(self) -> list[str]:
        """Those whose answers count and are here."""
        return sorted({head.who for head in self.heads if head.who in self.counted})

    def told(self, typed: Sequence[ToldHead] = (), *, alone: bool = False) -> Told:
        """What follows, with what was typed. Raises StateError while too few have answered.

        `recover.waiting`: who is waited for; `recover.alone`: nobody could be asked.
        """
        heads = (*self.heads, *typed)
        if self.request is None:
            return Told(heads)
        known = sorted({head.who for head in heads if head.who in self.counted})
        if len(known) >= self.wanted:
            return Told(heads)
        if alone:
            return Told(heads, True, tuple(known), self.request.digest)
        missing = [name for name in self.counted if name not in known]
        if len(known) + len(missing) < self.wanted:
            raise StateError(
                "too few of those who watch our ledger from outside have a key that this home "
                "has compared, so nobody can tell us whether this folder is an older copy",
                code="recover.alone",
                hint="call the other organisations and ask what was released last; if all of it is "
                "here, run `grievance recover --alone`, which your ledger will say for good",
            )
        raise StateError(
            f"{self.wanted - len(known)} more of {', '.join(missing)} must say how long our ledger "
            "was, so that nobody can pass an older copy of the folder off as the newest",
            code="recover.waiting",
            hint="call them: they run `grievance sync`, then run this again; or they read out "
            "`grievance heads`, and you type it: --told NAME:SIZE:GROUPS",
        )


def counting(home: Home, plans: Iterable[Plan], inside: set[str]) -> dict[str, VerifyingKey]:
    """Whose answers count: witnesses, and trustees of our backup, that this home has compared.

    Trustees were compared when the backup was made, and our own key signed who they are.
    """
    found: dict[str, VerifyingKey] = {}
    for plan in plans:
        found |= compared_witnesses(home, plan)
    made = backup.current_set(home)
    for trustee in made.trustees if made is not None else ():
        if home.known_key(trustee.name) in (None, trustee.identity.key):
            found[trustee.name] = trustee.identity.key
    return {name: key for name, key in found.items() if name not in inside}


def wanted_answers(plans: Iterable[Plan]) -> int:
    """How many answers it takes: two, or all if a plan's witnesses are fewer, but one at least."""
    most = max((len(witness_keys(plan)) for plan in plans), default=0)
    return max(1, min(ENOUGH, most))


def signed_tasks(home: Home) -> list[Task]:
    """The tasks in the pool that carry our signature, whoever else has signed them."""
    found = []
    for round_id in own_cards(home.store, home.identity):
        read = read_task_and_signatures(home.store, round_id)
        if read is None or home.name not in read[1]:
            continue
        if read[0].aggregators[read[0].index_of(home.name)].identity == home.key.public:
            found.append(read[0])
    return found


def ask(home: Home) -> Asked:
    """Put our question into the pool, or go on with the one that is there; read the answers.

    A home that never had a key of a round has no ledger, and asks nobody.
    """
    signed = signed_tasks(home)
    if not signed and not any(home.root.glob("rounds/*/hpke.key")):
        return Asked(None, {}, 0, ())
    peers = {p.name: p.identity for t in signed for p in t.aggregators if p.name != home.name}
    plans = [task.plan for task in signed]
    request = _request(home)
    counted = counting(home, plans, set(peers))
    heads = answers(home, request, {**peers, **counted})
    return Asked(request, counted, wanted_answers(plans), tuple(heads))


def _request(home: Home) -> Request:
    note = home.read_settings(SETTINGS)
    try:
        request = parse_request(b64decode(str(note["request"])), home.name, home.key.public)
    except (KeyError, GrievanceError):
        request = make_request(home.name, home.key)
        home.write_settings(SETTINGS, {"request": b64encode(request.data)})
    failpoint("asked.noted")
    path = heads_request_path(home.name, request.request_id)
    if find(home.store, path, LIMIT) != request.data:
        home.store.put(path, request.data)
    return request


def forget_question(home: Home) -> None:
    """The next recovery asks anew: what was answered to this question was answered by now."""
    home.settings_file(SETTINGS).unlink(missing_ok=True)


def answers(home: Home, request: Request, keys: dict[str, VerifyingKey]) -> list[ToldHead]:
    """The heads of ours in answers to a request; what is no answer of theirs is none."""
    found = []
    for name, key in sorted(keys.items()):
        path = heads_answer_path(home.name, request.request_id, name)
        data = find(home.store, path, LIMIT)
        if data is None:
            continue
        try:
            head = parse_answer(bytes(data), request, name, key, home.key.public)
        except GrievanceError:
            continue
        found.append(ToldHead(name, head.size, head.root))
    return found


def typed_head(text: str) -> ToldHead:
    """What was read out by telephone: NAME:SIZE:GROUPS. Raises UsageError."""
    name, _, rest = text.partition(":")
    size, _, groups = rest.partition(":")
    if not size.isdecimal() or int(size) < 1 or not groups:
        raise UsageError(
            f"{text!r:.80} is not NAME:SIZE:GROUPS",
            code="recover.told",
            hint="whoever answers reads out what `grievance heads` prints: the number of entries, "
            "then the eight groups",
        )
    return ToldHead(name, int(size), spoken=groups)


def answer_all(office: Office) -> list[str]:
    """Answer every question about a ledger that we watch, with what we had stored before.

    Run in `sync` before new heads are looked at: what somebody shows us only now is no memory.
    """
    done, home, state = [], office.home, office.state
    for name, ledger in watched(home, state).items():
        stored = state.witnessed(ledger.key.raw)
        files = home.store.names(heads_folder(name)) if stored is not None else []
        for file in [f for f in files if f.count(".") == 1][:MAX_REQUESTS]:
            data = find(home.store, f"{heads_folder(name)}/{file}", LIMIT)
            try:
                request = parse_request(bytes(data or b""), name, ledger.key)
            except GrievanceError:
                continue
            path = heads_answer_path(name, request.request_id, home.name)
            if stored is None or state.outgoing(path) is not None:
                continue
            head = parse_checkpoint(stored[2], name, ledger.key)
            with state.transaction():
                state.spool(path, make_answer(request, home.name, head, home.key))
                failpoint("asked.answered")
            done.append(f"told {name} how long its ledger was: {head.size} entries")
    return done


def hear_answers(office: Office, log: LedgerLog) -> list[str]:
    """After a recovery alone: take in what has been answered since. Raises StateError.

    That is `recover.ledger` when somebody holds a head that we do not: this state is too old.
    """
    home, state = office.home, office.state
    digest = state.alone_since()
    if digest is None:
        return []
    plans_and_peers = [tasks.parse_task(data) for data in state.tasks()]
    peers = {
        p.name: p.identity for t in plans_and_peers for p in t.aggregators if p.name != home.name
    }
    plans = [task.plan for task in plans_and_peers]
    data = state.outgoing(heads_request_path(home.name, digest.hex()[:16]))
    request = parse_request(bytes(data or b""), home.name, home.key.public)
    counted = counting(home, plans, set(peers))
    heads = answers(home, request, {**peers, **counted})
    for head in heads:
        head.check(log, home.key.public)
    known = [head.who for head in heads if head.who in counted]
    if len(known) < wanted_answers(plans):
        return []
    with state.transaction():
        state.set_alone(None)
        failpoint("asked.heard")
    return [f"{' and '.join(known)} confirmed how long our ledger was"]


def recovery_in_words(home: Home, plan: Plan, members: Iterable[str]) -> str:
    """Say to whoever joins whether this home could be told, should it lose its memory."""
    counted, wanted = counting(home, [plan], set(members)), wanted_answers([plan])
    if len(counted) >= wanted:
        who = ", ".join(counted)
        return f"If this home loses its memory, it asks {who} how long its ledger was."
    return (
        f"This home has compared the keys of {len(counted)} of the {wanted} organisations outside "
        "that it would have to ask if it lost its memory. Until it has compared more (call them; "
        "grievance compare NAME:FINGERPRINT), it could only go on alone, and its ledger would "
        "say so for good."
    )

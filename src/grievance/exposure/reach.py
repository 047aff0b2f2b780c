"""What follows from holding keys: the rules, and what parties could do together.

Whoever takes what a party holds has its keys and the pool. The rules are few: enough trustees'
mailbox keys give a backup's archives; any round key opens the round's verify key; one
aggregator's round key opens its share of every report; all aggregators' open the answers.
`tests/exposure` carries out every finding on seized copies, and tries what is not found.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from grievance.exposure.facts import Key, count

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from grievance.exposure.facts import BackupFacts, Held, How, Party, RoundFacts, World

FindingKind = Literal["answers", "totals", "noise", "share", "verify-key", "archives", "identity"]
_ORDER: tuple[FindingKind, ...] = (
    "answers",
    "totals",
    "noise",
    "share",
    "verify-key",
    "archives",
    "identity",
)
_SURENESS: tuple[How, ...] = ("found", "locked", "inferred")
MAX_OTHERS = 8
"""With more others than this, only pairs and all together are worked out."""


@dataclass(frozen=True)
class Finding:
    """One thing that can be done. `about`: a round, or whose backup; `who`: whose part it is.

    `number`: reports, or archives. `ends`: the event after which it cannot be done any more.
    """

    kind: FindingKind
    about: str
    who: tuple[str, ...]
    number: int
    known: How
    text: str
    ends: str

    @property
    def place(self) -> tuple[str, str, tuple[str, ...]]:
        """What makes it the same finding, however it is known."""
        return self.kind, self.about, self.who

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Together:
    """What these parties' holdings give. `new`: what no fewer of them could do."""

    parties: tuple[str, ...]
    findings: tuple[Finding, ...]
    new: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "parties": list(self.parties),
            "yields": [finding.to_json() for finding in self.findings],
            "new": [list(finding.place[:2]) for finding in self.new],
        }


@dataclass(frozen=True)
class Exposure:
    """The statement about one party: what it holds, and what it gives alone and with others.

    `complete` is False when there were too many others to try every group of them.
    """

    party: Party
    held: tuple[Held, ...]
    together: tuple[Together, ...]
    complete: bool
    faults: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "party": self.party.name,
            "roles": self.party.roles,
            "read_from": "home and pool" if self.party.at_hand else "pool alone",
            "holds": [held.to_json() for held in self.held],
            "taken": [group.to_json() for group in self.together],
            "every_group": self.complete,
            "faults": list(self.faults),
        }


def expose(world: World, name: str, others: Collection[str] | None = None) -> Exposure:
    """Work out what taking `name` gives, alone and with others.

    `others`: one group to look at; None is every group of the parties whose keys matter.
    """
    party = world.parties[name]
    if others is not None:
        groups: list[tuple[str, ...]] = [(name,), (name, *others)] if others else [(name,)]
        complete = True
    else:
        rest = [one for one in matter(world) if one != name]
        complete = len(rest) <= MAX_OTHERS
        sizes = range(len(rest) + 1) if complete else (0, 1, 2, len(rest))
        groups = [(name, *g) for size in sizes for g in itertools.combinations(rest, size)]
    seen: dict[frozenset[str], set[tuple[str, str, tuple[str, ...]]]] = {}
    together = []
    for group in groups:
        found = findings(world, group)
        smaller = {p for g, places in seen.items() if g < frozenset(group) for p in places}
        # Each of the others alone counts as fewer of them too, where every group is listed.
        for one in group if len(group) > 1 and others is None else ():
            smaller |= {finding.place for finding in findings(world, (one,))}
        new = tuple(finding for finding in found if finding.place not in smaller)
        seen[frozenset(group)] = {finding.place for finding in found}
        together.append(Together(group, found, new))
    return Exposure(party, tuple(party.held), tuple(together), complete, tuple(world.faults))


def matter(world: World) -> list[str]:
    """The parties whose keys can open something of somebody: aggregators, trustees, helpers."""
    named = {key.owner for party in world.parties.values() for key in party.keys if key.place}
    named |= {name for facts in world.rounds.values() for name in facts.names}
    for backup in world.backups:
        named |= {backup.owner, *backup.backup_set.names}
    return sorted(named & set(world.parties))


def findings(world: World, group: Iterable[str]) -> tuple[Finding, ...]:
    """Everything these parties' holdings give, each with how surely it is known."""
    found: dict[tuple[str, str, tuple[str, ...]], Finding] = {}
    names = list(dict.fromkeys(group))
    for level, known in enumerate(_SURENESS):
        allowed = _SURENESS[: level + 1]
        keys = closure(world, _keys_of(world, names, allowed), allowed)
        for finding in _consequences(world, keys, known):
            found.setdefault(finding.place, finding)
    listed = sorted(found.values(), key=lambda one: (_ORDER.index(one.kind), one.about, one.who))
    return tuple(one for one in listed if not _implied(one, found))


def _keys_of(world: World, names: Sequence[str], allowed: Collection[How]) -> set[Key]:
    return {
        key for name in names for key, how in world.parties[name].keys.items() if how in allowed
    }


def closure(world: World, keys: set[Key], allowed: Collection[How]) -> set[Key]:
    """All keys that follow from these and the pool."""
    keys = set(keys)
    while True:
        more: set[Key] = set()
        for backup in world.backups:
            if opens_archives(backup, keys):
                more |= {key for key, how in backup.contents.items() if how in allowed}
        for round_id, facts in world.rounds.items():
            if any(Key("hpke", name, round_id) in keys for name in facts.names):
                more.add(Key("verify", "", round_id))
        if more <= keys:
            return keys
        keys |= more


def opens_archives(backup: BackupFacts, keys: Collection[Key]) -> bool:
    """Whether these keys give enough pieces of a backup key.

    A trustee's own mailbox key opens its piece; a pending request's key opens the pieces that
    were sent to it.
    """
    pieces = {
        trustee.index
        for trustee in backup.backup_set.trustees
        if Key("mailbox", trustee.name) in keys
    }
    for request, answered in backup.answers.items():
        if Key("request", backup.owner, request) in keys:
            pieces |= answered
    return len(pieces) >= backup.backup_set.threshold


def sums_known(facts: RoundFacts, name: str, keys: Collection[Key]) -> bool:
    """Whether an aggregator's exact sum can be had: from its reports, or its sealed sums."""
    round_id = facts.task.round_id
    if Key("hpke", name, round_id) in keys:
        return True
    return Key("state", name, round_id) in keys and Key("sums", name, round_id) in keys


def _consequences(world: World, keys: Collection[Key], known: How) -> list[Finding]:
    found = []
    for facts in world.rounds.values():
        found += _of_round(facts, keys, known)
    for backup in world.backups:
        if opens_archives(backup, keys):
            found.append(
                Finding(
                    "archives",
                    backup.owner,
                    (backup.backup_set.set_id,),
                    len(backup.archives),
                    known,
                    f"rebuilds the backup key of {backup.owner} and opens "
                    f"{count(len(backup.archives), 'archive')} of its key files"
                    ", then does what they can do",
                    f"when {backup.owner} deletes the archives; copies elsewhere stay",
                )
            )
    for key in keys:
        if key.kind == "identity":
            found.append(
                Finding(
                    "identity",
                    key.owner,
                    (key.owner,),
                    0,
                    known,
                    f"signs as {key.owner}: it reads nothing by that, but can relay, approve and "
                    "publish in that name",
                    "when nobody trusts the key any more: tell the others, and take a new name",
                )
            )
    return found


def _of_round(facts: RoundFacts, keys: Collection[Key], known: How) -> list[Finding]:
    round_id, names, reports = facts.task.round_id, facts.names, facts.reports
    opened = tuple(name for name in names if Key("hpke", name, round_id) in keys)
    summed = tuple(name for name in names if sums_known(facts, name, keys))
    found = []

    def add(kind: FindingKind, who: tuple[str, ...], text: str, ends: str) -> None:
        found.append(Finding(kind, round_id, who, reports, known, text, ends))

    if reports and len(opened) == len(names):
        add(
            "answers",
            opened,
            f"EVERY ANSWER of {count(reports, 'report')} of {round_id}, report by report, with "
            "the relay each came through; and with a worker's receipt, whose answers they are",
            f"when one of {_listed(names)} has destroyed the round, its backup archives included: "
            f"grievance round destroy --round {round_id}",
        )
    elif reports and opened:
        others = _listed([name for name in names if name not in opened])
        one = len(opened) == 1
        shares = "the one share" if one else f"{len(opened)} of the {len(names)} shares"
        add(
            "share",
            opened,
            f"opens {shares} of {count(reports, 'report')} of {round_id} that "
            f"{'was' if one else 'were'} sealed to {_listed(opened)}: uniformly random without "
            f"what was sealed to {others}",
            f"when {_listed(opened)} {'has' if one else 'have'} destroyed the round",
        )
    exact = len(summed) == len(names)
    published = {name for there in facts.noisy.values() for name in there}
    if exact or published & set(summed):
        left = f"{len(names) - len(summed)} of {len(names)}"
        add(
            "totals" if exact else "noise",
            summed,
            f"the exact totals of {round_id}, without any noise"
            if exact
            else f"takes the noise of {_listed(summed)} off the releases of {round_id}: what is "
            f"left is the full noise of {left} aggregators, which keeps the promised epsilon",
            f"when {'one of ' if exact else ''}{_listed(summed)} "
            f"{'have' if len(summed) > 1 and not exact else 'has'} destroyed the round",
        )
    if not facts.closed and Key("verify", "", round_id) in keys:
        add(
            "verify-key",
            (),
            f"knows the verify key of {round_id}: can seal reports that pass every check and say "
            "anything, so totals could be false; it reads nobody's answers",
            "when the round is closed",
        )
    return found


def _implied(one: Finding, found: Mapping[tuple[str, str, tuple[str, ...]], Finding]) -> bool:
    """Whether a finding says less than another that is known as surely."""
    for other in found.values():
        surer = _SURENESS.index(other.known) <= _SURENESS.index(one.known)
        if not surer or other is one or other.about != one.about:
            continue
        if other.kind == "answers" and one.kind in ("totals", "noise", "share"):
            return True
        if other.kind == "totals" and one.kind == "noise":
            return True
        if (other.kind, one.kind) == ("noise", "noise") and set(one.who) < set(other.who):
            return True
    return False


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"

"""Read homes and a pool, and say who holds what: found where a home is at hand, else inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.backup.sets import read_sets
from grievance.errors import UsageError
from grievance.exposure import pooled
from grievance.exposure.facts import Held, Key, Party, World, count
from grievance.exposure.homes import take_stock
from grievance.pool.layout import RoundPaths, mailbox_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.exposure.facts import How, RoundFacts
    from grievance.home import Home
    from grievance.pool.store import Store

ROLES = {
    "public": "anybody who can read the pool",
    "auditor": "whoever runs `grievance audit`",
    "worker": "a worker who sealed a report",
}
_INFERRED: How = "inferred"
_FOREVER = "as long as somebody has a copy of the pool"


def survey(store: Store, homes: Sequence[Home] = ()) -> World:
    """Collect what everybody holds. `homes` are those at hand; the others are judged by the pool.

    Raises StateError when another command is at work in one of the homes.
    """
    world = World()
    world.rounds = pooled.rounds(store, world.faults, homes)
    known = pooled.organisations(store)
    for name, identity in known.items():
        world.parties[name] = Party(name, identity.display_name)
    archived: dict[tuple[str, str], dict[Key, How]] = {}
    known_archives: set[tuple[str, str]] = set()
    for home in homes:
        stock = take_stock(home, world.rounds)
        party = world.parties.setdefault(home.name, Party(home.name, home.display_name))
        party.at_hand = True
        for inventory in stock:
            # A rehearsal's helper lies in the same folder: who takes one has both.
            party.keys |= inventory.keys
            party.held += [
                held if inventory.name == home.name else _of_helper(held) for held in inventory.held
            ]
            name = inventory.name
            archived |= {(name, one): held for one, held in inventory.archived.items()}
            known_archives |= {(name, one) for one in inventory.known_archives}
            if name != home.name and name in world.parties:
                helper = world.parties[name]
                helper.at_hand, helper.keys = True, dict(inventory.keys)
                helper.held = [_of_helper(held) for held in inventory.held]
    for party in world.parties.values():
        if not party.at_hand:
            _infer_keys(store, world, party)
    for name, identity in known.items():
        for one in read_sets(store, identity):
            place = name, one.set_id
            if place not in known_archives:
                # Nobody can look into an archive: it may hold whatever its owner ever had.
                ever = dict.fromkeys(_ever_had(world, name), _INFERRED)
                archived[place] = ever | archived.get(place, {})
    world.backups = pooled.backups(store, known, archived)
    for party in world.parties.values():
        _roles(world, party)
        _published(world, party)
    _add_roles(world)
    return world


def find_party(world: World, text: str) -> str:
    """The party with this name; @public, @auditor and @worker are roles. Raises UsageError."""
    for name in (text, f"@{text}"):
        if name in world.parties:
            return name
    raise UsageError(
        f"nobody in this pool is called {text!r:.60}",
        code="usage.party",
        hint=f"there are: {', '.join(sorted(world.parties))}",
    )


def _of_helper(held: Held) -> Held:
    what = f"rehearsal helper: {held.what}"
    where = f"rehearsal-helper/{held.where}"
    return Held(what, where, held.known, held.until, held.alone, held.command)


def _ever_had(world: World, name: str) -> list[Key]:
    """Every key an older archive may hold, those of destroyed rounds included."""
    found = [Key("identity", name), Key("mailbox", name)]
    for round_id, facts in world.rounds.items():
        if name in facts.names:
            found += _round_keys(name, round_id)
    return found


def _round_keys(name: str, round_id: str) -> list[Key]:
    return [
        Key("hpke", name, round_id),
        Key("verify", "", round_id),
        Key("state", name, round_id),
    ]


def _infer_keys(store: Store, world: World, party: Party) -> None:
    """What an organisation must have made, and has not signed to have destroyed."""
    name = party.name
    party.keys[Key("identity", name)] = "inferred"
    party.held.append(
        Held(
            "the identity key",
            "its own machine",
            "inferred",
            "never, unless everybody is told that it changed",
            f"signs as {name}; reads nothing",
        )
    )
    if store.size(mailbox_path(name)) is not None:
        party.keys[Key("mailbox", name)] = "inferred"
        party.held.append(
            Held(
                "the mailbox key",
                "its own machine",
                "inferred",
                "never",
                "opens the backup pieces sealed to it; one alone is 32 uniform bytes",
            )
        )
    for round_id, facts in world.rounds.items():
        if name not in facts.names:
            continue
        if name in facts.destroyed:
            party.held.append(
                Held(
                    f"no keys of {round_id}: it signed that it destroyed them",
                    f"ledger/{name}",
                    "inferred",
                    "its word; nobody can check it from here",
                    "nothing, if it is true",
                )
            )
            continue
        party.keys |= dict.fromkeys(_round_keys(name, round_id), _INFERRED)
        party.keys[Key("sums", name, round_id)] = "inferred"
        party.held.append(
            Held(
                f"round key, verify key, state key and sealed sums of {round_id}",
                "its own machine",
                "inferred",
                f"when {name} destroys the round",
                f"opens the one share of {facts.reports:,} reports that was sealed to {name}: "
                "uniformly random without the others'",
                f"grievance round destroy --round {round_id}",
            )
        )


def _roles(world: World, party: Party) -> None:
    for facts in world.rounds.values():
        if party.name in facts.names:
            party.roles.append(f"aggregator of {facts.task.round_id}")
        if party.name in facts.relays:
            party.roles.append(f"relay of {facts.task.round_id}")
    for owner in sorted({b.owner for b in world.backups if party.name in b.backup_set.names}):
        party.roles.append(f"trustee of {owner}")


def _published(world: World, party: Party) -> None:
    """What lies in the pool under this party's name, or sealed to it."""
    name = party.name
    for round_id, facts in world.rounds.items():
        if name in facts.relays:
            party.held.append(_relayed(facts, round_id, name))
            party.held.append(
                Held(
                    f"the report files it collected for {round_id}, before they were shuffled",
                    "its own machine",
                    "inferred",
                    "when it deletes them; a spool's are deleted when their batch is decided",
                    "which report came when, and from whom if it kept that; no answer",
                )
            )
    for backup in world.backups:
        one = backup.backup_set
        if name in one.names:
            party.held.append(
                Held(
                    f"a sealed piece of the backup key of {one.owner.name} (set {one.set_id}, any "
                    f"{one.threshold} of {len(one.trustees)})",
                    f"backups/{one.owner.name}/{one.set_id}/set.json",
                    "found",
                    f"when {one.owner.name} makes a new backup; copies of the pool stay",
                    "nothing without the mailbox key, and with it one piece: nothing without "
                    f"{one.threshold - 1} more",
                )
            )
        if name == one.owner.name:
            party.held.append(
                Held(
                    f"{count(len(backup.archives), 'sealed archive')} of key files "
                    f"(set {one.set_id})",
                    f"backups/{name}/{one.set_id}/",
                    "found",
                    "older ones go when keys are destroyed; copies of the pool stay",
                    f"nothing without pieces of {one.threshold} of its trustees: "
                    f"{', '.join(one.names)}",
                    "grievance backup status",
                )
            )


def _relayed(facts: RoundFacts, round_id: str, name: str) -> Held:
    relayed = facts.relays[name]
    first, last = relayed.first, relayed.last
    when = f", written {first} to {last}" if first else ""
    return Held(
        f"{count(relayed.reports, 'sealed report')} that {name} relayed, blank ones included, in "
        f"{count(relayed.batches, 'batch', 'batches')}{when}",
        RoundPaths(round_id).batches,
        "found",
        _FOREVER,
        "how many reports came by this relay, at which hours; no answer without the keys of "
        f"{' and '.join(facts.names)}",
    )


def _add_roles(world: World) -> None:
    """The roles that hold no keys: what they have is what the pool shows."""
    for role, shown in ROLES.items():
        world.parties[f"@{role}"] = Party(f"@{role}", shown, [role])
    everybody = []
    for round_id, facts in world.rounds.items():
        everybody += [_relayed(facts, round_id, name) for name in facts.relays]
        everybody.append(
            Held(
                f"the plan, the parties, the order of events and the decisions of {round_id}",
                RoundPaths(round_id).folder,
                "found",
                _FOREVER,
                "who takes part, how many reports count, why any was refused; no answer",
            )
        )
        everybody += [
            Held(
                f"the noisy totals of release {release}",
                RoundPaths(round_id).releases,
                "found",
                "for ever: it is published",
                "what the round promised to reveal, and no more",
            )
            for release, there in facts.noisy.items()
            if len(there) == len(facts.names)
        ]
    world.parties["@public"].held += everybody
    world.parties["@auditor"].held += everybody
    world.parties["@worker"].held.append(
        Held(
            "a receipt, and the sealed report it is of",
            "its own device",
            "inferred",
            "when the worker deletes them",
            "that this report was counted or not; with the keys of every aggregator of the round, "
            "what it answered",
        )
    )

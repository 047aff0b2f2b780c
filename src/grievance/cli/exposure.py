"""`grievance exposure`: what a party holds, for how long, and what taking it would give away."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.office import NO_SPLIT_TRUST
from grievance.cli.output import Json, emit, emit_json, refuse_usage, say, table
from grievance.cli.places import HomeOption, home_path, passphrase
from grievance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.exposure import Exposure, Finding, Held, Together
    from grievance.home import Home
    from grievance.pool.store import Store

_KNOWN = {
    "found": "",
    "locked": " [needs the passphrase too]",
    "inferred": " [inferred: a folder that is not here was not read]",
}
_SURE = {"found": "found", "locked": "found, locked", "inferred": "inferred"}
_SHORT = {
    "answers": "EVERY ANSWER of {f.number:,} reports of {f.about}",
    "totals": "the exact totals of {f.about}",
    "noise": "sharper totals of {f.about}, within the promise",
    "share": "one share of {f.number:,} reports of {f.about}: random",
    "verify-key": "forged reports for {f.about}",
    "archives": "the backed-up keys of {f.about}",
    "identity": "signatures as {f.about}",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(exposure)


def exposure(
    party: Annotated[
        str | None,
        typer.Option(
            "--party",
            metavar="NAME",
            help="Whose holdings: an organisation of the pool, or public, auditor, worker "
            "[default: our own].",
            show_default=False,
        ),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="OTHER",
            help="Taken together with this party; repeat for several [default: every group].",
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option("--pool", help="A pool, where there is no home; all is then inferred."),
    ] = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Say what a party holds now, until when, and what it would give.

    Read from our own folder and the pool; of everybody else it says what the pool tells.
    """
    from grievance.exposure import expose, find_party, survey

    own, store = _places(pool, home)
    if party is None and own is None:
        refuse_usage("say whose: --party NAME")
    world = survey(store, [own] if own is not None else [])
    name = find_party(world, party or (own.name if own is not None else ""))
    others = [find_party(world, text) for text in with_] if with_ else None
    if others and (name in others or len(set(others)) < len(others)):
        refuse_usage("name every party once")
    statement = expose(world, name, others)
    rehearsed = any(facts.task.rehearsal for facts in world.rounds.values())
    if as_json:
        emit_json(statement.to_json())
        return
    if rehearsed:
        say(NO_SPLIT_TRUST)
    _show(statement)


def _places(pool: str | None, home: Path | None) -> tuple[Home | None, Store]:
    """Our home where there is one, and the pool; no key is read, so none needs a passphrase."""
    from grievance.home import Home
    from grievance.pool.store import open_store

    if pool is not None:
        return None, open_store(pool)
    try:
        own = Home.open(home_path(home), passphrase())
    except UsageError as error:
        error.hint = "without a home of your own, say which pool: --pool DIR"
        raise
    return own, own.store


def _show(statement: Exposure) -> None:
    party = statement.party
    roles = ", ".join(party.roles) or "no part in any round"
    emit(f"{party.name} ({party.shown}): {roles}")
    emit(
        "Read from its own folder and the pool."
        if party.at_hand
        else "Read from the pool alone: what lies on machines that are not here is inferred."
    )
    for fault in statement.faults:
        emit(f"Could not be read: {fault}")
    emit("")
    emit("Holds now")
    for held in statement.held:
        _show_held(held)
    if not statement.held:
        emit("  nothing but what everybody has: the pool")
    emit("")
    emit("What taking it would give, together with the pool")
    rows = [
        [", ".join(_named(group)), _SHORT[finding.kind].format(f=finding), _SURE[finding.known]]
        for group in statement.together
        for finding in group.new
    ]
    if rows:
        emit(textwrap.indent(table(["taken", "yields", "known"], rows), "  "))
        emit("")
        emit("In words")
    nothing = []
    for group in statement.together:
        if group.new or len(group.parties) == 1:
            _show_group(group)
        else:
            nothing.append(" and ".join(group.parties[1:]))
    if nothing:
        emit(f"  Nothing more with: {'; '.join(nothing)}.")
    if not statement.complete:
        emit("  There are too many parties to try every group: pairs and all together were tried.")
    emit("")
    emit("Not in this list: what people remember, and copies nobody here can see, such as old")
    emit("backups of a machine, the history of a synced folder, or a copy of the pool.")


def _show_held(held: Held) -> None:
    known = " [inferred]" if held.known == "inferred" else ""
    emit(f"  {held.what}{known}")
    emit(f"      where: {held.where}")
    emit(f"      until: {held.until}{f': {held.command}' if held.command else ''}")
    emit(f"      alone: {held.alone}")


def _named(group: Together) -> list[str]:
    """The parties by name; a role that has no keys adds nothing to others who have."""
    names = list(group.parties)
    return names[1:] if len(names) > 1 and names[0].startswith("@") else names


def _show_group(group: Together) -> None:
    first, *others = _named(group)
    emit(f"  {first} alone:" if not others else f"  {first} with {' and '.join(others)}:")
    for finding in group.new:
        _show_finding(finding)
    if not group.new:
        emit("    - nothing that the pool does not show everybody")


def _show_finding(finding: Finding) -> None:
    emit(f"    - {finding.text}{_KNOWN[finding.known]}")
    emit(f"      ends {finding.ends}")

"""What a data steward types: identities, partners, sync and status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.desk import NO_SPLIT_TRUST, order_event, sync_once
from grievance.cli.output import REFUSED, Json, Yes, confirm, emit, emit_json, say
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    home_path,
    open_home,
    passphrase,
    pick_round,
    round_ids,
    vouch,
)
from grievance.errors import UsageError

if TYPE_CHECKING:
    from grievance.aggregator.status import RoundStatus


def register(app: typer.Typer) -> None:
    """Add the steward's commands."""
    app.command()(init)
    app.command()(admit)
    app.command()(expel)
    app.command()(sync)
    app.command()(status)


def init(
    name: Annotated[str, typer.Argument(help="A short name: lowercase letters, digits, hyphens.")],
    pool: Annotated[str, typer.Option("--pool", help="The shared folder, or an fsspec URL.")],
    display_name: Annotated[
        str | None, typer.Option("--display-name", help="The name people know you by.")
    ] = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Make an organisation's identity and publish it in the pool.

    Set GRIEVANCE_PASSPHRASE to protect the keys with a passphrase.
    """
    from grievance.home import Home

    made = Home.create(home_path(home), name, display_name or name, pool, passphrase())
    identity = made.identity
    if as_json:
        emit_json(
            {
                "name": name,
                "fingerprint": identity.fingerprint,
                "fingerprint_hex": identity.key.fingerprint.hex(),
                "home": str(made.root),
                "pool": made.pool,
            }
        )
        return
    emit(identity.fingerprint)
    say(f"{name} now has an identity in {made.root}; back this folder up.")
    say("Put the fingerprint above on your web site and posters, and read it out when called.")


def admit(
    partner: Annotated[str, typer.Argument(metavar="NAME[:FINGERPRINT]")],
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Let an organisation relay reports into a round (run by the leader)."""
    from grievance.aggregator import Desk

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    identity = vouch(own, partner, yes=yes)
    own.admit_later(round_id, [identity.name])
    with Desk.open(own) as desk:
        if desk.task(round_id) is None:
            say(f"{identity.name} will be admitted as soon as {round_id} is signed.")
            return
    sync_once(own, quiet=True)
    with Desk.open(own) as desk:
        _, chain = desk.open_bench(round_id)
    if identity.name not in chain.partners:
        raise UsageError(
            f"{own.name} does not lead {round_id}, or the round is closed",
            code="round.leader",
            hint="only the leader of an open round admits partners",
        )
    say(f"{identity.name} may relay reports into {round_id}.")


def expel(
    partner: Annotated[str, typer.Argument(metavar="NAME")],
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Take no further batches from a partner (run by the leader); earlier ones stay."""
    own = open_home(home)
    round_id = pick_round(own.store, round_)
    confirm(f"Take no further reports from {partner} in {round_id}?", yes=yes)
    order_event(own, round_id, {"type": "expel", "partner": partner})
    say(f"{partner} is expelled from {round_id}; reports it relayed before still count.")


def sync(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until interrupted.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two looks.")
    ] = 60,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Do whatever can be done now; safe to run again at any moment, from cron or by hand."""
    own = open_home(home)
    while True:
        result = sync_once(own, as_json=as_json)
        if not watch:
            break
        time.sleep(interval)
    if result.faults:
        raise typer.Exit(REFUSED)


def status(
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Say what waits for whom, since when, and which command moves it."""
    from grievance.aggregator import Desk
    from grievance.aggregator.status import status as read_status

    own = open_home(home)
    with Desk.open(own) as desk:
        rounds = read_status(desk)
    if as_json:
        emit_json([line.to_json() for line in rounds])
        return
    if not rounds:
        others = ", ".join(round_ids(own.store)) or "none"
        emit(f"{own.name} is an aggregator of no round. Rounds in this pool: {others}")
    for line in rounds:
        _show_round(line, own.name)


def _show_round(line: RoundStatus, me: str) -> None:
    emit(f"{line.round}: {line.title} [{line.stage}]")
    if line.rehearsal:
        emit(f"  {NO_SPLIT_TRUST}")
    emit(f"  aggregators: {', '.join(line.aggregators)}; relays: {', '.join(line.partners) or '-'}")
    emit(
        f"  {line.rows} reports in {line.batches} batches; {line.decided} decided, "
        f"{line.accepted} reports accepted"
    )
    for release_id, stage in line.releases.items():
        emit(f"  release {release_id}: {stage}")
    for item in line.waiting:
        who = "you" if item.who == me else item.who
        since = f", since {item.since}" if item.since else ""
        emit(f"  waits for {who}: {item.what}{since}")
        emit(f"      {item.command}")
    if line.fault:
        emit(f"  fault: {line.fault}")

"""What a data steward types: identities, partners and sync."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.backup import ThresholdOption, make_backup
from grievance.cli.choice import is_led_and_open, may_admit, pick_round
from grievance.cli.homes import warnings
from grievance.cli.office import (
    leading,
    refuse_closed,
    sync_once,
    sync_quietly,
    tell_sync,
    warn_of_rehearsal,
)
from grievance.cli.output import REFUSED, Json, Yes, confirm, emit, emit_json, one_look, say
from grievance.cli.places import (
    HomeOption,
    ReferenceOption,
    RoundOption,
    TrustOption,
    home_path,
    open_home,
    passphrase,
    round_ids,
    trusted_task,
    vouch,
)
from grievance.errors import TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.home import Home


def register(app: typer.Typer) -> None:
    """Add the steward's commands."""
    app.command()(init)
    app.command()(admit)
    app.command()(expel)
    app.command()(sync)


def init(
    name: Annotated[str, typer.Argument(help="A short name: lowercase letters, digits, hyphens.")],
    pool: Annotated[str, typer.Option("--pool", help="The shared folder, or an fsspec URL.")],
    display_name: Annotated[
        str | None, typer.Option("--display-name", help="The name people know you by.")
    ] = None,
    backup_to: Annotated[
        list[str] | None,
        typer.Option(
            "--backup-to",
            metavar="NAME[:FINGERPRINT]",
            help="Back the keys up with this trustee, who is in the pool already; repeat.",
        ),
    ] = None,
    threshold: ThresholdOption = 2,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make an organisation's identity.

    It is published in the pool; its keys stay in the organisation's own folder (--home). Set
    GRIEVANCE_PASSPHRASE to protect the keys with a passphrase. With --backup-to this goes on as
    `grievance backup make` does.
    """
    from grievance.home import Home

    made = Home.create(home_path(home), name, display_name or name, pool, passphrase())
    identity = made.identity
    if not as_json:
        # Before the backup: if that is refused, the identity is there all the same.
        emit(identity.fingerprint)
    backed_up = make_backup(made, backup_to, threshold, yes=yes) if backup_to else None
    if as_json:
        emit_json(
            {
                "name": name,
                "fingerprint": identity.fingerprint,
                "fingerprint_hex": identity.key.fingerprint.hex(),
                "home": str(made.root),
                "pool": made.pool,
                "warnings": warnings(made),
                **({"backup": backed_up.set_id} if backed_up else {}),
            }
        )
        return
    say(f"{name} now has an identity in {made.root}; back this folder up.")
    for warning in warnings(made):
        say(f"warning: {warning}")
    if backed_up is None:
        say("An aggregator does it with trustees: grievance backup make --to NAME --to NAME")
    say("Put the fingerprint above on your web site and posters, and read it out when called.")


def admit(
    partner: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:FINGERPRINT]", help="Who, with the fingerprint they told you."
        ),
    ],
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let an organisation relay reports (leader)."""
    from grievance.aggregator import Office

    own = open_home(home)
    round_id = pick_round(own.store, round_, may_admit, own)
    invitation = own.invitation(round_id)
    if invitation is None or invitation.members[0] != own.identity:
        leader = invitation.members[0].name if invitation else "the leader"
        raise UsageError(
            f"{own.name} does not lead {round_id}",
            code="round.leader",
            hint=f"ask {leader}, who does",
        )
    warn_of_rehearsal(invitation.card.rehearsal)
    identity = vouch(own, partner, yes=yes)
    with Office.open(own) as office:
        signed = office.task(round_id) is not None
    if signed:
        sync_quietly(own)
        with leading(own, round_id) as (_, chain):
            refuse_closed(chain)
            if identity.name in chain.expelled:
                raise UsageError(
                    f"{identity.name} was expelled from {round_id}, and that stands",
                    code="usage.expelled",
                    hint="it may relay into another round",
                )
    own.admit_later(round_id, [identity.name])
    admitted = False
    if signed:
        sync_quietly(own)
        with leading(own, round_id) as (_, chain):
            admitted = identity.name in chain.partners
    if as_json:
        emit_json({"round": round_id, "partner": identity.name, "admitted": admitted})
    elif admitted:
        say(f"{identity.name} may relay reports into {round_id}.")
    else:
        say(f"{identity.name} will be admitted as soon as all aggregators have signed {round_id}.")


def expel(
    partner: Annotated[str, typer.Argument(metavar="NAME", help="Who.")],
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take no further batches from a partner (leader).

    Reports it relayed before still count.
    """
    from grievance.pool.events import Expel

    own = open_home(home)
    round_id = pick_round(own.store, round_, is_led_and_open, own)
    with leading(own, round_id) as (office, chain):
        refuse_closed(chain)
        present = [name for name in chain.partners if name not in chain.expelled]
        if partner not in present:
            raise UsageError(
                f"{partner} relays nothing into {round_id}",
                code="usage.relay",
                hint=f"its relays are: {', '.join(present) or 'none yet'}",
            )
        warn_of_rehearsal(chain.task.rehearsal)
        confirm(f"Take no further reports from {partner} in {round_id}?", yes=yes)
        office.order(chain, Expel(partner))
        office.publish()
    if as_json:
        emit_json({"round": round_id, "partner": partner, "expelled": True})
        return
    say(f"{partner} is expelled from {round_id}; reports it relayed before still count.")


def sync(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until interrupted.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two looks.")
    ] = 60,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes for large batches [default: all cores]."),
    ] = None,
    reference: ReferenceOption = False,
    trust: TrustOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Do whatever can be done now.

    That is an aggregator's part, or a witness's: to look at what was charged, and to sign that it
    was seen. A witness says once whose round it watches, with --trust and the round's digest.

    Safe to run again at any moment, from cron or by hand. With --watch it looks again and
    again, goes on after errors, and with --json writes one line for every look.
    """
    from grievance.home import Home

    own = open_home(home)
    if trust:
        _compare(own, trust)
    if not watch:
        result = sync_once(own, workers, reference=reference)
        result.warnings += warnings(own)
        tell_sync(own, result, as_json=as_json)
        if result.faults:
            raise typer.Exit(REFUSED)
        return
    say(f"Looking every {interval:g} seconds; Ctrl-C to stop.")
    while True:
        with one_look(as_json=as_json):
            # Opened anew: a pool that went away must not be taken for an empty one.
            own = Home.open(own.root, own.passphrase)
            tell_sync(
                own, sync_once(own, workers, reference=reference), as_json=as_json, again=True
            )
        time.sleep(interval)


def _compare(own: Home, trust: Sequence[str]) -> None:
    """Remember the keys of the rounds that `trust` vouches for. Raises TrustError for none."""
    found = False
    for round_id in round_ids(own.store):
        try:
            trusted_task(own.store, round_id, trust, own)
        except (TrustError, UsageError):
            continue
        found = True
    if not found:
        raise TrustError(
            "no signed round of this pool has this digest, or these fingerprints",
            code="trust.mismatch",
            hint="compare what you typed; wait until the round is signed by all its aggregators",
        )

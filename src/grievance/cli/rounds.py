"""What a steward types about rounds: open, join, hand out, close."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grievance.cli.desk import NO_SPLIT_TRUST, order_event, sync_once
from grievance.cli.output import Json, Yes, confirm, emit, emit_json, say
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    open_home,
    pick_round,
    split_partner,
    trusted_task,
    vouch,
)
from grievance.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the round commands."""
    from grievance.cli.steward import status

    group = typer.Typer(help="Open, join, hand out and close rounds.", no_args_is_help=True)
    group.command("new")(new)
    group.command("join")(join)
    group.command("invite")(invite)
    group.command("close")(close)
    group.command("status")(status)
    app.add_typer(group, name="round")


def new(
    path: Annotated[Path, typer.Argument(help="The plan.")],
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME[:FINGERPRINT]", help="Another aggregator; repeat."),
    ] = None,
    admit_: Annotated[
        list[str] | None,
        typer.Option("--admit", metavar="NAME[:FINGERPRINT]", help="A partner that may relay."),
    ] = None,
    rehearsal: Annotated[
        bool, typer.Option("--rehearsal", help="Make all aggregators here, for a try-out.")
    ] = False,
    small_devices: Annotated[
        bool,
        typer.Option("--x25519", help="Plain X25519 envelopes, not post-quantum, for old devices."),
    ] = False,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Invite other organisations to a round; you become its leader."""
    from grievance.aggregator import Desk
    from grievance.aggregator.rehearsal import make_helper
    from grievance.aggregator.rounds import new_round
    from grievance.crypto.hpke import DEFAULT_KEM
    from grievance.plan import load_plan, plan_in_words

    own = open_home(home)
    load_plan(path)
    if rehearsal:
        say(NO_SPLIT_TRUST)
        helpers = [make_helper(own).identity]
    else:
        helpers = [vouch(own, text, yes=yes) for text in with_ or ()]
    partners = [vouch(own, text, yes=yes) for text in admit_ or ()]
    with Desk.open(own) as desk:
        invitation = new_round(
            own,
            desk.state,
            path.read_bytes(),
            helpers,
            rehearsal=rehearsal,
            kem="X25519" if small_devices else DEFAULT_KEM,
            source=path.name,
        )
        desk.publish()
    own.admit_later(invitation.round_id, [p.name for p in partners])
    names = [member.display_name for member in invitation.members]
    say("\n".join(plan_in_words(invitation.plan, names)))
    say()
    if rehearsal:
        sync_once(own, quiet=True)
    if as_json:
        emit_json({"round": invitation.round_id})
    else:
        emit(invitation.round_id)
    for helper in invitation.members[1:]:
        if not rehearsal:
            say(f"{helper.name} now runs: grievance round join {invitation.round_id}")


def join(
    round_: Annotated[str, typer.Argument(metavar="ROUND", help="The round you are invited to.")],
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="NAME:FINGERPRINT",
            help="An aggregator's fingerprint as you were told it; repeat for each.",
        ),
    ] = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Read a round's plan in words and, if you consent, take part as an aggregator."""
    from grievance.aggregator import Desk
    from grievance.aggregator.rounds import join_round
    from grievance.plan import plan_in_words
    from grievance.pool.rounds import read_invitation

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    invitation = read_invitation(own.store, round_id)
    if invitation is None:
        raise UsageError(
            f"the invitation to {round_id} has not arrived whole", code="round.waiting"
        )
    told = dict(split_partner(text) for text in expect or ())
    for member in invitation.members:
        if member.name != own.name:
            fingerprint = told.get(member.name)
            text = f"{member.name}:{fingerprint}" if fingerprint else member.name
            if vouch(own, text, yes=yes).key != member.key:
                raise UsageError(f"the invitation has another key for {member.name}")
    names = [member.display_name for member in invitation.members]
    say("\n".join(plan_in_words(invitation.plan, names)))
    say()
    confirm("Do you consent to this plan and to these organisations?", yes=yes)
    with Desk.open(own) as desk:
        join_round(own, desk.state, invitation)
        desk.publish()
    say(f"{own.name} takes part in {round_id}. `grievance sync` signs the task when it is there.")


def invite(
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    round_: RoundOption = None,
    home: HomeOption = None,
) -> None:
    """Write the one file a worker's device needs, once every aggregator has signed."""
    from grievance.pool.rounds import read_task_and_signatures
    from grievance.task import bundle

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    task = trusted_task(own.store, round_id, None, own)
    found = read_task_and_signatures(own.store, round_id)
    signatures = list(found[1].values()) if found else []
    if path.exists():
        raise UsageError(f"{path} exists already", code="usage.exists", hint="name another file")
    path.write_bytes(bundle(task, signatures))
    emit(task.short_digest)
    say(f"Wrote {path}. Workers seal with it; publish the digest above where they can compare it.")


def close(
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Take no more reports into a round (run by the leader). It cannot be opened again."""
    own = open_home(home)
    round_id = pick_round(own.store, round_)
    confirm(f"Close {round_id} for good? Reports that arrive later are not counted.", yes=yes)
    sync_once(own, quiet=True)
    order_event(own, round_id, {"type": "close"})
    sync_once(own, quiet=True)
    say(f"{round_id} is closed. When every aggregator has synced: grievance release propose")

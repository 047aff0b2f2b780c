"""What a steward types about rounds: open, join, hand out, close."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli import consent, dates, repair
from grievance.cli.backup import NoBackupOption, refresh_quietly, require_backup
from grievance.cli.choice import can_be_handed_out, is_led_and_open, pick_round
from grievance.cli.collected import show_collected
from grievance.cli.office import leading, sync_quietly, warn_of_rehearsal
from grievance.cli.output import Json, Yes, confirm, emit, emit_json, refuse_usage, say
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    open_home,
    trusted_task,
    vouch,
)
from grievance.cli.prospects import say_plan
from grievance.errors import UsageError

if TYPE_CHECKING:
    from grievance.home import Home
    from grievance.plan import Plan
    from grievance.task import Identity


def register(app: typer.Typer) -> None:
    """Add the round commands."""
    from grievance.cli.status import status

    group = typer.Typer(
        help="Open, join, hand out, close and destroy rounds.", no_args_is_help=True
    )
    group.command("new")(new)
    group.command("join")(consent.join)
    group.command("consent")(consent.consent)
    group.command("invite")(invite)
    group.command("close")(close)
    group.command("void")(repair.void)
    group.command("order")(repair.order)
    group.command("destroy")(repair.destroy)
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
        typer.Option(
            "--admit", metavar="NAME[:FINGERPRINT]", help="A partner that may relay; repeat."
        ),
    ] = None,
    rehearsal: Annotated[
        bool,
        typer.Option("--rehearsal", help="A try-out alone: all aggregators here, no split trust."),
    ] = False,
    no_backup: NoBackupOption = False,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Invite others to a round, and lead it.

    Shows the plan in words first: `grievance sync` signs the task as soon as all have joined.
    All aggregators are needed to the end, so a real round wants a rehearsed backup of our keys
    (grievance backup make), or --no-backup.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.asked import recovery_in_words
    from grievance.aggregator.rehearsal import make_helper
    from grievance.aggregator.rounds import new_round
    from grievance.backup import statement, statement_of
    from grievance.plan import Plan
    from grievance.plan.load import read_bytes

    if rehearsal and with_:
        refuse_usage(
            "a rehearsal is held alone", "leave out --with, or leave out --rehearsal for a real one"
        )
    if not rehearsal and not with_:
        refuse_usage(
            "a round needs two or more aggregators: one alone could read every answer",
            "name the others with --with NAME:FINGERPRINT, or try it out with --rehearsal",
        )
    own = open_home(home)
    # Read once: what is shown is what is signed.
    written = read_bytes(path)
    Plan.from_toml(written, source=path.name)  # told before anybody is asked to compare
    helpers = [make_helper(own).identity] if rehearsal else []
    helpers += [vouch(own, text, yes=yes) for text in with_ or ()]
    partners = [vouch(own, text, yes=yes) for text in admit_ or ()]
    names = [own.display_name, *(helper.display_name for helper in helpers)]
    members = [own.identity, *helpers]
    plan_bytes, plan = _written_out(own, written, members, path.name, rehearsal=rehearsal)
    say_plan(own, plan, names, [partner.display_name for partner in partners])
    expected = [statement(own), *(statement_of(own.store, helper) for helper in helpers)]
    consent.say_backups(list(zip(members, expected, strict=True)))
    if not rehearsal:
        say(recovery_in_words(own, plan, [member.name for member in members]))
    warn_of_rehearsal(rehearsal)
    dates.warn_of_overdue(plan)
    if not rehearsal:
        require_backup(own, no_backup=no_backup)
    confirm("Do you consent to this plan, and invite these organisations?", yes=yes)
    admitted = [partner.name for partner in partners]
    if rehearsal and own.name not in admitted:
        # Whoever is alone relays too.
        admitted.append(own.name)
    with Office.open(own) as office:
        invitation = new_round(
            own,
            office.state,
            plan_bytes,
            helpers,
            rehearsal=rehearsal,
            expected=expected,
            source=path.name,
        )
        # Before the invitation leaves: whoever was named is admitted, whatever happens now.
        own.admit_later(invitation.round_id, admitted)
        office.publish()
    refresh_quietly(own)
    if rehearsal:
        sync_quietly(own)
    if as_json:
        emit_json({"round": invitation.round_id, "rehearsal": rehearsal})
    else:
        emit(invitation.round_id)
    if rehearsal:
        say("The local helper has joined and signed. Next: grievance round invite round.json")
    for helper in invitation.members[1:]:
        if not rehearsal:
            say(f"{helper.name} now runs: grievance round join {invitation.round_id}")


def _written_out(
    own: Home, written: bytes, members: list[Identity], source: str, *, rehearsal: bool
) -> tuple[bytes, Plan]:
    """The plan to publish, with its noise and its witnesses. Raises PlanError, TaskError."""
    from grievance.aggregator import Office
    from grievance.aggregator.campaign import with_mechanism
    from grievance.aggregator.outside import with_witnesses
    from grievance.plan import Plan
    from grievance.task.witnesses import check_outside

    with Office.open(own) as office:
        named = with_mechanism(office.state, written)
    plan_bytes = with_witnesses(own, named, members, rehearsal=rehearsal)
    plan = Plan.from_toml(plan_bytes, source=source)
    check_outside(plan, members)
    return plan_bytes, plan


def invite(
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    round_: RoundOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Write the one file a worker's device needs.

    Possible once every aggregator has signed. Publish the digest where workers can compare it.
    """
    from grievance.client.files import new_file
    from grievance.pool.rounds import read_task_and_signatures
    from grievance.task import bundle

    own = open_home(home)
    round_id = pick_round(own.store, round_, can_be_handed_out, own)
    task = trusted_task(own.store, round_id, None, own)
    found = read_task_and_signatures(own.store, round_id)
    signatures = list(found[1].values()) if found else []
    if path.exists():
        raise UsageError(f"{path} exists already", code="usage.exists", hint="name another file")
    with new_file(path) as file:
        file.write(bundle(task, signatures))
    warn_of_rehearsal(task.rehearsal)
    if as_json:
        emit_json(
            {
                "round": round_id,
                "file": str(path),
                "digest": task.short_digest,
                "digest_hex": task.digest.hex(),
                "rehearsal": task.rehearsal,
            }
        )
        return
    emit(task.short_digest)
    say(f"Wrote {path}. Publish the digest above where workers can compare it; they type:")
    say(f"    grievance seal {path} --trust {task.short_digest}")


def close(
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take no more reports into a round (leader).

    It cannot be opened again. Shows what each relay has passed on, whether that is enough for a
    release, and where the plan's closing day lies; it is for you to decide.
    """
    from grievance.aggregator.collected import collected
    from grievance.plan.period import closing_in_words, days_overdue
    from grievance.pool.events import Close

    own = open_home(home)
    round_id = pick_round(own.store, round_, is_led_and_open, own)
    today = dates.today()
    with leading(own, round_id) as (_, chain):
        was_closed, plan = chain.closed, chain.task.plan
        warn_of_rehearsal(chain.task.rehearsal)
    if not was_closed:
        # So that what has arrived has its place, and is in the table.
        sync_quietly(own)
        with leading(own, round_id) as (office, chain):
            came = collected(office.state, chain)
        say(f"By its plan {round_id} closes on {closing_in_words(plan, today)}.")
        show_collected(came)
        confirm(f"Close {round_id} for good? Reports that arrive later are not counted.", yes=yes)
        sync_quietly(own)
        with leading(own, round_id) as (office, chain):
            office.order(chain, Close())
            office.publish()
    sync_quietly(own)
    with leading(own, round_id) as (office, chain):
        came = collected(office.state, chain)
    if as_json:
        emit_json(
            {
                "round": round_id,
                "closed": True,
                "was_closed": was_closed,
                "closes": plan.closes.isoformat(),
                "overdue_days": days_overdue(plan, today),
                **came.to_json(),
            }
        )
        return
    say(f"{round_id} {'was closed already' if was_closed else 'is closed'}.")
    if came.can_be_met:
        say("When every aggregator has synced: grievance release propose")
    else:
        say(
            f"It can never be released: {came.accepted + came.waiting:,} sealed reports at most "
            f"count, and the plan asks for {came.minimum:,}."
        )

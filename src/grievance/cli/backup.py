"""What owners and trustees of a backup type: `backup ...` and `restore`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.output import (
    WAITING,
    Json,
    Yes,
    ask,
    confirm,
    counted,
    emit,
    emit_json,
    refuse_usage,
    say,
    tell,
)
from grievance.cli.places import (
    HomeOption,
    home_path,
    open_home,
    passphrase,
    split_partner,
    vouch,
)
from grievance.errors import GrievanceError, KeyFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grievance.backup import BackupStatus, Plea, Restore, Restored
    from grievance.backup.requests import Answers, Request
    from grievance.backup.sets import BackupSet
    from grievance.home import Home
    from grievance.pool.store import Store

ToOption = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="NAME[:FINGERPRINT]", help="A trustee; repeat for each."),
]
ThresholdOption = Annotated[
    int,
    typer.Option(
        "--threshold",
        min=2,
        help="How many trustees together give the keys back, and can use them.",
    ),
]
NoBackupOption = Annotated[
    bool,
    typer.Option(
        "--no-backup",
        help="Go without a rehearsed backup: if our keys are lost, the round has no result.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the backup commands."""
    group = typer.Typer(
        help="Back keys up with trustees, and be a trustee for others.", no_args_is_help=True
    )
    group.command("make")(make)
    group.command("rehearse")(rehearse)
    group.command("status")(status)
    group.command("answer")(answer)
    app.add_typer(group, name="backup")
    app.command()(restore)


def make(
    to: ToOption = None,
    threshold: ThresholdOption = 2,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Back our keys up with trustees.

    Any THRESHOLD of them together can give the keys back, and fewer learn nothing. Choose
    trustees who would not work together against you, and not the other aggregators of your
    rounds: with your keys and their own they could read every answer.
    """
    own = open_home(home)
    made = make_backup(own, to or (), threshold, yes=yes)
    if as_json:
        emit_json({"set": made.set_id, "threshold": made.threshold, "trustees": made.names})


def make_backup(own: Home, to: Sequence[str], threshold: int, *, yes: bool) -> BackupSet:
    """Vouch for the trustees, ask for consent, make the backup, and say what comes next."""
    from grievance import backup

    if len(to) < threshold:
        refuse_usage(
            f"{counted(len(to), 'trustee')} cannot be {threshold} of them",
            "name at least as many trustees as the threshold says, each by its own option",
        )
    trustees = [vouch(own, text, yes=yes) for text in to]
    names = ", ".join(trustee.display_name for trustee in trustees)
    say(f"Trustees: {names}.")
    say(
        f"Any {threshold} of them together will be able to give your keys back, and to act as you "
        "and read what you can read. Fewer learn nothing."
    )
    confirm("Do you trust them so far?", yes=yes)
    made = backup.make(own, trustees, threshold)
    say(f"Made backup {made.set_id}. Nobody knows yet whether it works; try it out now:")
    say("    grievance backup rehearse")
    return made


def refresh_quietly(own: Home) -> None:
    """Bring the backup up to date after keys were made or deleted; a fault is told, not raised."""
    from grievance import backup

    try:
        done = backup.refresh(own)
    except GrievanceError as error:
        tell(error)
        say("The backup is not up to date yet; the next `grievance sync` tries again.")
        return
    if done is not None:
        say(f"Backed the keys up again (archive {done.number}).")
        if done.forgotten:
            say("Older archives, which held the destroyed keys, are taken out of the pool. Copies")
            say("of them elsewhere may survive, and open to enough trustees together.")
        if done.left:
            say(f"These older archives could not be deleted yet: {', '.join(done.left)}")


def require_backup(own: Home, *, no_backup: bool) -> None:
    """Raise UsageError unless our keys have a rehearsed backup, or a person goes without."""
    from grievance import backup

    if no_backup or backup.statement(own) is not None:
        return
    made = backup.current_set(own) is not None
    what = "was never rehearsed" if made else "does not exist"
    command = "rehearse" if made else "make --to NAME:FINGERPRINT --to NAME:FINGERPRINT"
    raise UsageError(
        f"the backup of {own.name}'s keys {what}: if they are lost, the round ends without a "
        "result for everybody",
        code="backup.missing",
        hint=f"run `grievance backup {command}`, or go without: --no-backup",
    )


def rehearse(home: HomeOption = None, as_json: Json = False) -> None:
    """Try the backup out, together with the trustees.

    They answer as after a loss, and nothing is written. Run it again when they have answered.
    Only a rehearsed backup counts when a round is opened.
    """
    from grievance import backup

    own = open_home(home)
    result = backup.rehearse(own)
    request, answers = result.request, result.answers
    if as_json:
        emit_json({**_asked(request, result.backup_set, answers), "rehearsed": result.day})
    _name_wrong(answers)
    if result.day is None:
        if not as_json:
            emit(request.request_id)
        _say_what_to_type(own.name, request, result.backup_set, answers)
        say("Then run this again: grievance backup rehearse")
        raise typer.Exit(WAITING)
    say(f"The backup works: {', '.join(answers.answered)} gave every key file back.")
    if answers.waiting:
        say(f"Not tried, since they have not answered: {', '.join(answers.waiting)}.")


def restore(
    owner: Annotated[
        str,
        typer.Argument(
            metavar="OWNER[:FINGERPRINT]", help="Whose keys, with its own fingerprint if at hand."
        ),
    ],
    pool: Annotated[str, typer.Option("--pool", help="The shared folder, or an fsspec URL.")],
    home: HomeOption = None,
    set_: Annotated[
        str | None, typer.Option("--set", help="An older backup than the newest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Get a lost machine's keys back from trustees.

    They are written into a new folder (--home). The first run asks the trustees and says what
    they type; run it again when they have answered. Set GRIEVANCE_PASSPHRASE if the lost keys
    had a passphrase.
    """
    from grievance import backup
    from grievance.pool.places import synced_warning
    from grievance.pool.store import open_store

    name, fingerprint = split_partner(owner)
    store, folder = open_store(pool), home_path(home)
    if warning := synced_warning(folder):
        say(f"warning: {warning}")
    asked = backup.ask(
        store, name, folder, fingerprint=fingerprint, set_id=set_, passphrase=passphrase()
    )
    _name_wrong(asked.answers)
    if not (asked.ready or asked.answers.hopeless(asked.backup_set)):
        if as_json:
            emit_json({**_asked(asked.request, asked.backup_set, asked.answers), "restored": False})
        else:
            emit(asked.request.request_id)
        _say_what_to_type(name, asked.request, asked.backup_set, asked.answers)
        say("Then run this again, with the same --pool and --home.")
        raise typer.Exit(WAITING)
    restored = _finish(store, asked, folder)
    if as_json:
        emit_json(
            {
                **_asked(asked.request, asked.backup_set, asked.answers),
                "restored": True,
                "archive": restored.archive,
                "files": restored.files,
                "unreadable": restored.unreadable,
                "missing": restored.missing,
                "destroyed": restored.destroyed,
                "fingerprint": restored.home.identity.fingerprint,
            }
        )
    else:
        emit(restored.home.identity.fingerprint)
    _say_restored(restored)


def _finish(store: Store, asked: Restore, folder: Path) -> Restored:
    """Write the files, asking for the passphrase where one is needed."""
    from grievance import backup

    try:
        return backup.finish(store, asked, folder, passphrase=passphrase())
    except KeyFileError as error:
        if error.code != "key.passphrase":
            raise
        if passphrase() or not sys.stdin.isatty():
            raise KeyFileError(
                error.message,
                code=error.code,
                hint="set GRIEVANCE_PASSPHRASE to what protected the lost keys, then run it again",
            ) from None
    text = typer.prompt("Passphrase of the lost keys", hide_input=True, err=True)
    return backup.finish(store, asked, folder, passphrase=text)


def _say_restored(restored: Restored) -> None:
    own = restored.home
    say(
        f"{counted(len(restored.files), 'file')} of {own.name} are back in {own.root}, from "
        f"archive {restored.archive}."
    )
    say("Is the fingerprint above the one on your web site and posters?")
    if restored.unreadable:
        numbers = ", ".join(str(number) for number in restored.unreadable)
        say(f"A newer archive does not carry your signature: {numbers}. Somebody changed the pool.")
    for round_id in restored.missing:
        say(f"The keys of {round_id} did not come back; the archive is older than they are.")
    for round_id in restored.destroyed:
        say(f"The keys of {round_id} stay gone: your ledger says that you destroyed them.")
    say("Next, rebuild what the aggregator remembers: grievance recover")


def answer(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Who asks for its keys.")],
    request: Annotated[
        str | None,
        typer.Argument(metavar="REQUEST", help="The start of the request's fingerprint."),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", help="The request's whole fingerprint, as they read it out to you."
        ),
    ] = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give another organisation's piece back (trustee).

    Call them on a number you knew before, and know the voice: whoever gets enough pieces is to
    everybody else the organisation that lost its keys.
    """
    from grievance import backup

    own = open_home(home)
    plea = backup.find_plea(own, owner, request)
    _show(plea)
    if fingerprint is None:
        if not sys.stdin.isatty():
            raise UsageError(
                "the request's fingerprint must come from the people who ask, by voice",
                code="usage.fingerprint",
                hint=f"call {owner}, then add --fingerprint with what they read out",
            )
        fingerprint = ask("Type the fingerprint that they read out to you: ")
    confirm(f"Have you called {owner} on a number you knew before, and is it really them?", yes=yes)
    path = backup.answer(own, plea, fingerprint)
    if as_json:
        emit_json(
            {
                "owner": owner,
                "request": plea.request.request_id,
                "rehearsal": plea.request.rehearsal,
                "file": path,
            }
        )
        return
    say(f"{own.name} gave its piece back, sealed so that only that request's machine opens it.")


def _show(plea: Plea) -> None:
    """Say whom an answer would help. The fingerprint's rest must come by voice."""
    backup_set, request = plea.backup_set, plea.request
    owner = backup_set.owner
    say(f"{owner.display_name} ({owner.name}), whose identity is {owner.fingerprint},")
    if request.rehearsal:
        say("rehearses its backup, and signed the request itself. A piece given back is as")
        say("good as in earnest: take the same care.")
    else:
        say("says that it has lost its machine, and asks for its keys. Nothing but a voice you")
        say("know can tell you whether that is true.")
    say(f"You hold one of {len(backup_set.trustees)} pieces; {backup_set.threshold} are enough.")
    say(f"The request's fingerprint begins with {request.request_id[:9]}.")
    if plea.answered:
        say("You have answered it already.")


def status(home: HomeOption = None, as_json: Json = False) -> None:
    """Say how our backup stands, and who asks for our help."""
    from grievance import backup

    own = open_home(home)
    own.mailbox()
    found = backup.status(own)
    waiting = [plea for plea in backup.pleas(own) if not plea.answered]
    if as_json:
        emit_json(
            {
                "backup": found.to_json() if found else None,
                "pleas": [
                    {
                        "owner": plea.owner,
                        "request": plea.request.request_id,
                        "rehearsal": plea.request.rehearsal,
                    }
                    for plea in waiting
                ],
            }
        )
        return
    if found is None:
        emit(f"{own.name} has no backup of its keys.")
        emit("  next: grievance backup make --to NAME:FINGERPRINT --to NAME:FINGERPRINT")
    else:
        _show_status(found)
    for plea in waiting:
        emit(f"{plea.owner} waits for your answer to request {plea.request.request_id[:9]}...")
        emit(f"  next: grievance backup answer {plea.owner} {plea.request.request_id[:4]}")


def _show_status(found: BackupStatus) -> None:
    emit(f"backup {found.set_id} of {found.made}: any {found.threshold} of the trustees")
    emit(f"  trustees: {', '.join(found.trustees)}")
    if found.rehearsed:
        emit(f"  rehearsed on {found.rehearsed} with {', '.join(found.rehearsed_with)}")
    else:
        emit("  never rehearsed; next: grievance backup rehearse")
    fresh = "up to date" if found.up_to_date else "not up to date; next: grievance sync"
    emit(f"  archive {found.archive}: {fresh}")
    for item in found.requests:
        kind = "rehearsal" if item["rehearsal"] else "RESTORE"
        who = ", ".join(item["answered"]) or "nobody yet"
        emit(f"  request {item['request']} ({kind}), answered by {who}")
    if any(not item["rehearsal"] and item["answered"] for item in found.requests):
        emit("  Did you ask for that restore? If not, somebody holds pieces of your keys: call")
        emit("  your trustees and the other aggregators now.")


def _asked(request: Request, backup_set: BackupSet, answers: Answers) -> dict[str, object]:
    return {
        "owner": backup_set.owner.name,
        "set": backup_set.set_id,
        "request": request.request_id,
        "threshold": backup_set.threshold,
        "answered": answers.answered,
        "wrong": answers.wrong,
        "waiting": answers.waiting,
    }


def _name_wrong(answers: Answers) -> None:
    for name in answers.wrong:
        say(f"{name} sent something else than its piece; go on without it, and ask why.")


def _say_what_to_type(name: str, request: Request, backup_set: BackupSet, answers: Answers) -> None:
    lacking = backup_set.threshold - len(answers.pieces)
    say(f"{counted(len(answers.pieces), 'trustee')} answered; {lacking} more must.")
    say(f"Call them, and read this out: {request.request_id}")
    for trustee in answers.waiting:
        say(f"    {trustee} types: grievance backup answer {name} {request.request_id[:4]}")

"""What an aggregator's steward agrees to: the invitation to a round, and what cards say later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli import dates
from grievance.cli.backup import NoBackupOption, refresh_quietly, require_backup
from grievance.cli.choice import asks_for_consent, is_to_be_joined, pick_round
from grievance.cli.office import warn_of_rehearsal
from grievance.cli.output import Json, Yes, confirm, emit_json, say
from grievance.cli.places import HomeOption, open_home, split_partner, vouch
from grievance.cli.prospects import say_plan
from grievance.errors import TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.consent import Difference
    from grievance.home import Home
    from grievance.pool.rounds import Invitation
    from grievance.task import BackupClaim, Identity


def say_backups(parties: Sequence[tuple[Identity, BackupClaim | None]]) -> None:
    """Say whose keys could be given back by whom, and who counts on several sides."""
    from grievance.task.backup import backup_in_words
    from grievance.task.trustees import overlap_in_words

    for member, claim in parties:
        say(backup_in_words(member.display_name, claim))
    if overlap := overlap_in_words(parties):
        say(overlap)


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
    no_backup: NoBackupOption = False,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Read a round's plan in words and consent.

    You then take part as an aggregator, and `grievance sync` signs the task when it is there, if
    it holds exactly what you read. Like the leader, you need a rehearsed backup of your keys, or
    --no-backup.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.asked import recovery_in_words
    from grievance.aggregator.consent import check_names, check_unchanged, find_consent
    from grievance.aggregator.rounds import join_round
    from grievance.backup import statement
    from grievance.task.backup import same_claim

    own = open_home(home)
    round_id = pick_round(own.store, round_, is_to_be_joined, own, expect)
    invitation = own.invitation(round_id)
    if invitation is None:
        with Office.open(own) as office:
            agreed = find_consent(own, office.state, round_id)
            if agreed is not None:
                check_unchanged(own, office.state, agreed)
        raise UsageError(
            f"the invitation to {round_id} has not arrived whole",
            code="round.waiting",
            hint="wait until the pool has arrived, then try again",
        )
    # From here on nothing of it is read again: what is shown is what is agreed to.
    _vouch_for_all(own, invitation, expect or (), yes=yes)
    check_names(own, invitation.members)
    say_plan(own, invitation.plan, [member.display_name for member in invitation.members])
    say_backups(list(zip(invitation.members, invitation.card.expected, strict=True)))
    if own.identity in invitation.members:
        expected = invitation.card.expected[invitation.members.index(own.identity)]
        if not same_claim(expected, statement(own)):
            say("Your own backup is another one by now. Your card says so, and then everybody is")
            say(f"asked once more, you too: grievance round consent {round_id}")
    if not invitation.card.rehearsal:
        say(recovery_in_words(own, invitation.plan, [m.name for m in invitation.members]))
    warn_of_rehearsal(invitation.card.rehearsal)
    dates.warn_of_overdue(invitation.plan)
    if not invitation.card.rehearsal:
        require_backup(own, no_backup=no_backup)
    confirm("Do you consent to this plan and to these organisations?", yes=yes)
    with Office.open(own) as office:
        join_round(own, office.state, invitation)
        office.publish()
    refresh_quietly(own)
    if as_json:
        emit_json({"round": round_id, "joined": True})
        return
    say(f"{own.name} takes part in {round_id}. `grievance sync` signs the task when it is there,")
    say("and only if it holds exactly what is written above.")


def _vouch_for_all(own: Home, invitation: Invitation, expect: Sequence[str], *, yes: bool) -> None:
    """Hold every other aggregator's key against what was compared, or compare it now."""
    members = {member.name: member for member in invitation.members}
    told = dict(split_partner(text) for text in expect)
    if unknown := sorted(set(told) - set(members)):
        raise UsageError(
            f"{invitation.round_id} does not name {', '.join(unknown)} as an aggregator",
            code="round.member",
            hint=f"its aggregators are: {', '.join(members)}",
        )
    for name, member in members.items():
        if name != own.name:
            fingerprint = told.get(name)
            text = f"{name}:{fingerprint}" if fingerprint else name
            if vouch(own, text, yes=yes).key != member.key:
                raise TrustError(
                    f"the invitation has another key for {name} than the pool",
                    code="trust.changed",
                    hint=f"the pool may have been tampered with; call {name}",
                )


def consent(
    round_: Annotated[str, typer.Argument(metavar="ROUND", help="The round you take part in.")],
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Read what cards say otherwise than the invitation, and consent.

    An aggregator may have other trustees by the time it joins than the leader knew of. Then
    nobody's `grievance sync` signs before its own steward has read that here. No second card is
    made: who does not consent leaves it, and the leader opens another round.
    """
    from grievance.aggregator import Office
    from grievance.aggregator import consent as consents
    from grievance.pool.rounds import read_cards
    from grievance.task.backup import backup_in_words

    own = open_home(home)
    round_id = pick_round(own.store, round_, asks_for_consent, own)
    with Office.open(own) as office:
        agreed = consents.find_consent(own, office.state, round_id)
        if agreed is None:
            raise UsageError(
                f"{own.name} has not joined {round_id}",
                code="round.missing",
                hint=f"if you are invited: grievance round join {round_id}",
            )
        if office.task(round_id) is not None:
            _tell(round_id, [], "the task is signed, so nothing is left to ask", as_json=as_json)
            return
        consents.check_unchanged(own, office.state, agreed)
        invitation = agreed.invitation
        cards = read_cards(own.store, invitation)
    missing = [member.name for member in invitation.members if member.name not in cards]
    if missing:
        raise UsageError(
            f"the card of {', '.join(missing)} is not here yet",
            code="round.waiting",
            hint="everybody's card is read at once; try again when it has arrived",
        )
    consents.check_claims(invitation, cards)
    found = consents.differences(invitation, cards)
    if not consents.waits_for_consent(agreed, cards):
        _tell(round_id, found, "there is nothing new to consent to", as_json=as_json)
        return
    say(f"In {round_id} the cards say something else than the invitation you agreed to:")
    for item in found:
        say()
        say(f"{item.member.display_name} ({item.member.name})")
        say(f"  the invitation: {backup_in_words(item.member.display_name, item.expected)}")
        say(f"  its card now:   {backup_in_words(item.member.display_name, item.claimed)}")
    say()
    if not found:
        say("Nothing of that is left, but cards are others than those you consented to before.")
    say_backups(consents.claims_of(invitation, cards))
    warn_of_rehearsal(invitation.card.rehearsal)
    confirm("Do you consent to the round with these cards?", yes=yes)
    with Office.open(own) as office:
        consents.agree_to_cards(office.state, agreed, cards)
    say_next = "`grievance sync` signs the task when it is there, if its cards are exactly these."
    _tell(round_id, found, say_next, as_json=as_json, consented=True)


def _tell(
    round_id: str,
    found: Sequence[Difference],
    words: str,
    *,
    as_json: bool,
    consented: bool = False,
) -> None:
    if as_json:
        emit_json(
            {
                "round": round_id,
                "consented": consented,
                "differences": [
                    {
                        "name": item.member.name,
                        "expected": None if item.expected is None else item.expected.to_json(),
                        "claimed": None if item.claimed is None else item.claimed.to_json(),
                    }
                    for item in found
                ],
            }
        )
    else:
        say(f"{round_id}: {words}")

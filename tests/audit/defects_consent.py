"""What a coalition signs against its own members: trustees in common, two cards for one round."""

from __future__ import annotations

import hashlib
from typing import Any

from audit_defects import defect
from audit_world import Pool
from defects_tasks import reopen

from grievance.crypto.documents import b64encode
from grievance.crypto.signing import SigningKey, SigningKeySeed
from grievance.ledger.versions import sign_versions
from grievance.pool.layout import RoundPaths
from grievance.task import Card, make_card, parse_card


def person(number: int) -> SigningKey:
    return SigningKey(SigningKeySeed(bytes([number]) * 32))


def backup(threshold: int, *numbers: int, **besides: SigningKey) -> dict[str, Any]:
    """What a card says: these people hold the pieces, by the number of their key."""
    people = {f"person-{number}": person(number) for number in numbers} | besides
    return {
        "rehearsed": "2026-09-30",
        "set": "ab" * 8,
        "threshold": threshold,
        "trustees": [
            {"identity": b64encode(key.public.raw), "name": name} for name, key in people.items()
        ],
    }


def with_backups(
    pool: Pool, claims: dict[str, Any], *, shared: bool = False, known: bool = True
) -> None:
    """Let all aggregators sign a round with these backups, of which the invitation knew or not."""
    leader, said = pool.names[0], [claims.get(name) if known else None for name in pool.names]
    plan = pool.read(pool.paths.plan)
    if shared:
        plan = plan.replace(b"[privacy]", b"shared_trustees = true\n\n[privacy]")
        pool.write(pool.paths.plan, plan)
    sha256, digests = hashlib.sha256(plan).hexdigest(), {}
    for name in pool.names:
        first = name == leader

        def change(body: dict[str, Any], name: str = name, first: bool = first) -> None:
            body.update(backup=claims.get(name), plan=sha256)
            body.update(expected=said if first else None)
            body.update(invitation=None if first else digests[leader])

        pool.sign_again(pool.paths.card(name), pool.keys[name], change)
        digests[name] = hashlib.sha256(pool.read(pool.paths.card(name))).hexdigest()

    def sign(task: dict[str, Any]) -> None:
        task["plan_sha256"], task["plan"]["shared_trustees"] = sha256, shared
        for entry in task["aggregators"]:
            entry.update(backup=claims.get(entry["name"]), card=digests[entry["name"]])

    reopen(pool, sign)


@defect("task.trustees")
def two_trustees_in_common_of_whom_two_are_enough(pool: Pool) -> None:
    with_backups(pool, {"north": backup(2, 1, 2, 3), "south": backup(3, 2, 3, 4)})


@defect("task.trustees")
def an_aggregator_that_is_a_trustee(pool: Pool) -> None:
    with_backups(pool, {"north": backup(2, 1, 2, kim=pool.keys["south"])}, shared=True)


@defect("task.trustees", severity="note")
def trustees_in_common_that_the_plan_allows(pool: Pool) -> None:
    with_backups(pool, {"north": backup(2, 1, 2), "south": backup(2, 1, 2)}, shared=True)


def second_card(card: Card, key: SigningKey, plan: bytes) -> bytes:
    return make_card(
        key,
        card.hpke,
        round_id=card.round_id,
        plan_sha256=hashlib.sha256(plan).digest(),
        members=card.members,
    )


@defect("file.twice")
def a_second_invitation(pool: Pool) -> None:
    """The leader signed another card, for another plan, after all had joined."""
    path = pool.paths.card("north")
    first = pool.read(path)
    other = second_card(parse_card(first), pool.leader, b"another plan")
    evidence = sign_versions(path, first, other, pool.keys["south"])
    pool.write(pool.paths.two_versions(path, "south"), evidence)


@defect("file.twice")
def a_second_invitation_to_a_round_without_a_task(pool: Pool) -> None:
    """South joined nothing yet; both versions carry the leader's signature all the same."""
    made = parse_card(pool.read(pool.paths.card("north")))
    paths, plan = RoundPaths("trial-00000001"), pool.read(pool.paths.plan)
    first = make_card(
        pool.leader,
        made.hpke,
        round_id=paths.round_id,
        plan_sha256=hashlib.sha256(plan).digest(),
        members=made.members,
    )
    other = second_card(parse_card(first), pool.leader, b"another plan")
    path = paths.card("north")
    pool.write(paths.plan, plan)
    pool.write(path, first)
    evidence = sign_versions(path, first, other, pool.keys["south"])
    pool.write(paths.two_versions(path, "south"), evidence)


@defect("task.cards", severity="note")
def a_backup_that_the_invitation_did_not_know(pool: Pool) -> None:
    with_backups(pool, {"south": backup(2, 1, 2)}, known=False)


@defect("task.cards", severity="note")
def an_organisation_that_calls_itself_otherwise(pool: Pool) -> None:
    """It may have taken another name since; or the round was shown with a false one."""
    pool.sign_again(
        "partners/south.json",
        pool.keys["south"],
        lambda body: body.update(display_name="Southern Network"),
    )

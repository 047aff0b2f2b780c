"""Seeds that are signed documents: tasks, the order, releases, ledgers, backups."""

from __future__ import annotations

from fuzz.world import (
    RELEASE,
    ROUND,
    ROWS,
    SET,
    hpke_key,
    identity,
    secret,
    signing_key,
    world,
)
from grievance.backup import archive, rehearsed, requests
from grievance.cost import Cost
from grievance.crypto.documents import b64encode, canonical, sign_document
from grievance.ledger import AloneEvent, DestroyedEvent, LedgerEntry, ReleaseEvent
from grievance.ledger.asked import make_answer
from grievance.ledger.checkpoint import cosign, sign_checkpoint
from grievance.ledger.versions import sign_versions
from grievance.pool.decisions import Decision, Status
from grievance.pool.events import Admit, Close, Expel, OrderBatch, OrderRelease, Void
from grievance.pool.layout import RoundPaths, checkpoint_path
from grievance.pool.noisy import KIND as SHARE_KIND
from grievance.pool.noisy import sign_own_share
from grievance.pool.order import OrderChain
from grievance.pool.proposals import Approval
from grievance.pool.waivers import sign_waiver
from grievance.release import Release
from grievance.release.beside import MadeFrom
from grievance.task import (
    BackupClaim,
    bundle,
    make_card,
    make_identity,
    make_mailbox,
    seal_verify_key,
    sign_task,
)
from grievance.task.backup import ClaimedTrustee

Seeds = dict[str, list[bytes]]


def rounds() -> Seeds:
    """Identities, cards, a task and its signatures."""
    task, north, south = world().task, signing_key("north"), signing_key("south")
    files = [sign_task(task, north, "north"), sign_task(task, south, "south")]
    trustees = tuple(ClaimedTrustee(name, signing_key(name).public) for name in ("anna", "bert"))
    claim = BackupClaim(SET, 2, trustees, "2026-09-01")
    with_backup = make_card(
        north,
        hpke_key("north", "MLKEM768_X25519").public,
        round_id=ROUND,
        plan_sha256=secret("plan"),
        members=[identity("north"), identity("south")],
        rehearsal=True,
        backup=claim,
        expected=[claim, claim],
    )
    return {
        "card": [*(card.data for card in world().cards), with_backup],
        "card-versions": [
            sign_versions(
                RoundPaths(ROUND).card("north"), world().cards[0].data, with_backup, north
            )
        ],
        "identity": [make_identity("north", "The North, e.V.", north)],
        "mailbox": [make_mailbox("anna", hpke_key("anna").public, signing_key("anna"))],
        "task": [task.data],
        "task-signature": files[:1],
        "bundle": [bundle(task, files)],
        "verify-key": [seal_verify_key(task, world().verify_key, north)],
    }


def decided() -> Seeds:
    """Events of the order, decisions, proposals and answers."""
    task, batch, north = world().task, world().batch, signing_key("north")
    refused = {1: (Status.PROOF, -1), 2: (Status.OPEN, 0)}
    decisions = [
        Decision(batch.seq, batch.digest, ROWS, chosen, secret("root")) for chosen in ({}, refused)
    ]
    first = OrderChain.start(task).sign_next(Admit("nurses", signing_key("nurses").public), north)
    other = OrderChain.start(task).sign_next(Close(), north)
    batches = [OrderBatch("nurses", secret(f"{n}"), 5) for n in range(2)]
    events = [
        Admit("nurses", signing_key("nurses").public),
        *batches,
        Void(2),
        Expel("nurses"),
        Close(),
        OrderRelease(RELEASE, secret("p")),
    ]
    signed = [one.sign(task, signing_key("south")) for one in decisions]
    where = RoundPaths(ROUND).decide(batch.seq, "south")
    heads = [sign_checkpoint("north", 1, secret(label), north) for label in ("one", "two")]
    return {
        "two-versions": [
            sign_versions(where, signed[0], signed[1], north),
            sign_versions(RoundPaths(ROUND).order(1), first, other, north),
            sign_versions(checkpoint_path("north", 1), *heads, north),
        ],
        "decision": signed,
        "order": [first, other],
        "order-events": [canonical([event.to_json() for event in events])],
        "proposal": [world().proposal.sign(task, north)],
        "approval": [
            Approval("south", "approve", "").sign(task, world().proposal, signing_key("south")),
            Approval("south", "decline", "too few").sign(
                task, world().proposal, signing_key("south")
            ),
        ],
    }


def released() -> Seeds:
    """Shares, releases, ledger entries, heads and evidence."""
    task, south = world().task, signing_key("south")
    shapes = {name: task.layout.statistics[name].num_released for name in task.allocations}
    vectors = {n: task.vdaf.field.encode_vec(range(size)) for n, size in shapes.items()}
    share = {
        "task": task.digest.hex(),
        "release": RELEASE,
        "aggregator": "south",
        "statistics": {name: b64encode(vector) for name, vector in vectors.items()},
    }
    release = Release.build(
        task,
        {name: [4 + at for at in range(size)] for name, size in shapes.items()},
        release_id=RELEASE,
        accepted=12,
        accepted_root=secret("root"),
        noisy_shares={entry.name: secret("share").hex() for entry in task.aggregators},
    )
    costs = {name: given.cost for name, given in task.allocations.items()}
    event = ReleaseEvent(RELEASE, secret("p"), costs, 12, secret("root"), secret("share"))
    entries = [
        LedgerEntry.sign(
            south,
            ledger="south",
            after=None,
            campaign=task.campaign,
            task=task.digest,
            spent=spent,
            event=what,
        ).data
        for spent, what in (
            (task.cost, event),
            (Cost.zero("zcdp"), DestroyedEvent()),
            (Cost.zero("zcdp"), AloneEvent(("anna",))),
        )
    ]
    north = signing_key("north")
    return {
        "noisy-share": [sign_document(SHARE_KIND, share, south)],
        "own-share": [sign_own_share(task, RELEASE, secret("box", 90), south)],
        "release": [release.to_bytes()],
        "made-from": [
            MadeFrom.of(release.to_bytes(), formats, {"nurses": 3, "carers": 0}).to_bytes()
            for formats in ((), ("parquet",))
        ],
        "ledger-entry": entries,
        "waiver": [sign_waiver(task, RELEASE, "south", ["anna", "bert"], south)],
        "heads-request": [world().question.data],
        "heads-answer": [make_answer(world().question, "south", world().checkpoint, south)],
        "checkpoint": [world().checkpoint.data, sign_checkpoint("north", 10**9, bytes(32), north)],
        "checkpoint-text": [world().checkpoint.text],
        "cosignature": [cosign(world().checkpoint, "south", 1_790_000_000, south)],
        "cosignature-time": [(1_790_000_000).to_bytes(8, "big"), b"\xff" * 8],
        "cost": [canonical(task.cost.to_json()), b'{"pure":"1/4"}'],
        "fraction": [str(task.cost.amount).encode(), b"2"],
    }


def backups() -> Seeds:
    """Sets, requests, answers and archives of backups."""
    owner, made, key = signing_key("north"), world().backup, hpke_key("request")
    request = requests.make_request(made, key.public, owner, rehearsal=True)
    answer = requests.make_answer(
        made, request, made.trustees[0], world().pieces[0].reveal(), signing_key("anna")
    )
    contents = archive.pack(
        {
            "identity.pem": b"a key",
            "mailbox.key": b"another",
            "organisation.json": b"{}",
            f"rounds/{ROUND}/hpke.key": b"a third",
        }
    )
    sealed = hpke_key("archives").public.seal(contents, archive.archive_info(made, 1))
    body = {"number": 1, "owner": "north", "sealed": b64encode(sealed), "set": SET}
    return {
        "backup-set": [made.data],
        "backup-request": [request.data],
        "backup-answer": [answer],
        "backup-rehearsed": [
            rehearsed.make_rehearsed(
                made, owner, day="2026-10-01", request=request.digest,
                trustees=["anna", "bert"], number=1,
            )
        ],
        "backup-archive": [sign_document(archive.KIND, body, owner)],
        "archive-contents": [contents],
    }  # fmt: skip

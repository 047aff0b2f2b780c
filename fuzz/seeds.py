"""Inputs that every target accepts, made from the round of `fuzz.world`: `python -m fuzz.seeds`.

Writes `fuzz/corpus/<target>/seed-<n>`. Other files in those folders are inputs that once broke
a promise; they stay.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz.documents import DOCUMENTS
from fuzz.texts import MAPPED
from fuzz.world import (
    PLAN,
    RELEASE,
    ROUND,
    ROWS,
    SET,
    body_of,
    hpke_key,
    identity,
    secret,
    signing_key,
    world,
)
from grievance.backup import archive, rehearsed, requests
from grievance.client import Report, read_reports, seal, write_reports
from grievance.cost import Cost
from grievance.crypto import keys
from grievance.crypto.boxes import seal_at_rest
from grievance.crypto.documents import b64encode, canonical, sign_document
from grievance.crypto.merkle import consistency_proof, inclusion_proof, root
from grievance.ledger import DestroyedEvent, LedgerEntry, ReleaseEvent
from grievance.ledger.checkpoint import cosign, sign_checkpoint
from grievance.ledger.evidence import sign_fork
from grievance.ledger.versions import sign_versions
from grievance.pool.archive import checksum, directory, place_members
from grievance.pool.batch import HEADER_SIZE, reports_to_table, write_batch
from grievance.pool.bundle import Manifest
from grievance.pool.layout import RoundPaths
from grievance.pool.noisy import NoisyAggregateShare, sign_own_share
from grievance.pool.order import OrderChain, admit_event, sign_order_fork
from grievance.pool.proposals import Approval
from grievance.pool.verdicts import Decision, Status, VerifierShares, signed_size, write_verify_file
from grievance.release import Release
from grievance.secret import StateKey
from grievance.task import (
    BackupClaim,
    bundle,
    make_card,
    make_identity,
    make_mailbox,
    seal_verify_key,
    sign_task,
)
from grievance.wire import Writer, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping

CORPUS = Path(__file__).parent / "corpus"
ANSWERS: dict[str, object] = {"region": "London", "problems": ["targets"], "hours": "1"}
Seeds = dict[str, list[bytes]]


@cache
def reports() -> tuple[Report, ...]:
    """Three sealed reports of the round."""
    return tuple(seal(world().task, ANSWERS) for _ in range(ROWS))


@cache
def batch_file() -> bytes:
    """The three reports as a signed batch."""
    table = reports_to_table(world().task, reports())
    return write_batch(world().task, table, signing_key("nurses"))


def payload() -> bytes:
    """The table inside that batch."""
    return batch_file()[HEADER_SIZE:]


@cache
def seeds() -> Mapping[str, list[bytes]]:
    """Two or three accepted inputs for every target. Differs a little in every process: HPKE."""
    found: Seeds = {**_round(), **_decided(), **_released(), **_backup()}
    for name in DOCUMENTS:
        found[f"{name}-body"] = [body_of(data) for data in found[name]]
    for name, of in (("task-value", "task"), ("audit-terms", "task"), ("bundle-value", "bundle")):
        found[name] = found[of]
    found["archive-value"] = found["archive-contents"]
    found["release-value"] = found["release"]
    return {**found, **_sealed(), **_small(), **_written(), **_kept(), **_bundled()}


def _round() -> Seeds:
    task, north, south = world().task, signing_key("north"), signing_key("south")
    files = [sign_task(task, north, "north"), sign_task(task, south, "south")]
    claim = BackupClaim(SET, 2, ("anna", "bert"), "2026-09-01")
    with_backup = make_card(
        north,
        hpke_key("north", "MLKEM768_X25519").public,
        round_id=ROUND,
        plan_sha256=secret("plan"),
        members=[identity("north"), identity("south")],
        rehearsal=True,
        backup=claim.to_json(),
    )
    return {
        "card": [world().cards[0].data, with_backup],
        "identity": [make_identity("north", "The North, e.V.", north)],
        "mailbox": [make_mailbox("anna", hpke_key("anna").public, signing_key("anna"))],
        "task": [task.data],
        "task-signature": files[:1],
        "bundle": [bundle(task, files)],
        "verify-key": [seal_verify_key(task, world().verify_key, north)],
    }


def _decided() -> Seeds:
    task, batch, north = world().task, world().batch, signing_key("north")
    refused = {1: (Status.PROOF, -1), 2: (Status.OPEN, 0)}
    decisions = [
        Decision(batch.seq, batch.digest, ROWS, chosen, secret("root")) for chosen in ({}, refused)
    ]
    first = OrderChain.start(task).sign_next(
        admit_event("nurses", signing_key("nurses").public), north
    )
    other = OrderChain.start(task).sign_next({"type": "close"}, north)
    batches = [
        {"type": "batch", "partner": "nurses", "batch": secret(f"{n}").hex(), "rows": 5}
        for n in range(2)
    ]
    events = [
        admit_event("nurses", signing_key("nurses").public),
        *batches,
        {"type": "void", "batch": 2},
        {"type": "expel", "partner": "nurses"},
        {"type": "close"},
        {"type": "release", "release": RELEASE, "proposal": secret("p").hex()},
    ]
    signed = [one.sign(task, signing_key("south")) for one in decisions]
    where = RoundPaths(ROUND).decide(batch.seq, "south")
    return {
        "two-versions": [sign_versions(where, signed[0], signed[1], north)],
        "decision": signed,
        "order": [first, other],
        "order-fork": [sign_order_fork(1, first, other, signing_key("south"))],
        "order-events": [canonical(events)],
        "proposal": [world().proposal.sign(task, north)],
        "approval": [
            Approval("south", "approve", "").sign(task, world().proposal, signing_key("south")),
            Approval("south", "decline", "too few").sign(
                task, world().proposal, signing_key("south")
            ),
        ],
    }


def _released() -> Seeds:
    task, south = world().task, signing_key("south")
    shapes = {name: task.layout.statistics[name].num_released for name in task.allocations}
    share = NoisyAggregateShare(
        RELEASE, "south", {name: tuple(range(size)) for name, size in shapes.items()}
    )
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
        for spent, what in ((task.cost, event), (Cost.zero("zcdp"), DestroyedEvent()))
    ]
    north = signing_key("north")
    heads = [sign_checkpoint("north", 1, secret(label), north) for label in ("one", "two")]
    return {
        "noisy-share": [share.sign(task, south)],
        "own-share": [sign_own_share(task, RELEASE, secret("box", 90), south)],
        "release": [release.to_bytes()],
        "ledger-entry": entries,
        "ledger-fork": [sign_fork("north", 1, heads, south)],
        "checkpoint": [world().checkpoint.data, sign_checkpoint("north", 10**9, bytes(32), north)],
        "checkpoint-text": [world().checkpoint.text],
        "cosignature": [cosign(world().checkpoint, "south", 1_790_000_000, south)],
        "cosignature-time": [(1_790_000_000).to_bytes(8, "big"), b"\xff" * 8],
        "cost": [canonical(task.cost.to_json()), b'{"pure":"1/4"}'],
        "fraction": [str(task.cost.amount).encode(), b"2"],
    }


def _backup() -> Seeds:
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


def _sealed() -> Seeds:
    task, vdaf, ordered = world().task, world().task.vdaf, world().batch
    one = reports()[0]
    public, (leader, helper) = vdaf._shard_with_rand(
        task.ctx,
        task.layout.encode(task.layout.answers(ANSWERS)),
        one.nonce,
        secret("rand", vdaf.RAND_SIZE),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.reports"
        write_reports(path, task, reports())
        list(read_reports(path, task))
        table = path.read_bytes()
    statuses = bytes([Status.OK, Status.OPEN, Status.NONCE])
    share = vdaf.field.encode_vec([5] * vdaf.flp.VERIFIER_LEN * vdaf.PROOFS) + secret("part")
    findings = VerifierShares(statuses, share + bytes(2 * len(share)))
    verify = write_verify_file(task, ordered, 0, findings, signing_key("north"))
    head = signed_size(task)
    salt = secret("salt")
    from grievance.client import derive_nonce

    inside = salt + vdaf.encode_input_share(helper)
    ones = vdaf.field.encode_vec([1] * vdaf.flp.OUTPUT_LEN)
    footer = int.from_bytes(payload()[-8:-4], "little")
    return {
        "report": [one.to_bytes()],
        "report-any": [one.to_bytes()],
        "report-file": [one.to_bytes()],
        "reports-file": [table],
        "input-share": [derive_nonce(task.digest, salt) + inside],
        "batch": [batch_file()],
        "batch-payload": [payload()],
        "batch-footer": [payload()[-8 - footer : -8]],
        "flat-parquet": [payload(), table],
        "thrift": [payload()[-8 - footer : -8]],
        "verify-file": [verify],
        "verify-header": [verify[:head] + verify[head + 64 :]],
        "verify-plaintext": [findings.plaintext()],
        "vdaf-leader-share": [vdaf.encode_input_share(leader)],
        "vdaf-helper-share": [vdaf.encode_input_share(helper)],
        "vdaf-public-share": [vdaf.encode_public_share(public)],
        "vdaf-verifier-share": [share],
        "vdaf-verifier-message": [secret("part")],
        "vdaf-out-share": [ones],
        "vdaf-agg-share": [ones],
    }


def _small() -> Seeds:
    leaves = [secret(f"leaf {n}") for n in range(7)]
    proof, grown = inclusion_proof(leaves, 4), consistency_proof(leaves, 3)
    inclusion = Writer().var(leaves[4]).raw(root(leaves)).uint(4, 8).uint(7, 8).uint(len(proof), 1)
    consistency = Writer().uint(3, 8).uint(7, 8).uint(len(grown), 1)
    consistency.raw(root(leaves[:3])).raw(root(leaves))
    hybrid, plain = hpke_key("south", "MLKEM768_X25519"), hpke_key("south")
    return {
        "signing-key": [signing_key("north").public.raw],
        "hpke-public-key": [plain.public.raw, hybrid.public.raw],
        "hpke-private-key": [key.export().reveal() for key in (plain, hybrid)],
        "hpke-open": [
            b"\0" + plain.public.seal(b"words", b"info"),
            b"\1" + hybrid.public.seal(b"words", b"info"),
        ],
        "at-rest": [seal_at_rest(StateKey(secret("state")), b"words", b"context")],
        "piece": [world().pieces[0].reveal()],
        "merkle-inclusion": [inclusion.finish() + b"".join(proof)],
        "merkle-consistency": [consistency.finish() + b"".join(grown)],
        "wire": [length_prefixed(b"one", b"", b"three")],
        "fingerprint": [world().task.short_digest.encode(), world().task.digest.hex().encode()],
        "names": [b"north-union"],
        "pool-path": [f"rounds/{ROUND}/cards/north.json".encode()],
        "receipt": [reports()[0].digest.hex().encode()],
        "number": [b"-12.50e1", b"1,5"],
        "base64": [b64encode(secret("text")).encode(), b"", b"_-8"],
        "canonical-json": [canonical({"a": [1, None, True, "\u00e9\n"], "b": {"c": {}}})],
    }


def _wants() -> list[tuple[str, str]]:
    """A statistic of the plan with every form that its kind allows."""
    found = []
    for name, statistic in world().task.plan.statistics.items():
        forms = ["0.5", "mean=0.25"] if statistic.kind == "mean" else ["3pp", "25", "diff=5pp"]
        found += [(name, form) for form in forms]
    return found


def _written() -> Seeds:
    header, rows = b"region,problems,hours\n", b"London,overtime,1\nWales,,\n"
    quoted = b'\xef\xbb\xbf"region";"problems";"hours"\r\n"London";"targets";2\r\n'
    return {
        "plan": [PLAN.encode(), _bigger_plan()],
        "plan-json": [canonical(world().task.plan.to_json())],
        "mapping": [MAPPED.encode(), b'[fields.problems]\nseparator = ";"\nnothing = "none"\n'],
        "csv": [header + rows, quoted],
        "csv-mapped": [b"Q1;Q2;Q3;Q4\n1;true;false;1,4\n\n2;;;\n"],
        "groups-csv": [b"field,label,expected\nregion,London,400\nregion,Wales,12.5\n"],
        "groups-toml": [b"[region]\nLondon = 400\nWales = 12.5\n"],
        "want": [f"{name}:{how}".encode() for name, how in _wants()],
        "replies": [b'{"region":"1","problems":"1; 2","hours":"2"}', b'{"region":"wales"}'],
        "answers": [b'{"region": "London", "problems": ["targets"], "hours": 1.0}'],
    }


def _bigger_plan() -> bytes:
    from grievance.testing import EXAMPLE_PLAN

    return EXAMPLE_PLAN.encode()


def _kept() -> Seeds:
    found: Seeds = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        keys.write_identity(place / "identity", signing_key("north"))
        keys.write_hpke_key(place / "hpke-key", hpke_key("north"))
        keys.write_verify_key(place / "verify-key", world().verify_key)
        keys.write_state_key(place / "state-key", StateKey(secret("state")))
        for path in place.iterdir():
            found[f"key-file-{path.name}"] = [path.read_bytes()]
    note = {
        "name": "north",
        "display_name": "North",
        "pool": "/nowhere",
        "north": b64encode(signing_key("north").public.raw),
        ROUND: ["nurses"],
        "set": SET,
        "document": world().backup.data.decode(),
        "number": 1,
        "contents": "0" * 64,
        "paths": ["identity.pem"],
        "keep_from": 1,
        "sweep_others": False,
    }
    return {**found, "home": [json.dumps(note).encode()], "vdaf-vector": [_vector()]}


def _bundled() -> Seeds:
    manifest = Manifest("grievance 1").to_bytes()
    files = {
        "README.txt": b"words",
        "bundle.json": manifest,
        "pool/partners/north.json": make_identity("north", "North", signing_key("north")),
    }
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return {
        "zip": [zipped({"a": b"", "b/c.json": b"text"})],
        "bundle-manifest": [manifest],
        "pool-bundle": [zipped({**files, "SHA256SUMS": sums.encode()})],
    }


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive in the one form there is."""
    members = place_members([(n, len(data), checksum(data)) for n, data in files.items()])
    parts = [member.local_header() + files[member.name] for member in members]
    return b"".join([*parts, directory(members)])


def _vector() -> bytes:
    """A test vector of a small circuit: one block of two bits, sharded once."""
    from grievance.vdaf import Prio3BlockCountVec
    from grievance.vdaf.block_count_vec import Block

    vdaf = Prio3BlockCountVec(2, [Block(length=2, max_weight=1)], 2)
    nonce, rand = secret("nonce", 16), secret("rand", vdaf.RAND_SIZE)
    public, shares = vdaf._shard_with_rand(b"ctx", [1, 0], nonce, rand)
    report: dict[str, Any] = {
        "nonce": nonce.hex(),
        "rand": rand.hex(),
        "measurement": [1, 0],
        "public_share": vdaf.encode_public_share(public).hex(),
        "input_shares": [vdaf.encode_input_share(share).hex() for share in shares],
    }
    vector = {
        "ctx": b"ctx".hex(),
        "agg_param": "",
        "shares": 2,
        "chunk_length": 2,
        "blocks": [{"length": 2, "max_weight": 1}],
        "verify_key": secret("key").hex(),
        "operations": [{"operation": "shard", "report_index": 0, "success": True}],
        "reports": [report],
    }
    return json.dumps(vector).encode()


def corpus(name: str, folder: Path = CORPUS) -> list[bytes]:
    """What lies in the corpus of a target."""
    place = folder / name
    return [path.read_bytes() for path in sorted(place.iterdir())] if place.is_dir() else []


def write(folder: Path = CORPUS) -> int:
    """Write all seeds anew, and return how many bytes they are."""
    total = 0
    for name, inputs in seeds().items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob("seed-*"):
            old.unlink()
        for number, data in enumerate(inputs, start=1):
            (place / f"seed-{number}").write_bytes(data)
            total += len(data)
    for stray in folder.iterdir():
        if stray.name not in seeds():
            shutil.rmtree(stray)
    return total


if __name__ == "__main__":
    sys.stdout.write(f"{write():,} bytes for {len(seeds())} targets\n")

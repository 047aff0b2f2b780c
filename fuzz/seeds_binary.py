"""Seeds of binary forms: reports, batches, shares, keys, proofs, archives."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.world import (
    ROUND,
    ROWS,
    hpke_key,
    secret,
    signing_key,
    world,
)
from grievance.client import Report, read_reports, seal, write_reports
from grievance.client.commitment import commitment_of, nonce_of, openings
from grievance.crypto.boxes import seal_at_rest
from grievance.crypto.documents import b64encode, canonical
from grievance.crypto.merkle import inclusion_proof, root
from grievance.pool.archive import checksum, directory, place_members
from grievance.pool.batch import HEADER_SIZE, write_batch
from grievance.pool.bundle import Manifest
from grievance.pool.decisions import Status, VerifierShares, signed_size, write_verify_file
from grievance.secret import StateKey
from grievance.task import (
    make_identity,
)
from grievance.wire import Writer, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.seeds_signed import Seeds

ANSWERS: dict[str, object] = {"region": "London", "problems": ["targets"], "hours": "1"}


@cache
def reports() -> tuple[Report, ...]:
    """Three sealed reports of the round."""
    return tuple(seal(world().task, ANSWERS) for _ in range(ROWS))


@cache
def batch_file() -> bytes:
    """The three reports as a signed batch."""
    return write_batch(world().task, reports(), signing_key("nurses"))


def payload() -> bytes:
    """The table inside that batch."""
    return batch_file()[HEADER_SIZE:]


def sealed() -> Seeds:
    """Reports, batches, verifier shares, and their parts."""
    task, vdaf, ordered = world().task, world().task.vdaf, world().batch
    one = reports()[0]
    public, (leader, helper) = vdaf._shard_with_rand(
        task.ctx,
        task.layout.encode(task.layout.answers(ANSWERS)),
        nonce_of(one.commitment),
        secret("rand", vdaf.RAND_SIZE),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.reports"
        write_reports(path, task, reports())
        list(read_reports(path, task))
        table = path.read_bytes()
    statuses = bytes([Status.OK, Status.OPEN, Status.COMMITMENT])
    share = vdaf.field.encode_vec([5] * vdaf.flp.VERIFIER_LEN * vdaf.PROOFS) + secret("part")
    findings = VerifierShares(statuses, share + bytes(2 * len(share)))
    verify = write_verify_file(task, ordered, 0, findings, signing_key("north"))
    head = signed_size(task)
    opened, hashes = openings([secret("salt 0"), secret("salt 1")])
    inside = opened[1] + vdaf.encode_input_share(helper)
    ones = vdaf.field.encode_vec([1] * vdaf.flp.OUTPUT_LEN)
    footer = int.from_bytes(payload()[-8:-4], "little")
    return {
        "report": [one.to_bytes()],
        "report-any": [one.to_bytes()],
        "report-file": [one.to_bytes()],
        "reports-file": [table],
        "input-share": [commitment_of(task.digest, hashes) + inside],
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


def small() -> Seeds:
    """Keys, boxes, proofs, names and numbers."""
    leaves = [secret(f"leaf {n}") for n in range(7)]
    proof = inclusion_proof(leaves, 4)
    inclusion = Writer().var(leaves[4]).raw(root(leaves)).uint(4, 8).uint(7, 8).uint(len(proof), 1)
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
        "wire": [length_prefixed(b"one", b"", b"three")],
        "fingerprint": [world().task.short_digest.encode(), world().task.digest.hex().encode()],
        "names": [b"north-union"],
        "pool-path": [f"rounds/{ROUND}/cards/north.json".encode()],
        "receipt": [reports()[0].digest.hex().encode()],
        "number": [b"-12.50e1", b"1,5"],
        "base64": [b64encode(secret("text")).encode(), b"", b"_-8"],
        "canonical-json": [canonical({"a": [1, None, True, "\u00e9\n"], "b": {"c": {}}})],
    }


def bundled() -> Seeds:
    """Archives, and the list inside a bundle."""
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

"""Targets: binary formats, and what stands behind their signatures, seals and checksums."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pyarrow as pa

from fuzz.contract import Target, agree, same
from fuzz.world import (
    ROUND,
    ROWS,
    Files,
    as_file,
    as_json,
    hpke_key,
    secret,
    signing_key,
    world,
)
from grievance.audit.batches import read_batch
from grievance.audit.inspection import Inspection
from grievance.audit.opening import OpenedRound
from grievance.audit.verifier_files import check_verify_files
from grievance.backup.sets import open_piece, piece_info
from grievance.client import Report, read_report, read_reports
from grievance.client.flat_parquet import locate
from grievance.client.input_share import input_share_info, open_input_share
from grievance.client.thrift import CompactReader
from grievance.crypto.boxes import open_at_rest
from grievance.crypto.hpke import HpkePrivateKey, HpkePublicKey
from grievance.crypto.merkle import check_inclusion
from grievance.crypto.signing import VerifyingKey
from grievance.errors import BatchError, WireError
from grievance.ledger.checkpoint import (
    COSIGNATURE_TYPE,
    NOTE_TYPE,
    check_cosignature,
    cosign,
    key_id,
    origin_of,
    parse_checkpoint,
    sign_checkpoint,
)
from grievance.pool import batch, decisions
from grievance.pool.archive import directory, read_members
from grievance.pool.bundle import BundleStore, Manifest
from grievance.pool.layout import RoundPaths
from grievance.secret import Secret, StateKey
from grievance.wire import Reader, Writer, length_prefixed

# Reports.


def _report(data: bytes) -> None:
    same(Report.from_bytes(data, world().task).to_bytes(), data)


def _any_report(data: bytes) -> None:
    same(Report.from_bytes(data).to_bytes(), data)


def _report_file(data: bytes) -> None:
    same(read_report(as_file(data), world().task).to_bytes(), data)


def _reports_file(data: bytes) -> None:
    for report in read_reports(as_file(data), world().task):
        report.check(world().task)


def _input_share(data: bytes) -> None:
    """A ciphertext that opens, with whatever a client may put inside."""
    task, vdaf = world().task, world().task.vdaf
    commitment, public = data[:32].ljust(32, b"\0"), secret("public", vdaf.PUBLIC_SHARE_SIZE)
    info = input_share_info(task.digest, 1, commitment, public)
    sealed = hpke_key("south").public.seal(data[32:], info)
    share = open_input_share(hpke_key("south"), task, 1, commitment, public, sealed)
    vdaf.decode_input_share(1, share)


# Batches.


def _batch(data: bytes) -> None:
    """Aggregator and audit read a batch with code of their own, and must see the same rows."""
    task = world().task
    digest = batch.batch_digest(data)
    path = RoundPaths(ROUND).batch("nurses", digest)
    inspection = Inspection(Files(**{path: data}))  # type: ignore[arg-type]
    audited = read_batch(inspection, task, path, digest, None, None)
    try:
        file = batch.BatchFile(data, task)
        tables = [file.rows(span) for span in file.spans()]
        file.check_rows()
    except BatchError:
        agree(here=False, there=isinstance(audited, list))
        raise
    leaves = []
    for row in pa.Table.from_batches(tables).to_pylist():
        commitment, public, *boxes = row.values()
        report = Report(task.digest, commitment, public, tuple(boxes))
        leaves.append(commitment + report.digest)
    same(audited, leaves)


def _content(payload: bytes) -> bytes:
    """What an honest relay would commit to; zeros where the payload does not read."""
    file, task = io.BytesIO(payload), world().task
    try:
        flat = locate(file, len(payload))
    except WireError:
        return bytes(32)
    rows = batch.row_digests(task, flat.rows(file))
    return batch.content_digest(flat.frame(file, len(payload)), rows)


def signed_batch(payload: bytes, rows: int = ROWS) -> bytes:
    """A batch of `nurses` with any payload."""
    key, digest = signing_key("nurses"), _content(payload)
    head = Writer().raw(batch.MAGIC).uint(batch.VERSION, 1).raw(world().task.digest)
    head.raw(key.public.raw).uint(rows, 4).uint(len(payload), 8).raw(digest)
    part = head.finish()
    return part + key.sign(batch.LABEL, part) + payload


def _batch_payload(data: bytes) -> None:
    _batch(signed_batch(data))


def _batch_footer(data: bytes) -> None:
    """Sound rows under any footer, with the length that it has."""
    rows, size = _rows_of_a_payload()
    footer = data[: 1 << 16]
    _batch(signed_batch(rows + footer + len(footer).to_bytes(4, "little") + size))


def _rows_of_a_payload() -> tuple[bytes, bytes]:
    from fuzz.seeds_binary import payload

    whole = payload()
    footer = int.from_bytes(whole[-8:-4], "little")
    return whole[: -8 - footer], whole[-4:]


def _flat(data: bytes) -> None:
    file = io.BytesIO(data)
    found = locate(file, len(data))
    rows = list(found.rows(file))
    same(len(rows), found.num_rows)


def _thrift(data: bytes) -> None:
    CompactReader(data).struct()


# Verifier shares.


def _verify_file(data: bytes) -> None:
    task, ordered = world().task, world().batch
    opened = OpenedRound(task, RoundPaths(ROUND))
    inspection = Inspection(Files(**{opened.paths.verify(ordered.seq, "north"): data}))  # type: ignore[arg-type]
    check_verify_files(inspection, opened, ordered, voided=False)
    found = decisions.open_verify_file(data, task, ordered, 0, 1, hpke_key("south"))
    for row in range(ordered.rows):
        if found.statuses[row] == decisions.Status.OK:
            task.vdaf.decode_verifier_share(found.share(row, task.vdaf.VERIFIER_SHARE_SIZE))


def _verify_header(data: bytes) -> None:
    """Any header, signed by its sender; what follows it is as it was."""
    size = decisions.signed_size(world().task)
    head, rest = data[:size], data[size:]
    _verify_file(head + signing_key("north").sign(decisions.LABEL, head) + rest)


def _verify_plaintext(data: bytes) -> None:
    """Any statuses and shares, rightly sealed."""
    ordered = world().batch
    found = decisions.VerifierShares(data[: ordered.rows], data[ordered.rows :])
    key = signing_key("north")
    _verify_file(decisions.write_verify_file(world().task, ordered, 0, found, key))


# Messages of the VDAF.


def _vdaf(name: str) -> Target:
    index = {"leader": 0, "helper": 1}.get(name.split("-", maxsplit=1)[0])

    def run(data: bytes) -> None:
        vdaf = world().task.vdaf
        if index is not None:
            same(vdaf.encode_input_share(vdaf.decode_input_share(index, data)), data)
            return
        what = name.replace("-", "_")
        message = getattr(vdaf, f"decode_{what}")(data)
        same(getattr(vdaf, f"encode_{what}")(message), data)

    return Target(f"vdaf-{name}", run)


# Keys, seals, notes, proofs.


def _signing_key(data: bytes) -> None:
    same(VerifyingKey(data).raw, data)


def _hpke_public(data: bytes) -> None:
    kem = "X25519" if len(data) < 600 else "MLKEM768_X25519"
    key = HpkePublicKey(kem, data)
    same(key.raw, data)
    key.seal(b"", b"")


def _hpke_private(data: bytes) -> None:
    kem = "X25519" if len(data) < 64 else "MLKEM768_X25519"
    key = HpkePrivateKey.from_export(kem, Secret(data))
    same(key.export().reveal(), data)


def _hpke_open(data: bytes) -> None:
    kem, info = ("X25519", b"info") if data[:1] == b"\0" else ("MLKEM768_X25519", b"info")
    hpke_key("south", kem).open(data[1:], info)


def _at_rest(data: bytes) -> None:
    open_at_rest(StateKey(secret("state")), data, b"context")


def _piece(data: bytes) -> None:
    """What the owner sealed to a trustee, whatever it is."""
    made = world().backup
    trustee, mailbox = made.trustees[0], hpke_key("anna")
    info = piece_info(made.owner, made.set_id, trustee.identity, trustee.index)
    sealed = replace(trustee, sealed=mailbox.public.seal(data, info))
    same(open_piece(made, sealed, mailbox).reveal(), data)


def _checkpoint(data: bytes) -> None:
    found = parse_checkpoint(data, "north", signing_key("north").public)
    same(sign_checkpoint("north", found.size, found.root, signing_key("north")), data)


def _checkpoint_text(data: bytes) -> None:
    """Any text, signed as a note by the ledger's owner."""
    key = signing_key("north")
    text, name = data or b"x", origin_of("north", key.public)
    line = _note_line(name, key_id(name, NOTE_TYPE, key.public), key.sign_note(text))
    _checkpoint(text + b"\n" + line)


def _cosignature(data: bytes) -> None:
    key, head = signing_key("south"), world().checkpoint
    found = check_cosignature(data, head, "south", key.public)
    same(cosign(head, "south", found, key), data)


def _cosignature_time(data: bytes) -> None:
    """Any time, signed by the witness."""
    key, head = signing_key("south"), world().checkpoint
    name = origin_of("south", key.public)
    time = int.from_bytes(data[:8], "big")
    text = f"cosignature/v1\ntime {time}\n".encode() + head.text
    stamped = data[:8] + key.sign_note(text)
    _cosignature(_note_line(name, key_id(name, COSIGNATURE_TYPE, key.public), stamped))


def _note_line(name: str, key: bytes, signature: bytes) -> bytes:
    import base64

    return f"\u2014 {name} {base64.b64encode(key + signature).decode()}\n".encode()


def _inclusion(data: bytes) -> None:
    reader = Reader(data)
    leaf, root = reader.var(64), reader.raw(32)
    index, size, count = reader.uint(8), reader.uint(8), reader.uint(1)
    hashes = [reader.raw(32) for _ in range(count)]
    reader.finish()
    check_inclusion(leaf, index, size, hashes, root)


# Bundles of a pool.


def _zip(data: bytes) -> None:
    """What is in an archive decides every byte of it."""
    members = read_members(io.BytesIO(data))
    parts = [m.local_header() + data[m.content : m.end] for m in members]
    same(b"".join([*parts, directory(members)]), data)


def _pool_bundle(data: bytes) -> None:
    store = BundleStore(as_file(data, "pool.bundle"))
    for path, size in store.paths.items():
        found = store.view(path, size)
        same(None if found is None else len(found), size)
    for name in store.sums:
        store.broken(name)


def _bundle_manifest(data: bytes) -> None:
    value = as_json(data)
    found = Manifest.parse(value)
    same(Manifest.parse(found.to_bytes()), found)
    # Another version of the program may name other specifications.
    there, here = json.loads(value), json.loads(found.to_bytes())
    same({**there, "specifications": []}, {**here, "specifications": []})


def _wire(data: bytes) -> None:
    reader = Reader(data)
    parts = [reader.var(64) for _ in range(3)]
    reader.finish()
    same(length_prefixed(*parts), data)


TARGETS = [
    Target("report", _report),
    Target("report-any", _any_report),
    Target("report-file", _report_file),
    Target("reports-file", _reports_file),
    Target("input-share", _input_share),
    Target("batch", _batch),
    Target("batch-payload", _batch_payload),
    Target("batch-footer", _batch_footer),
    Target("flat-parquet", _flat),
    Target("thrift", _thrift),
    Target("verify-file", _verify_file),
    Target("verify-header", _verify_header),
    Target("verify-plaintext", _verify_plaintext),
    *(
        _vdaf(name)
        for name in (
            *("leader-share", "helper-share", "public-share", "verifier-share"),
            *("verifier-message", "out-share", "agg-share"),
        )
    ),
    Target("signing-key", _signing_key),
    Target("hpke-public-key", _hpke_public),
    Target("hpke-private-key", _hpke_private),
    Target("hpke-open", _hpke_open),
    Target("at-rest", _at_rest),
    Target("piece", _piece),
    Target("checkpoint", _checkpoint),
    Target("checkpoint-text", _checkpoint_text),
    Target("cosignature", _cosignature),
    Target("cosignature-time", _cosignature_time),
    Target("merkle-inclusion", _inclusion),
    Target("zip", _zip),
    Target("pool-bundle", _pool_bundle),
    Target("bundle-manifest", _bundle_manifest, "json"),
    Target("wire", _wire),
]

"""Real files, read with nothing but what the pages about wire formats say."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from docs_world import DOCS

from federation import HYBRID, Federation
from grievance.client.commitment import commitment_of
from grievance.client.report import report_digest
from grievance.crypto.merkle import root
from grievance.crypto.signing import VerifyingKey
from grievance.task import bundle

PAGES = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "formats").glob("*.md")}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """One finished round with a refused report and a destroyed key."""
    found = Federation.opened(tmp_path_factory.mktemp("formats"), HYBRID)
    reports = found.seal(11)
    found.relay("nurses", reports)
    found.settle()
    found.relay("carers", [reports[0], *found.seal(2)])
    found.settle()
    found.release()
    found.settle()
    return found


def tables(page: str, *header: str) -> list[list[list[str]]]:
    """All tables of a page with this header: rows of cells."""
    found, rows = [], None
    for line in PAGES[page].splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] if line[:1] == "|" else None
        if cells is None:
            rows = None
        elif rows is None:
            rows = []
            if cells[: len(header)] == list(header):
                found.append(rows)
        elif not set("".join(cells)) <= {"-"}:
            rows.append(cells)
    return found


def fields(page: str, number: int = 0) -> set[str]:
    """The names in the first column of a page's table of fields."""
    rows = (tables(page, "field") + tables(page, "field of `body`"))[number]
    return {name for row in rows for name in re.findall(r"`([a-z_0-9]+)`", row[0])}


def body(path: Path) -> dict[str, object]:
    """The body of a signed document, its form and signature checked as documents.md says."""
    data = path.read_bytes()
    document = json.loads(data)
    assert set(document) == {"body", "kind", "signature", "signer"}
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert plain.encode() == data
    inner = json.dumps(document["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    parts = (b"grievance/2 signature", document["kind"].encode(), inner.encode())
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    key = VerifyingKey(_b64(document["signer"]))
    key._check_bytes(message, _b64(document["signature"]))
    return document["body"]  # type: ignore[no-any-return]


def _b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_documents_have_the_fields_of_their_tables(town: Federation) -> None:
    pool, paths = Path(town.pool), town.paths
    every = PAGES["task.md"] + PAGES["release.md"]
    release = next((pool / paths.releases).iterdir()).name
    card, mailbox = fields("task.md", 1), fields("task.md", 0)
    assert set(body(pool / "partners/north.json")) == {"name", "display_name"}
    assert set(body(pool / "partners/north.mailbox.json")) == mailbox
    assert set(body(pool / paths.card("north"))) == card
    task = json.loads((pool / paths.task).read_bytes())
    assert set(task) == fields("task.md", 2)
    assert set(body(pool / paths.verify_key)) == fields("task.md", 3)
    assert set(body(pool / paths.order(1))) == fields("order.md")
    assert set(body(pool / paths.decide(3, "north"))) == fields("checking.md")
    assert set(body(pool / "ledger/north/1.json")) == fields("ledger.md")
    assert set(body(pool / paths.proposal(release))) == fields("release.md", 0)
    assert set(body(pool / paths.noisy(release, "south"))) == fields("release.md", 1)
    for name in body(pool / paths.approval(release, "south")):
        assert f"`{name}`" in every
    nested = [*task["aggregators"][0], *task["vdaf"], *task["plan"], *task["plan"]["privacy"]]
    nested += [key for item in task["plan"]["fields"] + task["plan"]["statistics"] for key in item]
    assert {name for name in nested if f"`{name}`" not in PAGES["task.md"]} == set()
    assert bundle(town.task, [(pool / paths.signature(n)).read_bytes() for n in town.aggregators])


def test_release_json_has_the_fields_of_its_tables(town: Federation) -> None:
    from grievance.release import collect

    written = collect(town.leader.store, town.task).to_json()
    assert set(written) == fields("release.md", 2)
    part = written["statistics"][0]["parts"][0]
    assert set(part) == fields("release.md", 3)
    for name in [*written["statistics"][0], *written["privacy"]]:
        assert f"`{name}`" in PAGES["release.md"], name


def test_events_have_the_fields_of_their_table(town: Federation) -> None:
    from grievance.pool.events import Event

    rows = tables("order.md", "`type`")[0]
    said = {row[0].strip("`"): set(re.findall(r"`([a-z]+)`", row[1])) - {"seq"} for row in rows}
    kinds = get_args(Event)
    assert said == {kind.kind: {field.name for field in dataclasses.fields(kind)} for kind in kinds}


def test_statuses_are_those_of_the_code() -> None:
    from grievance.pool.decisions import Status

    rows = tables("checking.md", "status")[0]
    assert [(int(row[0]), row[1].strip("`"), row[3] == "one") for row in rows] == [
        (status.value, status.code, status.local) for status in Status
    ]


def cut(page: str, data: bytes, known: dict[str, int] | None = None) -> dict[str, bytes]:
    """Take bytes apart by the table of a page. Rows of unknown length need one in `known`."""
    found, at = {}, 0
    for size, name, *_ in tables(page, "bytes")[0]:
        length = int(size) if size.isdigit() else (known or {})[name]
        found[name] = data[at : at + length]
        assert len(found[name]) == length
        at += length
    assert at == len(data)
    return found


def _start(parts: dict[str, bytes], beginning: str) -> bytes:
    return next(value for name, value in parts.items() if name.startswith(beginning))


def test_a_report_by_its_table(town: Federation) -> None:
    task, report = town.task, town.seal(1)[0]
    data = report.to_bytes()
    names = [row[1] for row in tables("report.md", "bytes")[0]]
    sizes = {names[4]: 4 + 64, names[6]: len(data) - (4 + 1 + 32 + 32 + 68 + 1)}
    parts = cut("report.md", data, sizes)
    assert (parts["`GRVR`"], _start(parts, "version")) == (b"GRVR", b"\1")
    assert parts["task digest"] == task.digest and parts["commitment"] == report.commitment
    assert parts[names[4]] == len(report.public_share).to_bytes(4, "big") + report.public_share
    assert _start(parts, "number") == b"\2"
    sealed = parts[names[6]]
    for ciphertext, aggregator in zip(report.ciphertexts, (0, 1), strict=True):
        length = int.from_bytes(sealed[:4], "big")
        assert sealed[4 : 4 + length] == ciphertext
        assert length == 1120 + 2 * 32 + task.vdaf.input_share_size(aggregator) + 16
        sealed = sealed[4 + length :]
    assert not sealed
    # The receipt, by hand.
    hashes = [hashlib.sha256(p).digest() for p in (report.public_share, *report.ciphertexts)]
    head = b"grievance/2 report" + task.digest + report.commitment + b"\2"
    assert hashlib.sha256(head + b"".join(hashes)).digest() == report.digest


def test_known_answers_of_the_commitment() -> None:
    """The page's own numbers by the page's own formulas, and by the library."""
    said = dict(tables("report.md", "value")[0])
    hashes = [hashlib.sha256(b"grievance/2 salt" + bytes([n]) * 32).digest() for n in (1, 2, 3)]
    head = b"grievance/2 commitment" + bytes(range(32))
    for number, name in ((2, "commitment of two"), (3, "commitment of three")):
        made = hashlib.sha256(head + b"".join(hashes[:number]) + bytes(32)).digest()
        assert made == commitment_of(bytes(range(32)), hashes[:number])
        assert said[name] == f"`{made.hex()}`"
    assert [said[f"H {n}"] for n in range(3)] == [f"`{one.hex()}`" for one in hashes]


def batch_of(town: Federation, seq: int) -> tuple[bytes, dict[str, object]]:
    event = body(Path(town.pool) / town.paths.order(seq))["event"]
    assert isinstance(event, dict)
    path = town.paths.batch(event["partner"], bytes.fromhex(event["batch"]))
    return (Path(town.pool) / path).read_bytes(), event


def test_a_batch_by_its_table(town: Federation) -> None:
    """Header, signature, the place of every row, and the content commitment, by hand."""
    task = town.task
    data, event = batch_of(town, 3)
    payload = data[177:]
    names = [row[1] for row in tables("batch.md", "bytes")[0]]
    parts = cut("batch.md", data, {names[-1]: len(payload)})
    assert parts["task digest"] == task.digest and _start(parts, "version") == b"\1"
    assert int.from_bytes(_start(parts, "rows"), "big") == event["rows"] == 11
    assert int.from_bytes(_start(parts, "payload size"), "big") == len(payload)
    assert hashlib.sha256(data[:177]).hexdigest() == event["batch"]
    key = VerifyingKey(parts["the relay's public key"])
    key.check("grievance/2 batch", data[:113], data[113:177])

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(payload))
    said = [row[0].split(",")[0].strip("`") for row in tables("batch.md", "column")[0]]
    assert table.column_names == [*said, "ciphertext_1"]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    metadata = pq.ParquetFile(pa.BufferReader(payload)).metadata
    assert metadata.num_row_groups == 1
    frame, at = b"", 0
    for place, name in enumerate(table.column_names):
        start = payload.index(b"".join(row[place] for row in rows), at)
        assert 0 < start - at <= 64, name
        frame += payload[at:start]
        at = start + sum(len(row[place]) for row in rows)
    footer = payload[at:]
    assert footer[-4:] == b"PAR1" and int.from_bytes(footer[-8:-4], "little") == len(footer) - 8
    frame += footer
    digests = [
        report_digest(task.digest, n, [hashlib.sha256(part).digest() for part in parts])
        for n, *parts in rows
    ]
    content = b"grievance/2 batch content" + hashlib.sha256(frame).digest() + b"".join(digests)
    assert hashlib.sha256(content).digest() == parts["content commitment"]


def test_verifier_shares_by_their_table(town: Federation) -> None:
    task = town.task
    data = (Path(town.pool) / town.paths.verify(3, "south")).read_bytes()
    names = [row[1] for row in tables("checking.md", "bytes")[0]]
    sealed = 2 * (1120 + 32 + 16)
    plain = 11 * (1 + task.vdaf.VERIFIER_SHARE_SIZE)
    sizes = {n: sealed for n in names if n.startswith("the file key")}
    parts = cut("checking.md", data, sizes | {names[-1]: plain + 16})
    assert parts["`GRVV`"] == b"GRVV" and _start(parts, "sender") == b"\1"
    assert int.from_bytes(parts["seq"], "big") == 3 and int.from_bytes(parts["rows"], "big") == 11
    assert hashlib.sha256(parts[names[-1]]).digest() == parts["SHA-256 of the body"]
    signed = len(data) - len(parts[names[-1]]) - 64
    key = task.aggregators[1].identity
    key.check("grievance/2 verifier shares", data[:signed], data[signed : signed + 64])


def test_roots_as_the_page_says(town: Federation) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pool, task, leaves, accepted = Path(town.pool), town.task, [], 0
    for seq in (3, 4):
        data, _ = batch_of(town, seq)
        decision = body(pool / town.paths.decide(seq, "south"))
        bits = base64.urlsafe_b64decode(str(decision["bits"]))
        rows = pq.read_table(pa.BufferReader(data[177:])).to_pylist()
        kept = []
        for number, row in enumerate(rows):
            commitment, *parts = row.values()
            if bits[number // 8] >> (number % 8) & 1:
                hashes = [hashlib.sha256(part).digest() for part in parts]
                kept.append(commitment + report_digest(task.digest, commitment, hashes))
        assert decision["accepted"] == len(kept)
        assert decision["root"] == root(sorted(kept)).hex()
        leaves.append(seq.to_bytes(4, "big") + len(kept).to_bytes(4, "big") + root(sorted(kept)))
        accepted += len(kept)
    release = next((pool / town.paths.releases).iterdir()).name
    proposal = body(pool / town.paths.proposal(release))
    assert (proposal["accepted"], proposal["root"]) == (accepted, root(leaves).hex())
    assert accepted == 13


def test_checkpoints_and_cosignatures_as_the_page_says(town: Federation) -> None:
    pool = Path(town.pool)
    north, south = (entry.identity for entry in town.task.aggregators)
    note = (pool / "ledger/north/1.checkpoint").read_text(encoding="utf-8")
    text, line = note.split("\n\n")
    origin, size, head = text.splitlines()
    name = f"grievance/north/{north.fingerprint.hex()[:16]}"
    entry = (pool / "ledger/north/1.json").read_bytes()
    assert (origin, size, base64.b64decode(head)) == (name, "1", root([entry]))
    raw = base64.b64decode(line.split(" ")[2])
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + north.raw).digest()[:4]
    north._check_bytes((text + "\n").encode(), raw[4:])
    cosigned = (pool / "ledger/north/1.south.cosignature").read_text(encoding="utf-8")
    witness = f"grievance/south/{south.fingerprint.hex()[:16]}"
    raw = base64.b64decode(cosigned.split(" ")[2])
    assert raw[:4] == hashlib.sha256(witness.encode() + b"\n\x04" + south.raw).digest()[:4]
    time = int.from_bytes(raw[4:12], "big")
    south._check_bytes(f"cosignature/v1\ntime {time}\n{text}\n".encode(), raw[12:])


def test_the_release_is_the_sum_of_shares_as_the_page_says(town: Federation) -> None:
    from grievance.release import collect

    modulus = 2**128 - 7 * 2**66 + 1
    assert "`2^128-7*2^66+1`" in PAGES["release.md"]
    pool = Path(town.pool)
    release = next((pool / town.paths.releases).iterdir()).name
    totals: dict[str, list[int]] = {}
    for name in town.aggregators:
        shares = body(pool / town.paths.noisy(release, name))["statistics"]
        assert isinstance(shares, dict)
        for statistic, text in shares.items():
            raw = _b64(text)
            found = [int.from_bytes(raw[i : i + 16], "little") for i in range(0, len(raw), 16)]
            before = totals.get(statistic, [0] * len(found))
            totals[statistic] = [(a + b) % modulus for a, b in zip(before, found, strict=True)]
    values = collect(town.leader.store, town.task).values
    for statistic, numbers in totals.items():
        signed = [n - modulus if n > modulus // 2 else n for n in numbers]
        assert signed == list(values[statistic])

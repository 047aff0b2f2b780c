"""One byte of one file changed, for every file of a finished pool: each is noticed and named."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from audit_world import Pool, amiss

from federation import Federation
from grievance.audit import RULES, audit_pool


def positions(size: int) -> list[int]:
    """First, last, and several places in between; all of a small file would take minutes."""
    return sorted({0, size // 7, size // 3, size // 2, 2 * size // 3, size - 1})


def test_every_flipped_byte_is_noticed_and_named(pool: Pool) -> None:
    assert pool.audit().verdict == "pass"
    missed = []
    for path in pool.files():
        data = pool.read(path)
        for position in positions(len(data)):
            if not 0 <= position < len(data):
                continue
            changed = bytearray(data)
            changed[position] ^= 1
            pool.write(path, bytes(changed))
            report = pool.audit()
            named = [f for f in amiss(report) if f.file == path and f.rule in RULES]
            # Anybody can flip a byte, so nobody is accused.
            if report.verdict != "incomplete" or not named:
                missed.append((path, position, report.verdict))
        pool.write(path, data)
    assert not missed
    assert pool.audit().verdict == "pass"


@pytest.mark.slow
def test_every_byte_of_notes_and_headers_counts(pool: Pool) -> None:
    """Formats with a text or binary head of their own, every single bit of some files."""
    seq = pool.batch_places()[0]
    batch = next(path for path in pool.files() if "/batches/nurses" in path)
    heads = {
        "ledger/north/1.checkpoint": 400,
        "ledger/south/1.north.cosignature": 400,
        pool.paths.verify(seq, "south"): 300,
        batch: 200,
        "ledger/north/1.json": 100,
    }
    for path, most in heads.items():
        data = pool.read(path)
        for position in range(0, min(most, len(data)), 5):
            changed = bytearray(data)
            changed[position] ^= 1 << position % 7
            pool.write(path, bytes(changed))
            assert any(f.file == path for f in amiss(pool.audit())), (path, position)
        pool.write(path, data)


def test_a_checkpoint_has_one_spelling(pool: Pool) -> None:
    """The base64 of a root ends in bits that mean nothing; a reader might skip them."""
    path = "ledger/north/1.checkpoint"
    text = pool.read(path).decode()
    origin, size, head, rest = text.split("\n", 3)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(head[-2]) ^ 1]
    pool.write(path, "\n".join([origin, size, head[:-2] + other + "=", rest]).encode())
    found = {(f.rule, f.file) for f in pool.audit().findings}
    assert found >= {("file.form", path), ("ledger.cosignature", path)}
    assert pool.audit().verdict == "incomplete"


@pytest.mark.slow
def test_shortened_emptied_and_lengthened_files_are_named(pool: Pool) -> None:
    for path in pool.files():
        data = pool.read(path)
        for changed in (data[: len(data) // 2], b"", data + b"\n", data + data):
            pool.write(path, changed)
            report = pool.audit()
            assert report.verdict == "incomplete", (path, len(changed))
            assert any(f.file == path for f in amiss(report)), (path, len(changed))
        pool.write(path, data)


def test_any_deleted_file_leaves_no_pass(pool: Pool) -> None:
    optional = ("partners/", ".share")
    for path in pool.files():
        if path.startswith(optional) or path.endswith(optional):
            continue
        data = pool.read(path)
        pool.file(path).unlink()
        report = pool.audit()
        assert report.verdict == "incomplete", path
        pool.write(path, data)


def test_any_two_files_exchanged_are_named(pool: Pool) -> None:
    """A valid file in the place of another one of the same party and kind."""
    files = [p for p in pool.files() if not p.endswith(".toml")]
    for first, second in itertools.pairwise(files):
        one, two = pool.read(first), pool.read(second)
        pool.write(first, two)
        pool.write(second, one)
        report = pool.audit()
        assert {first, second} & {finding.file for finding in amiss(report)}, (first, second)
        assert report.verdict == "incomplete", (first, second)
        pool.write(first, one)
        pool.write(second, two)


def test_flips_are_noticed_in_every_kind_of_store(tmp_path: Path) -> None:
    """The same on a remote filesystem, whose files are listed and fetched in another way."""
    import fsspec

    federation = Federation(tmp_path, pool=f"memory://{tmp_path.name}-flips")
    federation.open_round()
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    federation.release()
    trust = [party.identity.fingerprint.hex() for party in federation.task.aggregators]
    assert audit_pool(federation.pool, trust=trust).verdict == "pass"
    memory = fsspec.filesystem("memory")
    for full in memory.find(f"/{tmp_path.name}-flips"):
        data = memory.cat_file(full)
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        memory.pipe_file(full, bytes(changed))
        report = audit_pool(federation.pool, trust=trust)
        assert any(full.endswith(f.file) for f in amiss(report)), full
        memory.pipe_file(full, data)
    assert json.dumps(audit_pool(federation.pool, trust=trust).to_json())

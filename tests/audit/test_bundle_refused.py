"""What is no bundle is refused; what was damaged or changed in one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from audit_world import Pool, amiss
from bundle_world import members_of, resum
from test_bundle_archive import build

from grievance.audit import audit_pool
from grievance.audit.bundling import make_bundle
from grievance.errors import GrievanceError, PoolError
from grievance.pool import bundle
from grievance.pool.bundle import MANIFEST, SUMS, BundleStore, Manifest
from grievance.pool.store import open_store


def refused(folder: Path, files: dict[str, bytes]) -> GrievanceError:
    path = folder / "changed.zip"
    path.write_bytes(build(files))
    with pytest.raises(PoolError) as stop:
        open_store(path)
    assert stop.value.code == "bundle.manifest"
    return stop.value


# What is refused.


def test_a_damaged_file_is_named(made: Pool, made_bundle: Path) -> None:
    store = BundleStore(made_bundle)
    data = bytearray(made_bundle.read_bytes())
    member = store.members[f"pool/{made.paths.plan}"]
    data[member.content] ^= 1
    made_bundle.write_bytes(bytes(data))
    report = audit_pool(made_bundle, trust=made.trust)
    assert ("bundle.digest", made.paths.plan) in {(f.rule, f.file) for f in report.findings}
    assert {f.rule for f in amiss(report)} >= {"bundle.digest", "task.plan"}
    assert report.verdict == "incomplete"


def test_no_bit_of_a_bundle_can_be_flipped_unnoticed(made: Pool, made_bundle: Path) -> None:
    good = made_bundle.read_bytes()
    for at in range(7, len(good), len(good) // 120):
        made_bundle.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        try:
            found = {f.rule for f in amiss(audit_pool(made_bundle, trust=made.trust))}
        except PoolError as error:
            found = {error.code}
        assert found & {"bundle.archive", "bundle.manifest", "bundle.digest"}, at


def test_names_that_a_pool_does_not_have_are_refused(made_bundle: Path, tmp_path: Path) -> None:
    files = members_of(made_bundle)
    for name in (
        "extra.txt",
        "pool/notes.txt",
        "pool/rounds/x/batches/readme",
        "pool/ledger/north/01.json",
        "pool/partners/Other.json",
        "pool/partners/a.json/b",
    ):
        error = refused(tmp_path, resum({**files, name: b"x"}))
        assert "no place" in error.message, name


def test_lists_that_do_not_fit_are_refused(made_bundle: Path, tmp_path: Path) -> None:
    files = members_of(made_bundle)
    lines = files[SUMS].splitlines(keepends=True)
    for changed in (
        b"".join(lines[1:]),
        b"".join(lines[::-1]),
        b"".join([*lines, lines[-1]]),
        files[SUMS] + b"\n",
        files[SUMS].replace(b"  ", b" *"),
        files[SUMS].upper(),
        b"",
        b"\xff" * 100,
    ):
        refused(tmp_path, {**files, SUMS: changed})
    for name in (SUMS, MANIFEST):
        rest = {key: data for key, data in files.items() if key != name}
        refused(tmp_path, rest if name == SUMS else resum(rest))


def manifest(**changes: object) -> bytes:
    from grievance.crypto.documents import canonical, parse_canonical

    value = parse_canonical(Manifest("grievance 0").to_bytes(), 1 << 20)
    return canonical({**value, **changes})


BATCH = f"rounds/trial-1/batches/nurses-{'0' * 64}"
SEALED = {"sha256": "0" * 64, "size": 1, "why": "sealed"}
UNFIT: dict[str, bytes] = {
    "another format": manifest(format="grievance/1 bundle"),
    "no JSON": b"PK",
    "another spelling": manifest() + b"\n",
    "an unknown key": manifest(more=1),
    "a reason that is none": manifest(left_out={"x": {**SEALED, "why": "lost"}}, partial=True),
    "a task left out as sealed": manifest(
        left_out={"rounds/trial-1/task.json": SEALED}, partial=True
    ),
    "a batch left out as unknown": manifest(left_out={BATCH: {**SEALED, "why": "unknown"}}),
    "a small file left out as large": manifest(
        left_out={"partners/north.json": {"sha256": None, "size": 9, "why": "large"}}
    ),
    "a batch left out in silence": manifest(left_out={BATCH: SEALED}),
    "a batch without its digest": manifest(
        left_out={BATCH: {**SEALED, "sha256": None}}, partial=True
    ),
    "a path that hides": manifest(
        left_out={"a\u202eb": {"sha256": None, "size": 1, "why": "unknown"}}
    ),
    "a rule that files cannot break": manifest(odd=[["task.trust", "x", "y", False]]),
    "a finding of another form": manifest(odd=[["file.kind", "x"]]),
    "a message that moves the cursor": manifest(odd=[["file.kind", "x", "\u001b[2J", False]]),
    "a maker that is none": manifest(made_with="x" * 101),
}


@pytest.mark.parametrize("what", UNFIT)
def test_descriptions_that_cannot_be_are_refused(
    what: str, made_bundle: Path, tmp_path: Path
) -> None:
    refused(tmp_path, resum({**members_of(made_bundle), MANIFEST: UNFIT[what]}))


def test_what_is_here_is_not_said_to_be_left_out(made_bundle: Path, tmp_path: Path) -> None:
    files = members_of(made_bundle)
    path = next(name for name in files if "/batches/" in name).removeprefix("pool/")
    said = manifest(left_out={path: SEALED}, partial=True)
    assert "left out" in refused(tmp_path, resum({**files, MANIFEST: said})).message


def test_the_lists_have_limits(made_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_MANIFEST_SIZE", "MAX_SUMS_SIZE"):
        with monkeypatch.context() as patch:
            patch.setattr(bundle, limit, 10)
            with pytest.raises(PoolError, match="too large"):
                BundleStore(made_bundle)


def test_pipes_and_folders_are_no_bundles(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PoolError):
            BundleStore(place)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(PoolError, match="no zip archive"):
        open_store(tmp_path / "text")


def test_a_file_too_large_for_its_place_is_left_out_and_told(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_SMALL_SIZE", 4 << 20)
    with pool.file("partners/nurses.json").open("r+b") as file:
        file.truncate(5 << 20)
    facts = make_bundle(pool.folder, tmp_path / "a.zip")
    assert facts.size < 1 << 20 and facts.left_out == 1
    report = audit_pool(tmp_path / "a.zip", trust=pool.trust)
    assert report.findings == pool.audit().findings
    assert {f.rule for f in amiss(report)} == {"file.size"}


def test_large_bundles_are_not_read_into_memory(pool: Pool, tmp_path: Path) -> None:
    import tracemalloc

    path = next(path for path in pool.files() if "/batches/nurses-" in path)
    with pool.file(path).open("r+b") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    make_bundle(pool.folder, tmp_path / "a.zip")
    audit_pool(tmp_path / "a.zip", trust=pool.trust)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20

"""Faults E1 to E3, E6, E7, E9 and E16: files of a pool that are not what they seem.

Every test here is short; tests/pool, tests/hostile and tests/audit drive the same faults in all
their forms. Source: docs/faults.md.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from release_stage import ROWS, SYNC, flat
from thrift_bytes import catalogue

import grievance
from grievance.client.report import columns
from grievance.errors import GrievanceError, PoolError
from grievance.pool.batch import LABEL, BatchFile, _signed_part, batch_digest
from grievance.pool.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from release_stage import Stage

SOURCE = Path(grievance.__file__).parent


def test_e1_parquet_that_unfolds(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """From a worker and from a relay: refused before Arrow sees a byte, so no memory is taken."""
    stage = at("checked")
    task, key = stage.federation.task, stage.federation.homes["nurses"].key
    before = pa.default_memory_pool().max_memory()
    codes = set()
    for data in catalogue(columns(task)).values():
        part = _signed_part(task.digest, key.public.raw, 3, len(data), bytes(32))
        batch = part + key.sign(LABEL, part) + data
        with pytest.raises(GrievanceError) as error:
            list(BatchFile(batch, task).spans(100))
        codes.add(error.value.code)
        stage.federation.homes["nurses"].store.put(
            stage.federation.paths.batch("nurses", batch_digest(batch)), batch
        )
    assert codes <= {"batch.size", "batch.malformed"}
    length = stage.federation.chain().length
    stage.type("north", *SYNC).done()
    assert stage.federation.chain().length == length
    bomb = tmp_path / "bomb.reports"
    bomb.write_bytes(catalogue(columns(task))["a dictionary and one long run"])
    stage.refused(
        "carers",
        *("relay", str(bomb), "--trust", task.digest.hex()),
        code="report.file",
        says="bomb.reports: not a file of this round's reports",
        next_step="ask for the file again",
    )
    assert pa.default_memory_pool().max_memory() - before < 1 << 20


def member(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


ELSEWHERE = Path("/tmp/grievance-e2-unpacked-elsewhere")
ZIPS: dict[str, Callable[[zipfile.ZipFile], object]] = {
    "a bomb": lambda z: z.writestr(member("a"), bytes(10**7), zipfile.ZIP_DEFLATED),
    "a parent folder": lambda z: z.writestr(member("pool/../../a"), b"x"),
    "an absolute path": lambda z: z.writestr(member(str(ELSEWHERE)), b"x"),
    "a link": lambda z: z.writestr(member("a", 0o120777), b"/etc/passwd"),
    "a name twice": lambda z: [z.writestr(member("a"), b"x") for _ in range(2)],
    "a clash of upper and lower case": lambda z: [z.writestr(member(n), b"x") for n in "Aa"],
}


def test_e2_a_bundle_that_is_none(at: Callable[[str], Stage], tmp_path: Path) -> None:
    stage = at("checked")
    for number, fill in enumerate(ZIPS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with zipfile.ZipFile(folder / "pool.zip", "w") as made:
                fill(made)
        stage.refused(
            "north",
            *("audit", str(folder / "pool.zip"), "--trust", stage.federation.task.digest.hex()),
            code="bundle.archive",
            says="pool.zip",
            next_step="fetch it again from where it came",
        )
        assert [path.name for path in folder.iterdir()] == ["pool.zip"]
    assert not ELSEWHERE.exists()


def test_e3_links_pipes_and_devices(at: Callable[[str], Stage]) -> None:
    """In the places of files that are yet to come: as if nothing were there, and named by audit."""
    stage = at("checked")
    folder = stage.pool / stage.federation.paths.folder / "order"
    length = stage.federation.chain().length
    odd = [folder / f"{length + n}.json" for n in (1, 2, 3)]
    odd[0].symlink_to("/dev/zero")
    os.mkfifo(odd[1])
    odd[2].symlink_to(stage.federation.homes["north"].root / "identity.pem")
    store = LocalStore(stage.pool)
    for path, code in zip(odd, ("pool.link", "pool.kind", "pool.link"), strict=True):
        inside = path.relative_to(stage.pool).as_posix()
        assert store.size(inside) is None
        with pytest.raises(PoolError) as error:
            store.view(inside, 1 << 20)
        assert error.value.code == code
        assert inside in str(error.value)
    for name in ("south", "north"):
        stage.type(name, *SYNC).done()
        stage.type(name, "status").done()
    told = stage.told_by_audit()
    assert all(path.name in told for path in odd)
    assert "file.kind" in told
    assert "not followed" in told and "FAIL" not in told
    # Our own file takes the place, and nothing is written through the link.
    kept = (stage.federation.homes["north"].root / "identity.pem").read_bytes()
    stage.type("north", "round", "close", "--yes").done()
    assert odd[0].is_file()
    assert not odd[0].is_symlink()
    assert (stage.federation.homes["north"].root / "identity.pem").read_bytes() == kept


def test_e6_a_pickle_in_the_pool_is_never_loaded(
    at: Callable[[str], Stage], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (ran,)

    stage, data = at("checked"), pickle.dumps(Evil())
    yaml = b"!!python/object/apply:pathlib.Path.touch [%s]" % str(ran).encode()
    length = stage.federation.chain().length
    for path, content in {
        stage.federation.paths.order(length + 1): data,
        stage.federation.paths.batch("nurses", bytes(32)): data,
        "partners/evil.json": yaml,
        "data.pkl": data,
        "data.yaml": yaml,
    }.items():
        (stage.pool / path).write_bytes(content)
    for words in (SYNC, ("status",)):
        stage.type("north", *words).done()
    stage.told_by_audit()
    assert not ran.exists()
    assert pickle.loads(data) is None  # the control: whoever loads it, runs it
    assert ran.exists()
    loaders = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|yaml|marshal|shelve|dill|joblib)\b", re.M
    )
    assert loaders.search("    import pickle")
    # Machine code that this program compiled for itself, kept where nobody else may write.
    own = SOURCE / "kernels" / "cache.py"
    for path in SOURCE.rglob("*.py"):
        assert bool(loaders.search(path.read_text(encoding="utf-8"))) == (path == own), path


def test_e7_names_that_two_systems_spell_differently(at: Callable[[str], Stage]) -> None:
    stage = at("checked")
    store = LocalStore(stage.pool)
    for name in ("caf\u00e9", "cafe\u0301"):
        with pytest.raises(PoolError) as error:
            store.put(f"partners/{name}.json", b"")
        assert error.value.code == "pool.path"
        ran = stage.type("north", "init", name, "--pool", str(stage.pool), "--home", "new")
        assert ran.code in (1, 2)
        assert "grievance: hint: " in ran.err
        assert not Path("new").exists()
        (stage.pool / f"{name}.json").write_bytes(b"")
    assert not any(name for name in stage.files() if name.startswith("partners/caf"))
    stage.type("south", *SYNC).done()
    assert stage.told_by_audit().count("file.unknown") >= 2


def test_e9_another_pool_or_plan_than_the_one_meant(
    at: Callable[[str], Stage], tmp_path: Path
) -> None:
    stage = at("second")
    stage.federation.settle()
    stage.federation.round_id = stage.second_id
    digest = stage.federation.task.digest.hex()
    stage.federation.round_id = stage.round_id
    digest_of_first = stage.federation.task.digest.hex()
    ran = stage.refused(
        "carers",
        *("release", "show", "--round", stage.round_id, "--trust", digest),
        code="trust.mismatch",
        says="is neither this task nor one of its aggregators",
        next_step="is this the folder, the file and the round you meant?",
    )
    assert digest in ran.err
    assert f"the task of {stage.round_id}, by north, south" in flat(ran.err)
    (tmp_path / "empty").mkdir()
    told = stage.told_by_audit(where=tmp_path / "empty")
    assert "UNTRUSTED" in told
    assert f"task.trust: {digest_of_first} is neither a round of this pool nor a key in it" in told
    assert "next: Call the organisations" in told
    stage.refused(
        "north",
        *("release", "show", "--pool", str(tmp_path / "none"), "--trust", digest),
        code="pool.missing",
        says=f"there is no pool folder at {tmp_path / 'none'}",
        next_step="create the folder, or wait",
    )


def test_e16_a_batch_that_has_arrived_in_part(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is held against its header first; it waits, and goes on when it is whole."""
    stage = at("relayed")
    (path,) = (stage.pool / stage.federation.paths.batches).iterdir()
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("grievance.pool.batch.locate", lambda *_: pytest.fail("it was parsed"))
        for size in (0, 50, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(GrievanceError) as error:
                BatchFile(whole[:size], stage.federation.task)
            assert error.value.code in ("batch.short", "batch.size")
            assert "Nothing to do now" in stage.type("north", *SYNC).done().err
    path.write_bytes(whole)
    stage.type("north", *SYNC).done()
    path.write_bytes(whole[:-1])
    with stage.unchanged():
        ran = stage.type("south", *SYNC)
        told = flat(ran.err + stage.type("south", "status").out)
    assert "waits for nurses: batch" in told
    assert "has not arrived grievance sync" in told
    path.write_bytes(whole)
    stage.federation.settle()
    assert [row["accepted"] for row in stage.memory("south")["batches"]] == [ROWS]
    assert not stage.audit().faults

"""The folder as strangers may fill it: links, pipes, odd names, sizes, half-written files.

Source: docs/design.md, section 7; docs/faults.md, faults A14, D3, E3 and E7.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from grievance.errors import PoolError
from grievance.names import check_pool_path, is_name
from grievance.pool.layout import RoundPaths, ledger_path, parse_batch_name, partner_path
from grievance.pool.store import SMALL_FILE_SIZE, LocalStore, Store, find, find_source, open_store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path)
    return open_store(f"memory://{tmp_path.name}-{request.node.name[:20]}")


@pytest.fixture
def folder(tmp_path: Path) -> LocalStore:
    made = open_store(tmp_path)
    assert isinstance(made, LocalStore)
    return made


def refused(code: str, store: Store, path: str, limit: int = 100) -> None:
    with pytest.raises(PoolError) as error:
        store.view(path, limit)
    assert error.value.code == code


def test_what_was_put_is_what_is_read(store: Store) -> None:
    assert store.view("a/b/c", 10) is None
    assert store.size("a/b/c") is None
    assert store.names("a/b") == []
    for data in (b"first", b"", b"second, longer"):
        store.put("a/b/c", data)
        assert bytes(store.view("a/b/c", 100) or b"") == data
        assert store.size("a/b/c") == len(data)
    store.put("a/b/d.json", b"x")
    assert store.names("a/b") == ["c", "d.json"]
    assert store.names("a/b/c") == [] or store.location.startswith("memory")


def test_a_file_above_the_limit_is_never_read(store: Store) -> None:
    store.put("big", b"x" * 101)
    refused("pool.size", store, "big")
    assert len(store.view("big", 101) or b"") == 101
    assert find(store, "big", 100) is None


def test_a_large_file_is_read_piece_by_piece(store: Store) -> None:
    data = os.urandom(100_000)
    store.put("batch", data)
    source = store.source("batch", len(data))
    assert source is not None and source.size == len(data)
    assert source.read(99_000, 1_000) == data[99_000:]
    assert source.read(100_000, 0) == b""
    with pytest.raises(PoolError) as error:
        source.read(99_001, 1_000)
    assert error.value.code == "pool.short"
    assert store.source("none", 5) is None
    assert find_source(store, "batch", 5) is None


def test_a_file_that_shrinks_while_it_is_read_is_told(folder: LocalStore) -> None:
    """A mapped one would end the process."""
    folder.put("batch", bytes(SMALL_FILE_SIZE + 1))
    source = folder.source("batch", 1 << 30)
    assert source is not None
    os.truncate(folder.root / "batch", 10)
    with pytest.raises(PoolError) as error:
        source.read(SMALL_FILE_SIZE, 1)
    assert error.value.code == "pool.short"


BAD_PATHS = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "a/../b",
    "../a",
    "a//b",
    "a/",
    "a/.hidden",
    ".git/config",
    "a\\b",
    "C:evil",
    "a\0b",
    "a\nb",
    "a b",
    "-rf",
    "caf\u00e9",
    "cafe\u0301",
    "ends.",
    "x" * 141,
    "a/" + "y" * 300,
    "\u202etxt",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda p: repr(p)[:20])
def test_paths_that_are_none(store: Store, path: str) -> None:
    for use in (
        check_pool_path,
        store.names,
        store.size,
        lambda p: store.view(p, 10),
        lambda p: store.put(p, b""),
        lambda p: find(store, p, 10),
    ):
        with pytest.raises(PoolError) as error:
            use(path)
        assert error.value.code == "pool.path"


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "con", "nul", "-a", "a_b", "x" * 41, "ä"])
def test_names_that_are_no_part_of_a_path(name: str) -> None:
    assert not is_name(name)
    for use in (
        partner_path,
        lambda n: ledger_path(n, 1),
        RoundPaths("trial-00000000").card,
        lambda n: RoundPaths("trial-00000000").verify(1, n),
    ):
        with pytest.raises(PoolError):
            use(name)
    assert parse_batch_name(f"{name}-{'0' * 64}") is None


@pytest.mark.parametrize("round_id", ["", "..", "a/b", "A", "x" * 50, "a\n"])
def test_round_ids_that_are_none(round_id: str) -> None:
    with pytest.raises(PoolError):
        RoundPaths(round_id)


@pytest.mark.parametrize("release", ["", "..", "0" * 15, "0" * 17, "G" * 16, "../../../../x"])
def test_release_ids_that_are_none(release: str) -> None:
    with pytest.raises(PoolError):
        RoundPaths("trial-00000000").proposal(release)


def test_a_link_in_place_of_a_file_is_not_followed(folder: LocalStore, tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}.secret"
    secret.write_bytes(b"a key")
    folder.put("real", b"mine")
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "inside").symlink_to(tmp_path / "real")
    for name in ("link", "inside"):
        refused("pool.link", folder, name)
        assert folder.size(name) is None
        assert find(folder, name, 100) is None
    folder.put("link", b"written over the link, not through it")
    assert secret.read_bytes() == b"a key"
    assert not (tmp_path / "link").is_symlink()


def test_a_link_in_place_of_a_folder_is_not_followed(folder: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}.outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"elsewhere")
    (tmp_path / "linked").symlink_to(outside)
    refused("pool.link", folder, "linked/x")
    assert find(folder, "linked/x", 100) is None
    with pytest.raises(PoolError):
        folder.size("linked/x")
    with pytest.raises(PoolError):
        folder.put("linked/y", b"")
    with pytest.raises(PoolError):
        folder.put("linked/deeper/y", b"")
    assert sorted(p.name for p in outside.iterdir()) == ["x"]
    assert folder.names("linked") == []


def test_pipes_sockets_and_folders_are_no_files(
    folder: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    for name in ("pipe", "dir"):
        refused("pool.kind", folder, name)  # and above all, it returns
        assert folder.size(name) is None
        assert find(folder, name, 100) is None
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(PoolError):
            folder.view("socket", 100)
        assert folder.size("socket") is None
    folder.put("pipe", b"a regular file now")
    assert stat.S_ISREG((tmp_path / "pipe").lstat().st_mode)


def test_a_folder_in_place_of_our_file_is_a_clear_error(folder: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "taken" / "by").mkdir(parents=True)
    with pytest.raises(PoolError) as error:
        folder.put("taken", b"x")
    assert error.value.code == "pool.place"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_temporary_files_are_invisible(folder: LocalStore, tmp_path: Path) -> None:
    folder.put("a/whole", b"x")
    (tmp_path / "a" / ".whole.0123456789ab").write_bytes(b"half a fi")
    (tmp_path / "a" / ".sync-conflict").write_bytes(b"")
    assert folder.names("a") == ["whole"]


def test_a_write_that_fails_leaves_nothing(
    folder: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("a/file", b"old")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def full(*_: object) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(*((os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
            with pytest.raises(PoolError) as error:
                folder.put("a/file", b"new")
        assert error.value.code == "pool.write"
        assert error.value.hint
        assert [p.name for p in (tmp_path / "a").iterdir()] == ["file"]
        assert (tmp_path / "a" / "file").read_bytes() == b"old"


def test_readers_see_the_old_or_the_new_file_never_half(folder: LocalStore) -> None:
    versions = [bytes([i]) * 200_000 for i in range(2)]
    folder.put("file", versions[0])
    stop = threading.Event()

    def write() -> None:
        at = 0
        while not stop.is_set():
            at = 1 - at
            folder.put("file", versions[at])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert bytes(folder.view("file", 200_000) or b"") in versions
    finally:
        stop.set()
        writer.join()


def test_a_pool_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place, code in (
        (str(tmp_path / "missing"), "pool.missing"),
        (str(tmp_path / "file"), "bundle.archive"),  # a file is read as a bundle
        ("nosuchprotocol://x/y", "pool.url"),
    ):
        with pytest.raises(PoolError) as error:
            open_store(place)
        assert error.value.code == code


@pytest.mark.parametrize("call", ["ls", "info", "open"])
def test_a_far_pool_that_is_away_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = open_store("memory://away")
    store.put("ledger/north/1.json", b"x")

    def away(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(MemoryFileSystem, call, away)
    with pytest.raises(PoolError) as error:
        _ = store.names("ledger") if call == "ls" else store.view("ledger/north/1.json", 10)
    assert error.value.code == "pool.read"
    assert "run the same command again" in (error.value.hint or "")

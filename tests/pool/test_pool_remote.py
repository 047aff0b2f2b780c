"""A pool on a server: what is put is what is read, and whatever fails is told with a code."""

from __future__ import annotations

import errno
import importlib.util
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from grievance.errors import PoolError
from grievance.pool import remote
from grievance.pool.remote import FsspecStore
from grievance.pool.store import Store, open_store
from servers import S3, Refusing, Sftp, aws, environment


@pytest.fixture(params=["s3://pool", "s3://pool/of/ours", "sftp"])
def far(request: pytest.FixtureRequest) -> FsspecStore:
    """A pool on each kind of server."""
    if request.param == "sftp":
        url = request.getfixturevalue("sftp").url
    else:
        request.getfixturevalue("s3")
        url = request.param
    made = open_store(url)
    assert isinstance(made, FsspecStore)
    return made


def refused(code: str, what: Any, *arguments: Any) -> PoolError:
    with pytest.raises(PoolError) as caught:
        what(*arguments)
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)
    return caught.value


def test_what_was_put_is_what_is_read(far: FsspecStore) -> None:
    assert far.view("a/b/c", 10) is far.size("a/b/c") is None
    assert far.names("a/b") == []
    for data in (b"first", b"", b"second, longer"):
        far.put("a/b/c", data)
        assert far.view("a/b/c", 100) == data
        assert far.size("a/b/c") == len(data)
    far.put("a/b/d.json", b"x")
    assert far.names("a/b") == ["c", "d.json"]
    assert far.names("a") == ["b"]
    with pytest.raises(PoolError, match="larger than 3 bytes"):
        far.view("a/b/c", 3)
    far.delete("a/b/c")
    far.delete("a/b/c")
    assert far.names("a/b") == ["d.json"]
    assert far.size("a") is None


def test_what_others_put_is_seen_at_once(s3: S3) -> None:
    store = open_store("s3://pool")
    store.put("a/ours", b"x")
    assert store.names("a") == ["ours"]
    s3.client.put_object(Bucket="pool", Key="a/theirs", Body=b"yy")
    assert store.names("a") == ["ours", "theirs"]
    s3.client.put_object(Bucket="pool", Key="a/theirs", Body=b"yyy")
    assert store.size("a/theirs") == 3


def test_what_a_client_remembers_would_hide_it(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without forgetting, a listing is what it was."""
    monkeypatch.setattr(FsspecStore, "_fs_forgets", lambda _: None)
    store = open_store("s3://pool")
    store.put("a/ours", b"x")
    assert store.names("a") == ["ours"]
    s3.client.put_object(Bucket="pool", Key="a/theirs", Body=b"yy")
    assert store.names("a") == ["ours"]


@pytest.mark.parametrize("url", ["s3://other", "s3://other/of/ours"])
def test_a_bucket_that_is_not_there_is_never_made(s3: S3, url: str) -> None:
    refused("pool.missing", open_store, url)
    assert s3.buckets == ["pool"]


def test_a_bucket_that_went_away_is_not_made_again(s3: S3) -> None:
    s3.client.create_bucket(Bucket="brief")
    store = open_store("s3://brief")
    s3.client.delete_bucket(Bucket="brief")
    refused("pool.missing", store.names, "rounds")
    refused("pool.missing", store.view, "partners/north.json", 100)
    refused("pool.missing", store.put, "partners/north.json", b"x")
    assert s3.buckets == ["pool"]


def test_a_client_that_is_left_to_itself_makes_buckets(s3: S3) -> None:
    """Control: why no folder is ever made for a bucket."""
    store = open_store("s3://pool")
    assert isinstance(store, FsspecStore)
    store._fs.makedirs("made/partners", exist_ok=True)
    assert "made" in s3.buckets
    s3.client.delete_bucket(Bucket="made")


def test_a_folder_that_is_not_there_is_never_made(sftp: Sftp) -> None:
    refused("pool.missing", open_store, f"{sftp.url}-of-others")
    store = open_store(sftp.url)
    (sftp.served / "pool").rmdir()
    refused("pool.missing", store.names, "rounds")
    refused("pool.missing", store.put, "partners/north.json", b"x")
    assert list(sftp.served.iterdir()) == []


def test_no_credentials(s3: S3, tmp_path: Path) -> None:
    with environment(aws(tmp_path, s3.endpoint, credentials=False)):
        refused("pool.denied", open_store, "s3://pool")


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (403, "AccessDenied", "pool.denied"),
        (503, "ServiceUnavailable", "pool.read"),
        (500, "InternalError", "pool.read"),
        (418, "Teapot", "pool.read"),
    ],
)
@pytest.mark.parametrize("url", ["s3://pool", "s3://pool/of/ours"])
def test_a_server_that_refuses(
    s3: S3, tmp_path: Path, status: int, name: str, code: str, url: str
) -> None:
    store = open_store(url)
    store.put("partners/north.json", b"x")
    server = Refusing(status, name)
    try:
        with environment(aws(tmp_path, server.endpoint)):
            refused(code, open_store, url)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("method", "call", "code"),
    [
        ("ls", lambda store: store.names("a"), "pool.read"),
        ("info", lambda store: store.size("a/b"), "pool.read"),
        ("open", lambda store: store.view("a/b", 9), "pool.read"),
        ("pipe_file", lambda store: store.put("a/b", b"x"), "pool.write"),
        ("rm_file", lambda store: store.delete("a/b"), "pool.delete"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "it broke"),
        EOFError("it ended"),
        BrokenPipeError(errno.EPIPE, "it broke"),
        ValueError("an answer that is none"),
        TimeoutError(),
        type("ErrorOfAClient", (Exception,), {})("\x1b[31mred"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_whatever_a_client_raises_is_an_error_of_the_pool(
    monkeypatch: pytest.MonkeyPatch, method: str, call: Any, code: str, error: Exception
) -> None:
    store = open_store("memory://raises")
    assert isinstance(store, FsspecStore)
    store.put("a/b", b"x")

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(store._fs, method, fails, raising=True)
    refused(code, call, store)


def test_a_mistake_of_the_memory_is_none_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("memory://raises")
    assert isinstance(store, FsspecStore)

    def fails(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(store._fs, "info", fails)
    with pytest.raises(MemoryError):
        store.size("a")


def half(store: FsspecStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks in the middle of a file."""
    whole = store._fs.pipe_file

    def breaks(path: str, data: bytes) -> None:
        whole(path, data[: len(data) // 2])
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(store._fs, "pipe_file", breaks)


def test_a_file_gets_its_name_when_it_is_whole(sftp: Sftp, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(sftp.url)
    assert isinstance(store, FsspecStore)
    store.put("a/b", b"old and whole")
    half(store, monkeypatch)
    refused("pool.write", store.put, "a/b", b"new and twice as long")
    assert [p.name for p in (sftp.served / "pool" / "a").iterdir()] == ["b"]
    assert store.view("a/b", 100) == b"old and whole"


def test_written_in_place_half_of_it_would_be_read(
    sftp: Sftp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    monkeypatch.setattr(remote, "_IN_PLACE", set())
    store = open_store(sftp.url)
    assert isinstance(store, FsspecStore)
    store.put("a/b", b"old and whole")
    half(store, monkeypatch)
    refused("pool.write", store.put, "a/b", b"new and twice as long")
    assert store.view("a/b", 100) == b"new and tw"


def test_a_server_that_went_away_and_came_back(sftp: Sftp) -> None:
    store: Store = open_store(sftp.url)
    store.put("a/b", b"x")
    sftp.close()
    refused("pool.read", store.names, "a")
    refused("pool.read", open_store, sftp.url)
    sftp.start()
    assert open_store(sftp.url).names("a") == ["b"]


def test_a_server_whose_key_nobody_vouched_for(sftp: Sftp) -> None:
    (sftp.home / ".ssh" / "known_hosts").write_text("")
    refused("pool.host-key", open_store, sftp.url)


def test_a_client_that_is_left_to_itself_asks_for_no_key(sftp: Sftp) -> None:
    """Control: why the client is told where the known keys are."""
    (sftp.home / ".ssh" / "known_hosts").write_text("")
    left = fsspec.filesystem("sftp", host="127.0.0.1", port=sftp.port, username="steward")
    assert left.exists("/pool")


def test_a_user_whom_the_server_does_not_know(sftp: Sftp) -> None:
    sftp.new_key()
    refused("pool.denied", open_store, sftp.url)


@pytest.mark.parametrize(
    "url",
    [
        "sftp://steward:hunter2@example.org/pool",
        "s3://key:hunter2@bucket",
        "simplecache::s3://pool",
        "s3://",
        "sftp:///pool",
        "nosuchplace://hunter2/x",
        "sftp://[half/pool",
    ],
)
def test_urls_that_are_no_pool(url: str) -> None:
    error = refused("pool.url", open_store, url)
    assert "hunter2" not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("s3://pool", "s3fs", "grievance[s3]"),
        ("sftp://example.org/pool", "sshfs", "grievance[sftp]"),
    ],
)
def test_a_client_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, package: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == module else found(n))
    hint = refused("install.extra", open_store, url).hint
    assert hint is not None
    assert hint.endswith(f"\n{sys.executable} -m pip install '{package}'")


def test_other_clients_are_named_as_fsspec_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsspec.core.url_to_fs", absent)
    hint = refused("install.extra", open_store, "gs://x/y").hint
    assert hint is not None
    assert hint.endswith(f"\n{sys.executable} -m pip install 'fsspec[gs]'")
    error = refused("install.extra", open_store, "webdav://x/y")
    assert error.hint == "Install webdav4 to access WebDAV"


def absent(*_: Any, **__: Any) -> None:
    raise ImportError("Install webdav4 to access WebDAV")

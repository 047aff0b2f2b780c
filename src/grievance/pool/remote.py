"""A pool on a server, reached through fsspec: S3, SFTP and whatever else it has a client for.

Every error of a client library leaves here as a PoolError with one of the codes below, so that
nobody above has to know which libraries there are. What is meant by them:

    pool.missing    the bucket or folder is not there; it is never made
    pool.denied     the server knows us not, or not for this
    pool.host-key   nobody has vouched for the SFTP server's key on this machine
    pool.read, pool.write, pool.delete   it did not work now and may work later

A server is asked anew each time: what fsspec remembers of a listing is dropped before it is
used, and "not there" is only said of a pool that is there itself.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import secrets
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from grievance.errors import GrievanceError, PoolError, after_fault
from grievance.extras import missing, type_this
from grievance.failpoints import failpoint
from grievance.names import check_pool_path
from grievance.pool.store import BytesSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.pool.store import View

_CLIENTS: Final = {
    "s3": "s3",
    "s3a": "s3",
    "sftp": "sftp",
    "ssh": "sftp",
}
"""The extra that brings the client for a kind of server."""

_BUCKETS: Final = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "oci", "tos"}
"""Where there are no folders: a prefix begins to be with its first file, a bucket does not."""

_IN_PLACE: Final = {"sftp", "ssh", "file", "local", "ftp", "smb"}
"""Where a file can be seen while it is written: there it gets its name when it is whole."""

_UNKNOWN_TO_IT: Final = {
    "PermissionError",
    "PermissionDenied",
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "ProfileNotFound",
    "SFTPPermissionDenied",
}
"""Types of client libraries, by name, that say: the server does not take us for somebody it
serves. By name, so that no library is loaded for asking."""

_FORMS: Final = "a folder, s3://BUCKET/FOLDER or sftp://HOST/FOLDER"
_LONGEST_TOLD: Final = 200


class FsspecStore:
    """A folder or bucket of a server. Raises PoolError where it is not there."""

    def __init__(self, url: str) -> None:
        self.location = url
        self._kind = url.partition("://")[0]
        _check_url(url)
        self._fs: Any
        self._fs, root = self._connect(url)
        self._root = str(root).rstrip("/")
        self._check_root()

    def _connect(self, url: str) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        # One connection for each store, and none that broke before.
        options: dict[str, Any] = {"skip_instance_cache": True}
        if self._kind in ("sftp", "ssh"):
            # As `ssh` does: the server is one that ~/.ssh/known_hosts vouches for.
            options |= {"known_hosts": (), "connect_timeout": 20, "login_timeout": 30}
            options |= {"keepalive_interval": 15}
        try:
            with self._asking(url, "reached"):
                found: tuple[Any, str] = url_to_fs(url, **options)
        except ImportError as error:
            raise _not_installed(self._kind, _extra(self._kind, error)) from None
        except FileNotFoundError:
            raise self._missing() from None
        return found

    def _check_root(self) -> None:
        """Raise PoolError `pool.missing` unless the pool is there."""
        if self._kind == "memory":
            return  # it is there for as long as this process is
        bucket, _, prefix = self._root.partition("/")
        with self._asking(self.location, "reached"):
            if self._kind in _BUCKETS and prefix:
                # Some keys may look at nothing of a bucket but what has their prefix.
                with contextlib.suppress(FileNotFoundError):
                    self._fs.ls(self._root, detail=False)
                    return
            try:
                self._fs.info(bucket if self._kind in _BUCKETS else self._root or "/")
            except FileNotFoundError:
                raise self._missing() from None
            except PermissionError:
                if not (self._kind in _BUCKETS and prefix):
                    raise

    def _missing(self) -> PoolError:
        what = "bucket" if self._kind in _BUCKETS else "folder"
        return PoolError(
            f"there is no pool at {self.location}: that {what} is not there",
            code="pool.missing",
            hint=f"look at how it is spelt; whoever keeps the pool makes the {what}, this program "
            "never does",
        )

    @contextlib.contextmanager
    def _asking(self, what: str, done: str) -> Iterator[None]:
        """Raise whatever the server or its client says as a PoolError, but for "not there".

        `what` cannot be `done`: reached, read, written or deleted.
        """
        try:
            self._fs_forgets()
            yield
        except (GrievanceError, FileNotFoundError, ImportError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # each client library has errors of its own
            raise _in_words(what, done, error) from None

    def _fs_forgets(self) -> None:
        forget = getattr(getattr(self, "_fs", None), "invalidate_cache", None)
        if forget is not None:
            forget()

    def _path(self, path: str) -> str:
        check_pool_path(path)
        return f"{self._root}/{path}"

    def names(self, folder: str) -> list[str]:
        """Names directly below `folder`, sorted; empty when it does not exist."""
        try:
            with self._asking(folder, "read"):
                found = self._fs.ls(self._path(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            return []
        names = (str(name).rstrip("/").rsplit("/", 1)[-1] for name in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def size(self, path: str) -> int | None:
        """Size in bytes, or None when there is no such file."""
        info = self._info(path)
        return int(info["size"]) if info is not None and info.get("type") == "file" else None

    def _info(self, path: str) -> dict[str, Any] | None:
        try:
            with self._asking(path, "read"):
                found: dict[str, Any] = self._fs.info(self._path(path))
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            return None
        return found

    def view(self, path: str, limit: int) -> View | None:
        """Fetch the file. Raises PoolError when it is larger than `limit`."""
        size = self.size(path)
        if size is None:
            return None
        if size > limit:
            raise PoolError(f"{path}: larger than {limit} bytes", code="pool.size")
        try:
            with self._asking(path, "read"), self._fs.open(self._path(path), "rb") as file:
                data: bytes = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(data) > limit:
            raise PoolError(f"{path}: larger than {limit} bytes", code="pool.size")
        return data

    def source(self, path: str, limit: int) -> BytesSource | None:
        """Fetch the file. Raises PoolError when it is larger than `limit`."""
        data = self.view(path, limit)
        return None if data is None else BytesSource(data)

    def local_path(self, path: str) -> str | None:  # noqa: ARG002
        """None: it may be far away."""
        return None

    def put(self, path: str, data: bytes) -> None:
        """Write the file, complete or not at all: one PUT, or aside and then renamed."""
        full = self._path(path)
        folder, _, name = full.rpartition("/")
        self._make_folders(path.rpartition("/")[0])
        try:
            with self._asking(path, "written"):
                failpoint("remote.put.begin")
                if self._kind in _IN_PLACE:
                    self._put_aside(full, f"{folder}/.{name[:60]}.{secrets.token_hex(6)}", data)
                else:
                    self._fs.pipe_file(full, data)
                failpoint("remote.put.done")
        except FileNotFoundError:
            raise self._missing() from None

    def _put_aside(self, full: str, temporary: str, data: bytes) -> None:
        try:
            self._fs.pipe_file(temporary, data)
            self._fs.mv(temporary, full)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(temporary)
            raise

    def _make_folders(self, folder: str) -> None:
        """Make the folders of a file, below the root only."""
        if not folder or self._kind in _BUCKETS or self._info(folder) is not None:
            return
        self._make_folders(folder.rpartition("/")[0])
        try:
            with self._asking(folder, "written"):
                self._fs.mkdir(self._path(folder), create_parents=False)
        except (PoolError, OSError):
            if self._info(folder) is None:  # not made by somebody else at this moment
                raise

    def delete(self, path: str) -> None:
        """Remove the file, if it is there. Raises PoolError when that is refused."""
        try:
            with self._asking(path, "deleted"):
                failpoint("remote.delete.begin")
                self._fs.rm_file(self._path(path))
                failpoint("remote.delete.done")
        except (FileNotFoundError, NotADirectoryError):
            return


def _check_url(url: str) -> None:
    """Refuse what cannot be a pool, before anything is asked. Raises PoolError."""
    from fsspec.registry import known_implementations, registry

    kind = url.partition("://")[0]
    if "::" in url:
        raise PoolError(
            "a pool is one place, not a chain of file systems",
            code="pool.url",
            hint="give the URL of the server alone; nothing in between may remember old files",
        )
    try:
        parts = urlsplit(url)
        secret = parts.password is not None
    except ValueError:
        raise PoolError("that is not a URL", code="pool.url", hint=_FORMS) from None
    if secret:
        # The URL is kept in the settings, shown, and said in errors.
        raise PoolError(
            f"the URL of a pool must not hold a password ({kind}://...)",
            code="pool.url",
            hint="leave it out; use a key that `ssh` finds, or the environment or configuration "
            "file of the server's own tools",
        )
    if kind not in known_implementations and kind not in registry:
        raise PoolError(
            f"{kind}:// is no kind of place that this program knows", code="pool.url", hint=_FORMS
        )
    if kind in _CLIENTS:
        if not parts.netloc:
            raise PoolError(f"{url}: it names no server", code="pool.url", hint=_FORMS)
        if missing(_CLIENTS[kind]):
            raise _not_installed(kind, type_this(f"grievance[{_CLIENTS[kind]}]"))


def _not_installed(kind: str, hint: str) -> PoolError:
    what = f"{kind}:// needs a package that is not installed"
    return PoolError(what, code="install.extra", hint=hint)


def _extra(kind: str, error: ImportError) -> str:
    """What fsspec says is to be installed for a kind of server."""
    known = importlib.metadata.metadata("fsspec").get_all("Provides-Extra") or ()
    return type_this(f"fsspec[{kind}]") if kind in known else _told(error)


def _in_words(what: str, done: str, error: Exception) -> PoolError:
    """What a client library says, as a PoolError with a code and a next step."""
    types = {one.__name__ for one in type(error).__mro__}
    if "HostKeyNotVerifiable" in types:
        return PoolError(
            f"{what}: nobody has vouched for the key of this server here",
            code="pool.host-key",
            hint="connect once with `ssh` as this user, compare the key it shows with what whoever "
            "keeps the server says, and accept it; if it was accepted before, ask why it changed",
        )
    if types & _UNKNOWN_TO_IT:
        return PoolError(
            f"{what}: the server refuses us ({_told(error)})",
            code="pool.denied",
            hint="see that this user has a key or credentials for it, and that they may read and "
            "write there; `aws s3 ls` or `sftp` on the same place shows the same",
        )
    code = {"written": "pool.write", "deleted": "pool.delete"}.get(done, "pool.read")
    if isinstance(error, OSError) and code != "pool.read":
        hint = after_fault(error)
    else:
        hint = "nothing was lost; run the same command again when the pool can be reached"
    return PoolError(f"{what}: cannot be {done} now ({_told(error)})", code=code, hint=hint)


def _told(error: Exception) -> str:
    """What an error says, on one short line that cannot steer a terminal."""
    text = str(error) or type(error).__name__
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_TOLD])
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST_TOLD else f"{line[:_LONGEST_TOLD]}..."

"""Servers a pool may lie on, on this machine: S3 by moto, SFTP by asyncssh, and one that refuses.

They are in the `test` extra. Where they are not installed, tests that need them are skipped and
say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def aws(folder: Path, endpoint: str, *, credentials: bool = True) -> dict[str, str]:
    """An environment in which S3 is at `endpoint`, and nothing else of this machine counts."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        "AWS_MAX_ATTEMPTS": "1",
        **(CREDENTIALS if credentials else {}),
    }


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with mock.patch.dict(os.environ, {**clean, **values}, clear=True):
        yield


class S3:
    """An S3 server with one bucket, `pool`."""

    def __init__(self) -> None:
        moto = pytest.importorskip("moto.server", reason="moto is not installed: no S3 server")
        pytest.importorskip("s3fs", reason="s3fs is not installed: no client for S3")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        self._server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.client.create_bucket(Bucket="pool")

    @property
    def client(self) -> Any:
        """As another organisation's tool reaches it."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    @property
    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]

    def empty(self) -> None:
        for found in self.client.list_objects_v2(Bucket="pool").get("Contents", ()):
            self.client.delete_object(Bucket="pool", Key=found["Key"])

    def close(self) -> None:
        self._server.stop()


class Refusing:
    """A server that gives every request one answer."""

    def __init__(self, status: int, code: str) -> None:
        self.requests: list[str] = []
        asked = self.requests
        body = f"<Error><Code>{code}</Code><Message>\x1b[2Jno: {code}</Message></Error>"

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Sftp:
    """An SFTP server whose root is `folder`/served, and a user whose `ssh` knows it.

    `home` is the user's: it holds .ssh with a key that the server takes and its host key.
    """

    def __init__(self, folder: Path) -> None:
        self._asyncssh = pytest.importorskip(
            "asyncssh", reason="asyncssh is not installed: no SFTP server"
        )
        pytest.importorskip("sshfs", reason="sshfs is not installed: no client for SFTP")
        self.served, self.home = folder / "served", folder / "user"
        (self.served / "pool").mkdir(parents=True)
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self._host_key = self._asyncssh.generate_private_key("ssh-ed25519")
        self.new_key().write_public_key(self.home / ".ssh" / "authorized")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connections: list[Any] = []
        self.port = 0
        self.start()
        known = self._host_key.export_public_key().decode()
        (self.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {known}")

    @property
    def url(self) -> str:
        return f"sftp://steward@127.0.0.1:{self.port}/pool"

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "USER": "steward", "SSH_AUTH_SOCK": ""}

    def new_key(self) -> Any:
        """Give the user a key, in place of the one the server may know."""
        key = self._asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.home / ".ssh" / "id_ed25519")
        return key

    def start(self) -> None:
        async def listen() -> Any:
            return await self._asyncssh.listen(
                "127.0.0.1",
                self.port,
                acceptor=self._connections.append,
                server_host_keys=[self._host_key],
                authorized_client_keys=str(self.home / ".ssh" / "authorized"),
                sftp_factory=lambda chan: self._asyncssh.SFTPServer(
                    chan, chroot=str(self.served).encode()
                ),
            )

        self._server = self._run(listen())
        self.port = self._server.get_port()

    def close(self) -> None:
        """Go away, with every connection."""

        async def end() -> None:
            self._server.close()
            await self._server.wait_closed()
            while self._connections:
                self._connections.pop().abort()

        self._run(end())

    def _run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

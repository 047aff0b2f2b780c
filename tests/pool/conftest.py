"""One S3 server and one SFTP server for the tests of a process; and the shell of the CLI's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers import S3, Sftp, aws, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).resolve().parent.parent / "cli"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    server = S3()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3, tmp_path: Path) -> Iterator[S3]:
    """An S3 server that this process is allowed to use, with an empty bucket `pool`."""
    with environment(aws(tmp_path, s3_server.endpoint)):
        yield s3_server
        s3_server.empty()


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Sftp]:
    """An SFTP server that this process is allowed to use, with an empty folder `pool`."""
    server = Sftp(tmp_path / "sftp")
    with environment(server.environment):
        yield server
    server.close()

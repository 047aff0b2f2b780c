"""Whole rounds on servers, and what the commands say while a server is not as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_shell import Ran, type_words

from federation import Federation
from grievance.audit import audit_pool
from servers import S3, Refusing, Sftp, aws, environment


@pytest.fixture(params=["s3", "sftp"])
def url(request: pytest.FixtureRequest) -> str:
    """A pool on each kind of server."""
    if request.param == "sftp":
        return str(request.getfixturevalue("sftp").url)
    request.getfixturevalue("s3")
    return "s3://pool/of/ours"


@pytest.mark.slow
def test_a_round_to_its_release_and_the_audit_of_it(url: str, tmp_path: Path) -> None:
    federation = Federation(tmp_path / "town", pool=url)
    federation.open_round()
    federation.relay("nurses", federation.seal(6))
    federation.relay("carers", federation.seal(6))
    federation.settle()
    assert federation.release().accepted == 12
    report = audit_pool(url, trust=[federation.task.digest.hex()])
    assert (report.verdict, report.findings) == ("pass", ())


def told(ran: Ran, code: str) -> None:
    """An error with its code and a hint, in words and as JSON, and no traceback."""
    assert "Traceback" not in ran.err
    assert f'"error": "{code}"' in ran.err, ran.err
    assert '"hint": null' not in ran.err
    assert "\x1b" not in ran.err


def watch(home: Path, patch: pytest.MonkeyPatch, looks: int = 3) -> Ran:
    """`sync --watch`, and Ctrl-C after so many looks."""
    slept: list[float] = []

    def sleeps(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == looks:
            raise KeyboardInterrupt

    with patch.context() as context:
        context.setattr("grievance.cli.steward.time.sleep", sleeps)
        ran = type_words("sync", "--watch", "--json", home=home)
    assert (ran.code, len(slept)) == (130, looks)
    return ran


def try_all(url: str, code: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Init, audit and three looks of a watching sync meet the same, and say it alike."""
    told(type_words("init", "west", "--pool", url, "--json", home=home.parent / "west"), code)
    assert not (home.parent / "west").exists()
    told(type_words("audit", url, "--json"), code)
    ran = watch(home, patch)
    told(ran, code)
    assert ran.err.count(f'"error": "{code}"') == 3


@pytest.fixture
def settled(url: str, tmp_path: Path) -> Path:
    """The home of an organisation of the pool."""
    home = tmp_path / "north"
    assert type_words("init", "north", "--pool", url, home=home).code == 0
    assert type_words("sync", home=home).code == 0
    return home


@pytest.mark.parametrize("url", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("status", "name", "code"),
    [(403, "AccessDenied", "pool.denied"), (503, "SlowDown", "pool.read")],
)
def test_an_s3_server_that_refuses(
    settled: Path,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    name: str,
    code: str,
) -> None:
    server = Refusing(status, name)
    try:
        with environment(aws(tmp_path, server.endpoint)):
            try_all(url, code, settled, monkeypatch)
    finally:
        server.close()


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_s3_without_credentials(
    settled: Path, url: str, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with environment(aws(tmp_path, s3.endpoint, credentials=False)):
        try_all(url, "pool.denied", settled, monkeypatch)


@pytest.mark.slow
def test_a_bucket_that_is_not_there(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "north"
    s3.client.create_bucket(Bucket="brief")
    assert type_words("init", "north", "--pool", "s3://brief", home=home).code == 0
    for left in s3.client.list_objects_v2(Bucket="brief").get("Contents", ()):
        s3.client.delete_object(Bucket="brief", Key=left["Key"])
    s3.client.delete_bucket(Bucket="brief")
    try_all("s3://brief", "pool.missing", home, monkeypatch)
    assert s3.buckets == ["pool"]


@pytest.mark.parametrize("url", ["sftp"], indirect=True)
def test_an_sftp_server_that_comes_and_goes(
    settled: Path, url: str, sftp: Sftp, monkeypatch: pytest.MonkeyPatch
) -> None:
    sftp.close()
    try_all(url, "pool.read", settled, monkeypatch)
    sftp.start()
    assert '"error"' not in watch(settled, monkeypatch).err


@pytest.mark.slow
def test_watching_looks_at_what_is_there(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: with nothing wrong the same three looks say nothing of an error."""
    ran = watch(settled, monkeypatch)
    assert '"error"' not in ran.err
    assert ran.out.count('"faults": []') == 3


@pytest.mark.slow
def test_a_watch_that_took_errors_of_clients_as_they_come_would_end(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: what the store's own errors are for."""

    def fails(*_: Any, **__: Any) -> None:
        raise LookupError("as botocore's NoCredentialsError is none of OSError")

    monkeypatch.setattr("grievance.pool.remote.FsspecStore.names", fails)
    with pytest.raises(LookupError):
        watch(settled, monkeypatch)

"""An audit where an organisation has its folder trusts what it signed; and needs no NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from audit_world import make_round
from test_audit_cli import call

from federation import Federation


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """A finished round with its homes. Not to be changed."""
    federation = Federation(tmp_path_factory.mktemp("homes"))
    make_round(federation)
    return federation


def test_what_we_signed_is_trusted_and_said(
    finished: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(finished.homes["south"].root)
    code, out, err = call(capsys, "audit", finished.pool, "--home", home)
    assert code == 0 and "PASS" in out.splitlines()[0]
    assert f"trusting {finished.round_id}, {finished.task.short_digest}: south signed it" in err


def test_whoever_signed_nothing_trusts_nothing(
    finished: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(finished.homes["nurses"].root)
    code, out, err = call(capsys, "audit", finished.pool, "--home", home)
    assert code == 1 and "UNTRUSTED" in out.splitlines()[0] and "trusting" not in err


def test_what_is_typed_comes_first(
    finished: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(finished.homes["south"].root)
    words = ("--home", home, "--trust", "00" * 32)
    code, out, err = call(capsys, "audit", finished.pool, *words)
    assert code == 1 and "UNTRUSTED" in out.splitlines()[0] and "trusting" not in err


BLOCK = """\
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
from grievance.cli.app import run
run(sys.argv[1:])
"""


def blocked(finished: Federation, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process in which the heavy libraries cannot be imported."""
    code = BLOCK.format(blocked={"numpy", "numba", "pyarrow", "opendp"})
    environment = {**os.environ, "GRIEVANCE_HOME": "/nowhere/at/all"}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(finished.folder),
    )


def test_an_audit_needs_no_numpy(finished: Federation, tmp_path: Path) -> None:
    trust = [word for p in finished.task.aggregators
             for word in ("--trust", p.identity.fingerprint.hex())]  # fmt: skip
    for more in ([], ["--html", str(tmp_path / "a.html")], ["--bundle", str(tmp_path / "a.zip")]):
        ran = blocked(finished, "audit", finished.pool, *trust, *more)
        assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
        assert "PASS" in ran.stdout
    ran = blocked(finished, "audit", finished.pool, "--home", str(finished.homes["south"].root))
    assert ran.returncode == 0, ran.stderr
    ran = blocked(finished, "counted", "00" * 32, "--pool", finished.pool, *trust)
    assert ran.returncode == 1 and ran.stdout.startswith("absent"), ran.stderr


def test_the_block_holds() -> None:
    """The control: what does need NumPy fails there."""
    code = BLOCK.format(blocked={"numpy"}).split("from grievance")[0] + "import numpy"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "No module named 'numpy'" in ran.stderr

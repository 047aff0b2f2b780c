"""A sync of many rows, as the installed command runs it, past damaged files of compiled kernels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "cli"))

from cli_shell import Town

from grievance.kernels import compiler
from grievance.pipelines.paths import FAST_ROWS

ROWS = 5_100
MAIN = "from grievance.cli import main; main()"
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "halved": lambda data: data[: len(data) // 2],
    "a bit flipped": lambda data: data[:-1000] + bytes([data[-1000] ^ 1]) + data[-999:],
}


@pytest.mark.slow
def test_a_sync_of_many_rows_goes_past_damaged_kernels(tmp_path: Path) -> None:
    assert ROWS > FAST_ROWS
    town = Town(tmp_path / "town")
    town.found("north", "south", "nurses")
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        town.open("nurses")
        inbox = town.fill(ROWS)
        town.type("nurses", "relay", str(inbox), "--trust", town.digest).done()
        (tmp_path / "town").rename(tmp_path / "before")
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)

        def sync() -> str:
            shutil.rmtree(tmp_path / "town", ignore_errors=True)
            shutil.copytree(tmp_path / "before", tmp_path / "town")
            line = [
                sys.executable,
                "-c",
                "from grievance.cli import main; main()",
                "sync",
                "--json",
            ]
            ran = subprocess.run(
                line,
                env={**os.environ, "GRIEVANCE_HOME": str(town.home("north"))},
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
            assert json.loads(ran.stdout)["done"]
            assert "interrupted" not in ran.stderr
            return ran.stderr

        assert compiler.ANNOUNCEMENT in sync()
        assert compiler.ANNOUNCEMENT not in sync()
        kept = sorted((tmp_path / "cache").rglob("*.nbc"))
        assert kept
        for damage in DAMAGE.values():
            for path in kept:
                path.write_bytes(damage(path.read_bytes()))
            assert compiler.ANNOUNCEMENT in sync()
        assert compiler.ANNOUNCEMENT not in sync()

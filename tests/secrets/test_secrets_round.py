"""A whole round under watch, errors and crashes included: no secret shows anywhere.

The round runs in a process of its own (`watched_round.py`), since what watches it cannot be
taken off again. A second process runs it with leaks put in, and must notice every one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from leaks import EXPECTED

SCRIPT = Path(__file__).with_name("watched_round.py")
KINDS = {
    "answer": 3,
    "measurement": 4,
    "salt": 40,
    "shard randomness": 20,
    "commitment": 20,
    "input share": 40,
    "verifier share": 20,
    "un-noised sum": 20,
    "noise": 2,
    "verify key": 1,
    "state key": 2,
    "HPKE key": 6,
    "signing key": 4,
    "backup key": 1,
    "piece": 2,
    "passphrase": 2,
    "passphrase key": 3,
}
"""Every kind of secret, and how many of it the round must at least have made."""


def watch(folder: Path, *words: str) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRIEVANCE_")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    ran = subprocess.run(
        [sys.executable, *(["-O"] if sys.flags.optimize else []), str(SCRIPT), str(folder), *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=3600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return watch(tmp_path_factory.mktemp("clean"))


def test_nothing_leaks(clean: dict[str, Any]) -> None:
    assert clean["leaks"] == []


def test_enough_was_made_and_looked_at(clean: dict[str, Any]) -> None:
    for kind, number in KINDS.items():
        assert clean["secrets"].get(kind, 0) >= number, (kind, clean["secrets"])
    assert set(clean["secrets"]) == set(KINDS)
    looked = clean["looked_at"]
    assert looked["stdout"] > 80 and looked["stderr"] > 80
    assert looked["exception"] > 80
    assert looked["state"] > 50 and looked["file"] > 100 and looked["gone file"] > 30


def test_files_are_written_where_they_belong(clean: dict[str, Any]) -> None:
    """In a home, in the pool, or where the command was told: nowhere else, no crash file."""
    assert clean["outside"] == []


def test_keys_and_states_are_their_owners_alone(clean: dict[str, Any]) -> None:
    assert len(clean["modes"]) > 8
    assert {mode for path, mode in clean["modes"].items() if "sqlite-" not in path} == {"600"}
    assert set(clean["modes"].values()) <= {"600"}


@pytest.mark.slow
def test_every_kind_of_leak_would_be_noticed(tmp_path: Path) -> None:
    found = watch(tmp_path, "--leaky")
    noticed = {(channel, kind) for channel, _, kind, _ in found["leaks"]}
    for place, how in EXPECTED.items():
        assert place in noticed, (place, how)

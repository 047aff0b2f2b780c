"""Faults E17 to E19, E23: damaged caches, servers that fail, folders in each other, less installed.

Every test here is short; tests/kernels, tests/pool and tests/cli drive the same faults in all
their forms.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_shell import type_words
from fault_world import refused, tree

from grievance import extras
from grievance.pool.store import open_store

_COMPILED = (
    "from grievance.kernels import cache, check; from grievance.vdaf import FIELD64; import json; "
    "out = check.expand(FIELD64, bytes(32), b'', b'', 2); "
    "print(json.dumps([out.hex(), check.expand_messages.cache_hits, str(cache.directory())]))"
)


@pytest.mark.slow
def test_e17_a_damaged_file_of_compiled_kernels(tmp_path: Path) -> None:
    """It is as if it were not there: compiled once more, the same result, no error and no words."""

    def compute() -> list[Any]:
        env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        line = [sys.executable, "-c", _COMPILED]
        return list(
            json.loads(subprocess.run(line, env=env, capture_output=True, check=True).stdout)
        )

    first, hits, directory = compute()
    (kept,) = Path(directory).iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2]):
        kept.write_bytes(damaged)
        assert compute() == [first, hits, directory]
        assert hits == 0
    assert compute() == [first, 1, directory]


def test_e18_a_server_that_fails_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a client library raises is an error of the pool, with a code and a next step."""
    store = open_store("memory://e18")
    store.put("partners/north.json", b"x")
    fs = store._fs  # type: ignore[attr-defined]
    for error, code, words in (
        (EOFError("it ended"), "pool.read", "it ended"),
        (PermissionError(13, "AccessDenied"), "pool.denied", "AccessDenied"),
        (type("HostKeyNotVerifiable", (Exception,), {})(), "pool.host-key", "vouched"),
    ):

        def fails(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(fs, "info", fails)
            with refused(code, words, step=" "):
                store.size("partners/north.json")
    assert store.size("partners/north.json") == 1


def test_e19_a_home_in_the_pool_and_a_pool_in_the_home(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    before = tree(tmp_path)
    for home, words in ((pool / "west", "lies in the pool"), (tmp_path, "own folder")):
        ran = type_words("init", "west", "--pool", str(pool), "--json", home=home)
        assert ran.code == 2
        told = json.loads(ran.err)
        assert told["error"] == "home.place"
        assert words in told["message"]
        assert "choose another --home" in told["hint"]
    assert tree(tmp_path) == before


def test_e23_a_command_for_which_too_little_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.PACKAGES, "steward", ("nosuchpackage",))
    pool, home = tmp_path / "pool", tmp_path / "west"
    pool.mkdir()
    type_words("init", "west", "--pool", str(pool), home=home).done()
    before = tree(tmp_path)
    for words in (("round", "join", "trial-00000000", "--yes"), ("release", "export", str(pool))):
        ran = type_words(*words, "--json", home=home)
        assert ran.code == 1
        told = json.loads(ran.err)
        assert told["error"] == "install.extra"
        assert "nosuchpackage" in told["message"]
        line = f"{sys.executable} -m pip install 'grievance[steward]'"
        assert told["hint"].splitlines()[-1] == line
    assert tree(tmp_path) == before
    type_words("sync", home=home).done()  # a witness, or nobody yet: that needs no more

"""Compiled kernels: kept for the sources they came from, where nobody else can write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grievance
from grievance.kernels import cache, compiler

SCRIPT = """
import json, sys
from grievance.kernels import cache, check
from grievance.vdaf import FIELD64, FIELD128
if "same-name" in sys.argv:
    cache.source_digest = lambda: "same-name"
out = check.expand(FIELD64 if "small" in sys.argv else FIELD128, bytes(32), b"", b"", 2)
print(json.dumps([out.hex(), check.expand_messages.cache_hits, str(cache.directory())]))
"""


class Install:
    """A copy of the package, and a home for its user."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "install" / "grievance"
        shutil.copytree(
            Path(grievance.__file__).parent,
            self.source,
            ignore=shutil.ignore_patterns("__pycache__", "cli", "release", "audit", "demo"),
        )
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.source.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder),
        }

    def run(self, *arguments: str) -> tuple[str, int, Path, str]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=self.environment,
        )
        out, hits, directory = json.loads(done.stdout)
        return out, hits, Path(directory), done.stderr

    def change(self) -> None:
        """Change what a kernel computes, in another file than the kernel's own."""
        path = self.source / "kernels" / "xof.py"
        text = path.read_text("utf-8")
        assert "states[i, lane] = 0\n" in text
        path.write_text(text.replace("states[i, lane] = 0\n", "states[i, lane] = 1\n"), "utf-8")


def test_a_changed_source_is_compiled_anew(tmp_path):
    install = Install(tmp_path)
    first, hits, directory, said = install.run()
    assert hits == 0
    assert compiler.ANNOUNCEMENT in said
    assert directory.parent == tmp_path / "home" / ".cache" / "grievance"
    assert (directory.stat().st_mode & 0o777, directory.stat().st_uid) == (0o700, os.geteuid())
    again, hits, same, said = install.run()
    assert (again, hits, same, said) == (first, 1, directory, "")
    install.change()
    changed, hits, other, said = install.run()
    assert changed != first
    assert hits == 0
    assert other != directory
    assert compiler.ANNOUNCEMENT in said


def test_under_one_name_old_arithmetic_would_go_on(tmp_path):
    """What the name of the directory is for."""
    install = Install(tmp_path)
    first, _, _, _ = install.run("same-name")
    install.change()
    stale, hits, _, _ = install.run("same-name")
    assert (stale, hits) == (first, 1)


@pytest.mark.slow
def test_two_processes_that_saved_two_variants_at_one_moment(tmp_path):
    """Numba counts files without a lock: both save as number 1, and the index has either's name."""
    install, home = Install(tmp_path), tmp_path / "home"
    first, _, directory, _ = install.run()
    home.rename(tmp_path / "kept")
    install.run("small")
    (theirs,) = directory.rglob("*.nbc")
    (ours,) = (tmp_path / "kept" / directory.relative_to(home)).rglob("*.nbc")
    assert ours.name == theirs.name and ours.read_bytes() != theirs.read_bytes()
    ours.write_bytes(theirs.read_bytes())
    theirs.unlink()
    shutil.rmtree(home)
    (tmp_path / "kept").rename(home)
    assert install.run()[0] == first
    assert install.run()[:2] == (first, 1)
    assert install.run("small")[1] == 0
    assert install.run("small")[1] == install.run()[1] == 1


def test_without_a_home_and_in_a_read_only_install(tmp_path):
    install = Install(tmp_path)
    nowhere = tmp_path / "file"
    nowhere.touch()
    install.environment["HOME"] = str(nowhere)
    before = sorted(install.source.rglob("*"))
    _, hits, directory, _ = install.run()
    assert hits == 0
    assert directory.parent == tmp_path
    assert not directory.exists()  # it went with the process
    assert sorted(install.source.rglob("*")) == before


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.directory.cache_clear()
    yield tmp_path / "grievance" / f"kernels-{cache.source_digest()}"
    cache.directory.cache_clear()


def test_the_directory_named_by_the_environment(fresh):
    assert cache.directory() == fresh
    assert cache.directory().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o702])
def test_a_directory_that_is_open_to_others_is_not_used(fresh, mode):
    fresh.mkdir(parents=True)
    fresh.chmod(mode)
    assert cache.directory() != fresh


def test_a_parent_that_others_may_write_to_is_not_used(fresh):
    fresh.parent.mkdir()
    fresh.parent.chmod(0o777)
    assert fresh not in (cache.directory(), cache.directory().parent)


def test_a_link_is_not_followed(fresh, tmp_path):
    fresh.parent.mkdir(mode=0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    fresh.symlink_to(elsewhere)
    assert cache.directory() != fresh


def test_a_relative_name_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache.directory.cache_clear()
    assert cache.directory().parent == tmp_path / ".cache" / "grievance"
    cache.directory.cache_clear()


def test_the_announcement_can_be_taken_over(monkeypatch):
    said = []
    monkeypatch.setattr(compiler, "_announced", False)
    monkeypatch.setattr(compiler, "_announce", compiler._announce)
    compiler.on_compile(said.append)
    compiler._announce_once()
    compiler._announce_once()
    assert said == [compiler.ANNOUNCEMENT]


def test_other_users_of_numba_keep_their_setting():
    code = (
        "import numba; numba.config.CACHE_DIR = 'theirs'; from grievance.kernels import verify; "
        "verify.decide_rows.prepare(0); print(numba.config.CACHE_DIR)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "theirs"

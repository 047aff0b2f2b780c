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
def fails(*_, **__):
    raise OSError(28, "No space left on device")
if "same-name" in sys.argv:
    cache.source_digest = lambda: "same-name"
if "believe" in sys.argv:
    cache.KernelCache._read = staticmethod(lambda path: path.read_bytes()[32:])
if "full" in sys.argv:
    cache.Path.replace = fails
if "nowhere" in sys.argv:
    cache.tempfile.mkdtemp = fails
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

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.begin(*arguments)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, *arguments: str) -> tuple[str, int, Path, str]:
        done = self.start(*arguments)
        done.check_returncode()
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


@pytest.mark.slow
def test_under_one_name_old_arithmetic_would_go_on(tmp_path):
    """What the name of the directory is for."""
    install = Install(tmp_path)
    first, _, _, _ = install.run("same-name")
    install.change()
    stale, hits, _, _ = install.run("same-name")
    assert (stale, hits) == (first, 1)


def empty(data: bytes) -> bytes:
    return b""


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """One bit of the object file within the pickle, where LLVM takes the process down with it."""
    at = data.index(b"\x7fELF") + 18  # e_machine: for which processor
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def zeroed(data: bytes) -> bytes:
    """What a file system leaves of a file that was renamed before its blocks were on the disk."""
    return bytes(len(data))


DAMAGE = pytest.mark.parametrize(
    "damage",
    [flipped, *(pytest.param(d, marks=pytest.mark.slow) for d in (empty, halved, zeroed))],
    ids=lambda d: d.__name__,
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An install whose kernel was compiled, what it computed, and the kernel's one file."""
    install = Install(tmp_path_factory.mktemp("compiled"))
    first, _, directory, _ = install.run()
    (kept,) = directory.iterdir()
    return install, first, kept


@DAMAGE
def test_a_damaged_file_is_as_if_it_were_not_there(installed, damage):
    """And is replaced by a whole one."""
    install, first, kept = installed
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    out, hits, _, said = install.run()
    assert (out, hits) == (first, 0)
    assert compiler.ANNOUNCEMENT in said
    assert sorted(kept.parent.iterdir()) == [kept]
    assert install.run()[:2] == (first, 1)


@DAMAGE
def test_a_file_that_is_believed_as_it_lies_ends_the_process(installed, damage):
    """What the digest is for: damaged machine code computes something else or nothing at all."""
    install, first, kept = installed
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    try:
        done = install.start("believe")
        assert done.returncode != 0 or json.loads(done.stdout)[0] != first
    finally:
        kept.write_bytes(whole)


@pytest.mark.slow
def test_processes_that_compile_two_variants_at_one_moment(tmp_path):
    """Each has its own file, whoever comes first."""
    install = Install(tmp_path)
    both = [install.begin("small"), install.begin()]
    small, large = (json.loads(process.communicate()[0])[0] for process in both)
    assert install.run("small")[:2] == (small, 1)
    assert install.run()[:2] == (large, 1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["full", "in-the-way"])
def test_a_cache_that_cannot_be_written_stops_nothing(installed, what):
    install, first, kept = installed
    whole = kept.read_bytes()
    kept.unlink()
    try:
        if what == "in-the-way":
            kept.mkdir()
        done = install.run(what)
        assert done[:2] == (first, 0)
        assert what == "in-the-way" or not list(kept.parent.iterdir())
    finally:
        if what == "in-the-way":
            kept.rmdir()
        kept.write_bytes(whole)


@pytest.mark.slow
def test_where_no_directory_can_be_made_nothing_is_kept(tmp_path):
    install = Install(tmp_path)
    (tmp_path / "file").touch()
    install.environment["HOME"] = str(tmp_path / "file")
    out, hits, directory, _ = install.run("nowhere")
    assert (out, hits, str(directory)) == (install.run("nowhere")[0], 0, "None")


@pytest.mark.slow
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


def test_a_directory_of_another_user_is_not_used(fresh, monkeypatch):
    assert cache.directory() == fresh
    cache.directory.cache_clear()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.directory() not in (fresh, None)


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


@pytest.mark.slow
def test_other_users_of_numba_keep_their_setting():
    code = (
        "import numba; numba.config.CACHE_DIR = 'theirs'; from grievance.kernels import verify; "
        "verify.decide_rows.prepare(0); print(numba.config.CACHE_DIR)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "theirs"

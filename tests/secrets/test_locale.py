"""Another locale or console changes no byte: what is written out is UTF-8 with full stops."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grievance

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS / "cli"))

from cli_shell import PLAN, Town  # noqa: E402

SOURCE = Path(grievance.__file__).parent
CHILD = """
import os, sys
from grievance.cli.app import run
if os.environ.get("TAKE_LOCALE"):
    import locale
    locale.setlocale(locale.LC_ALL, "")
    print(locale.localeconv()["decimal_point"], file=open(os.environ["TAKE_LOCALE"], "w"))
for line in os.fsdecode(open(sys.argv[1], "rb").read()).splitlines():
    try:
        run(line.split(chr(31)))
    except SystemExit as ended:
        sys.stdout.flush()
        os.write(1, b"-- %d\\n" % ended.code)
"""
ENVIRONMENTS = {
    "LANG=C, nothing coerced": {
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    },
    "LANG=C": {"LC_ALL": "C", "LANG": "C"},
    "a Latin-1 console": {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8"},
    "a console that knows ASCII": {"PYTHONIOENCODING": "ascii", "LC_ALL": "C.UTF-8"},
    "a Windows console": {"PYTHONIOENCODING": "cp1252", "LC_ALL": "POSIX"},
}
QUICK = ("LANG=C, nothing coerced",)
USUAL = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A released round whose labels and title are not ASCII."""
    plan = PLAN
    for old, new in (("London", "Łódź"), ("North", "Île-de-France"), ("Pressure", "Überdruck")):
        plan = plan.replace(old, new)
    made = Town(tmp_path_factory.mktemp("locale") / "town")
    made.plan.write_text(plan, encoding="utf-8")
    made.found("north", "south", "nurses")
    made.open("nurses")
    inbox = made.folder / "inbox"
    inbox.mkdir()
    table = made.folder / "rows.csv"
    table.write_text("region,problems,hours\n" + "Łódź,targets,4\n" * 12, encoding="utf-8")
    mapping = made.folder / "mapping.toml"
    mapping.write_text('[fields.problems]\nseparator = ";"\n')
    words = ("--table", str(table), "--mapping", str(mapping), "--out", str(inbox))
    made.seal(*words).done()
    made.type("nurses", "relay", str(inbox), "--trust", made.digest).done()
    made.settle()
    made.release()
    return made


def commands(world: Town, out: Path) -> list[list[str]]:
    home = ["--home", str(world.home("north"))]
    return [
        ["plan", "check", str(world.plan), "--reports", "500"],
        ["status", *home],
        ["release", "show", *home],
        ["release", "show", "--json", *home],
        ["release", "export", str(out), *home],
        ["exposure", *home],
        ["seal", str(world.bundle), "--trust", world.digest, "--answers", "-"],
        ["seal", str(world.folder / "no such größe"), "--trust", world.digest],
    ]


def play(world: Town, folder: Path, environment: dict[str, str]) -> tuple[bytes, dict[str, bytes]]:
    """Type all commands in one process; what came out, and the files it wrote."""
    out = folder / "results"
    lines = folder / "typed"
    lines.write_text(
        "\n".join(chr(31).join(words) for words in commands(world, out)), encoding="utf-8"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    kept["PYTHONPATH"] = str(SOURCE.parent)
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(lines)],
        input='{"region": "Lódź", "problems": ["targets"], "hours": 4}'.encode(),
        capture_output=True,
        env={**kept, **environment},
        timeout=1200,
        check=False,
    )
    assert b"Traceback" not in ran.stderr, ran.stderr.decode("utf-8", "replace")
    files = {
        path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.suffix != ".parquet"
    }
    said = ran.stdout + b"== words for people\n" + ran.stderr
    return said.replace(str(folder).encode(), b"FOLDER"), files


@pytest.fixture(scope="module")
def usual(world: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    return play(world, tmp_path_factory.mktemp("usual"), USUAL)


@pytest.mark.slow
def test_the_usual_bytes_are_utf8(usual: tuple[bytes, dict[str, bytes]]) -> None:
    said, files = usual
    text = said.decode("utf-8")
    assert "Łódź" in text and "Île-de-France" in text and "größe" in text
    assert [int(code) for code in re.findall(r"^-- (\d+)$", text, re.M)] == [0] * 6 + [1, 1]
    assert any("Łódź".encode() in data for data in files.values())


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ENVIRONMENTS]
)
def test_same_bytes_in_another_locale(
    world: Town, usual: tuple[bytes, dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    said, files = play(world, tmp_path, ENVIRONMENTS[name])
    assert said.splitlines() == usual[0].splitlines()
    assert files == usual[1]


@pytest.mark.slow
def test_same_bytes_where_the_decimal_point_is_a_comma(
    world: Town, usual: tuple[bytes, dict[str, bytes]], tmp_path: Path
) -> None:
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("no localedef, or no sources of the German locale (Debian: locales)")
    made = tmp_path / "locales" / "de_DE.UTF-8"
    made.parent.mkdir()
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(made)], check=True)
    point = tmp_path / "point"
    said, files = play(
        world,
        tmp_path,
        {"LOCPATH": str(made.parent), "LC_ALL": "de_DE.UTF-8", "TAKE_LOCALE": str(point)},
    )
    assert point.read_text().strip() == ","
    assert _ours(said) == _ours(usual[0])
    assert files == usual[1]


def _ours(said: bytes) -> list[bytes]:
    """Lines without what the operating system says of a missing file, in its own language."""
    return [re.sub("(no such größe: ).*".encode(), rb"\1", line) for line in said.splitlines()]


@pytest.mark.lint
def test_nothing_in_the_source_asks_the_locale() -> None:
    """No number is formatted by locale, and no text file is opened in the locale's encoding."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert "locale" not in {alias.name for alias in node.names}, path
            if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
                spec = node.format_spec.values
                assert not (
                    spec and isinstance(spec[-1], ast.Constant) and str(spec[-1].value)[-1:] == "n"
                ), (path, node.lineno)
            kind = getattr(getattr(node, "func", None), "attr", "")
            if isinstance(node, ast.Call) and kind in ("read_text", "write_text"):
                named = {keyword.arg for keyword in node.keywords}
                placed = len(node.args) > (kind == "write_text")
                assert "encoding" in named or placed, (path, node.lineno)

"""The audit stands alone: its imports, and a page for every rule."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import grievance
from grievance.audit import RULES
from grievance.audit.terms import AuditedTask
from grievance.task import Task

pytestmark = pytest.mark.lint

SOURCE = Path(grievance.__file__).parent
PAGES = SOURCE.parent.parent / "docs" / "audit"
ALLOWED = {"errors", "wire", "cost", "names", "crypto", "plan", "task", "ledger", "markup", "audit"}
ALLOWED_MODULES = {
    "client.commitment",
    "client.report",
    "client.flat_parquet",
    "pool.archive",
    "pool.bundle",
    "pool.store",
    "pool.layout",
    "pool.order",
    "pool.batch",
    "pool.decisions",
    "pool.waivers",
    "pool.proposals",
    "pool.noisy",
    "pool.places",
    "pool.rounds",
}
STANDARD = {"__future__", "collections", "dataclasses", "fractions", "functools", "itertools"}
PURE = {"accounting.py": STANDARD | {"math", "typing"}}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0
            found.add(node.module)
            if node.module == "grievance":
                found |= {f"grievance.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", sorted((SOURCE / "audit").glob("*.py")), ids=lambda p: p.name)
def test_no_code_is_shared_with_the_releasing_side(path: Path) -> None:
    for module in imported(path):
        head, _, rest = module.partition(".")
        if head == "grievance":
            assert rest.split(".")[0] in ALLOWED or rest in ALLOWED_MODULES, module
        assert head not in ("pyarrow", "numpy", "opendp", "numba"), module


MADE_FOR_RELEASES = {f"grievance.task.{n}" for n in ("Task", "parse_task", "load_task", "task")}


def names_taken(path: Path) -> set[str]:
    """Every name that a file imports, with its module, for types too."""
    nodes = [
        n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ImportFrom)
    ]
    return {f"{node.module}.{alias.name}" for node in nodes for alias in node.names} | imported(
        path
    )


@pytest.mark.parametrize("path", sorted((SOURCE / "audit").glob("*.py")), ids=lambda p: p.name)
def test_terms_are_read_by_a_type_of_its_own(path: Path) -> None:
    """No file of the audit names `Task`, nor what makes one."""
    assert not names_taken(path) & MADE_FOR_RELEASES
    assert not issubclass(AuditedTask, Task)


def test_a_file_that_names_a_task_is_seen() -> None:
    assert names_taken(SOURCE / "client" / "seal.py") & MADE_FOR_RELEASES
    assert names_taken(SOURCE / "task" / "anchor.py") & MADE_FOR_RELEASES


AUDIT_ALL = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, {conformance!r})
import run
from grievance.audit.run import audit_pool
said = set()
for case in run.cases():
    with tempfile.TemporaryDirectory() as folder:
        case.write(pool := Path(folder) / "pool")
        said.add(audit_pool(pool, trust=case.trust).verdict)
print(*sorted(said))
"""


def loaded(code: str) -> tuple[list[str], set[str]]:
    """What `code` says in a process of its own, and which packages that make releases it loads."""
    code += "\nprint(*(m for m in sys.modules if m.startswith('grievance.')))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *said, modules = out.stdout.splitlines()
    own = {module.split(".")[1] for module in modules.split()}
    return said, own & {"privacy", "aggregator", "release"}


def test_nothing_that_makes_releases_is_loaded() -> None:
    """Whatever pool is audited: every conformance case, so every golden pool."""
    code = AUDIT_ALL.format(conformance=str(SOURCE.parents[1] / "conformance"))
    assert loaded(code) == (["fail incomplete pass untrusted"], set())


def test_what_is_loaded_is_seen() -> None:
    """The control: a task is read by the type that computes its costs."""
    base = SOURCE.parents[1] / "conformance" / "pools" / "round.zip"
    code = f"""
import sys
from grievance.audit.run import audit_pool
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store
store = open_store({str(base)!r})
(name,) = store.names("rounds")
print(audit_pool(store).verdict, read_task(store, name).campaign)
import grievance.aggregator, grievance.release
"""
    assert loaded(code) == (["untrusted trial"], {"privacy", "aggregator", "release"})


def test_the_arithmetic_of_costs_needs_nothing() -> None:
    for name, allowed in PURE.items():
        heads = {module.split(".")[0] for module in imported(SOURCE / "audit" / name)}
        assert heads <= allowed


def test_the_command_imports_no_releasing_code_either() -> None:
    modules = imported(SOURCE / "cli" / "auditor.py")
    assert not any(re.search(r"grievance\.(privacy|release|aggregator|home)", m) for m in modules)


def test_names_and_files_stay_readable() -> None:
    for path in (SOURCE / "audit").glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 400, path.name
    for rule in RULES.values():
        assert re.fullmatch(r"[a-z]+\.[a-z-]+", rule.name)
        assert rule.holds[0].islower() and not rule.holds.endswith(".")
        assert rule.advice[0].isupper() and rule.advice.endswith(".")


def test_every_rule_that_is_used_exists_and_every_rule_is_used() -> None:
    text = "".join(
        path.read_text("utf-8")
        for path in (SOURCE / "audit").glob("*.py")
        if path.name != "rules.py"
    )
    for name in RULES:
        assert f'"{name}"' in text, name


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    pages = {path.stem: path.read_text("utf-8") for path in PAGES.glob("*.md")}
    index = pages.pop("README")
    assert set(pages) == set(RULES)
    for name, page in pages.items():
        assert page.startswith(f"# {name}\n"), name
        assert RULES[name].holds in page.lower() or RULES[name].holds in page, name
        for part in ("## What is checked", "## Why", "## What a finding means", "## By hand"):
            assert part in page, (name, part)
        assert f"]({name}.md)" in index, name
        assert 8 <= len(page.splitlines()) <= 60, name

"""The audit stands alone: its imports, and a page for every rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import grievance
from grievance.audit import RULES

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
PURE = {"accounting.py": {"__future__", "math", "fractions", "functools", "typing", "collections"}}


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

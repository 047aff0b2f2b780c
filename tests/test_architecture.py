"""Dependencies point one way: the packages, from left to right, and what each may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import grievance

pytestmark = pytest.mark.lint

SOURCE = Path(grievance.__file__).parent
TIERS = [
    {"errors", "codes", "secret", "wire", "cost", "names", "failpoints", "markup", "extras"},
    {"vdaf", "crypto", "privacy"},
    {"kernels"},  # `vdaf.check --fast` finds it by name, at run time
    {"plan"},
    {"task"},
    {"client"},
    {"pool", "tables"},
    {"ledger", "home"},
    {"backup", "history"},
    {"pipelines"},
    {"aggregator", "release", "audit"},
    {"exposure", "empirical", "planner", "relay"},
    {"demo", "testing"},
    {"cli"},
]
RANK = {name: rank for rank, tier in enumerate(TIERS) for name in tier}
# Inside the first tier the order is: errors, then the rest; cost is errors' only guest, for types.
SAME_TIER = {
    (name, "errors") for name in ("secret", "wire", "cost", "names", "failpoints", "extras")
}
HEAVY = {
    "opendp": {"privacy"},
    "numba": {"kernels"},
    "pyarrow": {"client", "tables", "pool", "pipelines", "aggregator", "release"},
    "typer": {"cli"},
    "rich": {"cli"},
    "fsspec": {"pool"},
}


def package_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules a file imports, and whether only for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "grievance":
                names = [f"grievance.{alias.name}" for alias in node.names]
        found += [(name, id(node) in typing_only) for name in names]
    return found


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def test_the_table_for_contributors_is_this_one() -> None:
    text = (SOURCE.parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.split("<!-- tiers -->\n```text\n")[1].split("```")[0]
    assert [set(line.split()) for line in block.splitlines()] == TIERS


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_leftwards(path: Path) -> None:
    own = package_of(path)
    assert own in RANK, f"{own} has no place in the order of packages"
    for module, for_types in imports(path):
        head, _, rest = module.partition(".")
        if head == "grievance" and rest:
            other = rest.split(".")[0]
            if other == own or (own == "errors" and for_types):
                continue
            assert RANK[other] < RANK[own] or (own, other) in SAME_TIER, (
                f"{own} must not import {other}"
            )
        elif head in HEAVY:
            assert own in HEAVY[head], f"{own} must not import {head}"


def test_the_ledger_needs_neither_numpy_nor_opendp() -> None:
    code = (
        "import sys, grievance.ledger; "
        "print(sorted({'numpy', 'opendp', 'pyarrow', 'numba', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def loaded(code: str) -> set[str]:
    """The packages of ours that are in memory after `code`, in a process of its own."""
    code += "; import sys; print(*(m for m in sys.modules if m.startswith('grievance.')))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {module.split(".")[1] for module in out.stdout.split()}


def test_a_workers_device_loads_no_table_intake() -> None:
    allowed = {name for tier in TIERS[: TIERS.index({"client"}) + 1] for name in tier}
    assert "client" in loaded("import grievance.client") <= allowed - {"kernels", "privacy"}
    assert "tables" in loaded("import grievance.tables")


def test_importing_grievance_is_light() -> None:
    code = "import sys, grievance; print(sorted(m for m in sys.modules if 'grievance' in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['grievance']"


def test_every_public_name_is_there() -> None:
    for name in grievance.__all__:
        assert getattr(grievance, name) is not None
    assert set(grievance.__all__) == set(dir(grievance))


def test_nothing_that_guards_uses_assert() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path


def test_files_can_be_read_in_one_sitting() -> None:
    long = {str(p): n for p in FILES if (n := len(p.read_text("utf-8").splitlines())) > 450}
    assert not long

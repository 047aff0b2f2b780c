"""The site holds together: links, navigation, the reference of every exported name."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_world import DOCS, PROJECT, pages

pytestmark = pytest.mark.lint

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PUBLIC = ("", ".plan", ".planner", ".client", ".release", ".privacy", ".vdaf", ".audit")


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads)
    return {re.sub(r"[\s-]+", "-", head) for head in plain}


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), target
        # mkdocs can only follow links inside docs.
        assert page.name == "README.md" or DOCS in file.parents, target
        if anchor:
            assert anchor in anchors(file), (target, anchor)


def test_navigation_names_pages_that_exist_and_leaves_none_out() -> None:
    text = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    named = set(re.findall(r"[\w/.-]+\.md", text))
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert named <= there
    left = {name for name in there - named if not name.startswith("audit/")}
    assert not left, f"mkdocs.yml does not name {left}"


def test_the_reference_holds_every_exported_name() -> None:
    """A function called like its module hides from the generator and needs a line of its own."""
    text = (DOCS / "developer/api.md").read_text(encoding="utf-8")
    lines = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    for package in PUBLIC:
        name = f"grievance{package}"
        assert name in lines
        module = importlib.import_module(name)
        folder = Path(str(module.__file__)).parent
        for exported in module.__all__:
            if (folder / f"{exported}.py").exists() and package:
                assert f"{name}.{exported}.{exported}" in lines


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("mkdocstrings_handlers")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "site/developer/api/index.html").read_text(encoding="utf-8")
    for name in ("grievance.client.seal.seal", "grievance.load_task", "grievance.release.Figure"):
        assert f'id="{name}"' in page

"""A noisy share comes from drawing noise and from nothing else; what is read cannot be signed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import grievance
from federation import Federation
from grievance.aggregator import noise
from grievance.aggregator.noise import NoisyAggregateShare
from grievance.pool.noisy import parse_noisy_share
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(grievance.__file__).parent
NAME = NoisyAggregateShare.__name__


def makers(name: str, text: str) -> Iterator[str]:
    """Every way a file could come to a noisy share: a call, or the class handed on as a value."""
    for node in ast.walk(ast.parse(text)):
        spelled = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
        if spelled == NAME:
            yield name


@pytest.mark.lint
def test_one_place_makes_noisy_shares() -> None:
    found = [
        maker
        for path in SOURCE.rglob("*.py")
        for maker in makers(str(path.relative_to(SOURCE)), path.read_text("utf-8"))
    ]
    assert found == ["aggregator/releases.py"]


@pytest.mark.lint
@pytest.mark.parametrize(
    "text", [f"x = {NAME}(t, r, a, s, n)", f"y = noise.{NAME}.__new__(c)", f"make = {NAME}"]
)
def test_another_place_would_be_seen(text: str) -> None:
    assert list(makers("here", text)) == ["here"]


def test_making_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_coalition().task
    names = tuple(task.allocations)
    first, second = (
        NoisyAggregateShare(task, "0" * 16, "north", task.vdaf.agg_init(), names) for _ in range(2)
    )
    assert first._values != second._values
    monkeypatch.setattr(noise.privacy, "draw", lambda *_: pytest.fail("drawn"))
    with pytest.raises(pytest.fail.Exception):
        NoisyAggregateShare(task, "0" * 16, "north", task.vdaf.agg_init(), names)


def test_what_was_read_has_no_signature_to_give(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    release = federation.release()
    path = federation.paths.noisy(release.release_id, "north")
    read = parse_noisy_share(federation.file(path).read_bytes(), federation.task, 0)
    assert not isinstance(read, NoisyAggregateShare)
    assert not hasattr(read, "sign")
    assert not {m for m in vars(type(read)) if m.startswith("sign")}

"""Count code: lines without blanks, comments and docstrings, of files and of functions in them."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file."""

    text: str

    @classmethod
    def read(cls, path: Path) -> Source:
        return cls(path.read_text(encoding="utf-8"))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def code(self) -> frozenset[int]:
        """The numbers of all lines of code."""
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in _NO_CODE:
                lines.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            # Docstrings, and the strings that stand below a constant to explain it.
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
        return frozenset(lines)

    @cached_property
    def functions(self) -> tuple[tuple[int, int, str], ...]:
        """First line, last line and qualified name of every function, decorators included."""
        found: list[tuple[int, int, str]] = []

        def walk(node: ast.AST, outer: tuple[str, ...]) -> None:
            for child in ast.iter_child_nodes(node):
                inner = outer
                if isinstance(child, _Function | ast.ClassDef):
                    inner = (*outer, child.name)
                if isinstance(child, _Function):
                    first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                    found.append((first, child.end_lineno or first, ".".join(inner)))
                walk(child, inner)

        walk(self.tree, ())
        return tuple(sorted(found))

    def _of(self, first_lines: Iterable[int]) -> list[tuple[int, int, str]]:
        """The innermost functions around lines; a lambda that is in none stands for itself."""
        result = []
        for line in first_lines:
            around = [f for f in self.functions if f[0] <= line <= f[1]]
            result.append(max(around, default=(line, line, "a lambda")))
        return result

    def names_of(self, first_lines: Iterable[int]) -> list[str]:
        """The names of the functions that begin at these lines, in the file's order."""
        return list(dict.fromkeys(name for _, _, name in sorted(self._of(first_lines))))

    def lines_of(self, first_lines: Iterable[int]) -> int:
        """How many lines of code these functions have."""
        wanted: set[int] = set()
        for first, last, _ in self._of(first_lines):
            wanted.update(range(first, last + 1))
        return len(self.code & wanted)

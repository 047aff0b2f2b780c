"""From what pydantic and the plan's own rules find to one PlanError people can act on.

A rule that fails raises `problem(code, message, key)` inside a validator; pydantic adds
the place, and `plan_error` turns the first few findings into words: file, key, what is
wrong, what to do. No message shows more of a file than a short, escaped piece.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import ErrorDetails, PydanticCustomError

from grievance.errors import PlanError
from grievance.plan.labels import shown
from grievance.plan.limits import MAX_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError

# Tags of pydantic's unions, which stand in its paths but not in the file.
_TAGS = {
    "<choice>": "a field with one choice",
    "<multi>": "a field with several choices",
    "<number>": "a field with a number",
    "<count>": "a count",
    "<mean>": "a mean",
    "<distribution>": "a distribution",
}
_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table of keys and values",
    "int_type": "must be a whole number",
    "mapping_type": "must be a table of keys and values",
    "missing": "is missing; add it",
    "model_type": "must be a table of keys and values",
    "string_type": "must be a text in quotes",
    "string_unicode": "is not valid text",
    "union_tag_not_found": "must be a table of keys and values",
}


@dataclass(frozen=True)
class Problem:
    """One finding: `where` is the path of keys inside the file."""

    where: tuple[str, ...]
    code: str
    message: str


def problem(code: str, message: str, *keys: str) -> PydanticCustomError:
    """Return the exception by which a validator reports a broken rule at `keys` below it."""
    return PydanticCustomError(code, "{message}", {"message": message, "keys": list(keys)})


def nearest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "x"?' or a list of what is known."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f'; did you mean "{close[0]}"?'
    listed = ", ".join(words[:8]) + (", ..." if len(words) > 8 else "")
    return f"; known are: {listed}" if words else ""


def _translate(error: ErrorDetails, known_keys: dict[str, tuple[str, ...]]) -> Problem:
    loc = [part for part in error["loc"] if part != "[key]"]
    tag = next((str(part) for part in loc if part in _TAGS), "")
    where = [part for part in loc if isinstance(part, str) and part not in _TAGS]
    kind, context = error["type"], error.get("ctx", {})
    if kind.startswith("plan."):
        where += [str(key) for key in context.get("keys", [])]
        return Problem(tuple(where), kind, str(context.get("message", "")))
    if kind == "extra_forbidden":
        section = tag or (where[0] if len(where) > 1 else "")
        of = _TAGS.get(tag, f"[{section}]" if section else "a plan")
        hint = nearest(where[-1], known_keys.get(section, ()))
        return Problem(tuple(where), "plan.version", f"is not a key of {of}{hint}")
    message = _WORDS.get(kind, "has a value of the wrong kind")
    entry = next((part for part in loc if isinstance(part, int)), None)
    if entry is not None:
        message = f"entry {entry + 1} {message}"
    return Problem(tuple(where), "plan.syntax", message)


def _path(where: Sequence[str], source: str) -> str:
    path = ".".join(
        part if part.isprintable() and len(part) <= 60 else shown(part) for part in where
    )
    return f"{source}: {path}" if path else source


def plan_error(problems: Sequence[Problem], source: str) -> PlanError:
    """Return one PlanError that tells the first few problems, the first one's code and place."""
    first, *others = problems
    lines = [first.message]
    lines += [f"{_path(p.where, source)}: {p.message}" for p in others[: MAX_PROBLEMS - 1]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"({len(problems) - MAX_PROBLEMS} more)")
    return PlanError("\n".join(lines), code=first.code, where=_path(first.where, source))


def from_pydantic(
    error: ValidationError, source: str, known_keys: dict[str, tuple[str, ...]]
) -> PlanError:
    """Translate pydantic's findings. `known_keys` has the keys of each kind of table."""
    details = error.errors(include_url=False, include_input=False)
    return plan_error([_translate(detail, known_keys) for detail in details], source)

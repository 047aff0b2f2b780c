"""From bytes to a `Plan` and back. Whatever the bytes are, the answer is a plan or a PlanError."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from grievance.errors import PlanError
from grievance.plan import limits
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import ChoiceField, MultiField, NumberField
from grievance.plan.model import Plan, Privacy
from grievance.plan.problems import from_pydantic
from grievance.plan.statistics import CountStatistic, DistributionStatistic, MeanStatistic
from grievance.plan.toml_words import explain

if TYPE_CHECKING:
    from os import PathLike

    from grievance.plan.fields import Field
    from grievance.plan.statistics import Statistic

VERSION = 1
"""Version of the JSON form."""

_MAX_KEY_PARTS = 20
_SYNTAX_HINT = "mend it near that place; `grievance plan new` writes a plan to start from"
# Strings and comments, each to the end of its line at most, so that one pass is enough.
_QUOTED = re.compile(r"""("(?:[^"\\\n]|\\[^\n])*+"?|'[^'\n]*+'?)|#[^\n]*+""")
_BETWEEN_KEYS = re.compile(r"[,=\[\]{}\n]")

_TABLES: dict[str, type[BaseModel]] = {
    "": Plan,
    "privacy": Privacy,
    **{f"<{model.kind}>": model for model in (ChoiceField, MultiField, NumberField)},
    **{f"<{m.kind}>": m for m in (CountStatistic, MeanStatistic, DistributionStatistic)},
}
_KNOWN_KEYS = {name: tuple(model.model_fields) for name, model in _TABLES.items()}


def _build(raw: object, source: str, *, json: bool) -> Plan:
    try:
        return Plan.model_validate(raw, context={"json": json, "source": source})
    except ValidationError as error:
        raise from_pydantic(error, source, _KNOWN_KEYS) from None


def read_file(path: str | PathLike[str]) -> Plan:
    """Read a plan file; errors name it by its last part. Raises PlanError."""
    return parse_toml(read_bytes(path), Path(path).name)


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Read a plan file's bytes, to be parsed, shown and signed as they are. Raises PlanError."""
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            return file.read(limits.MAX_PLAN_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise PlanError(
            f"cannot be read: {reason or 'not a path'}",
            code="plan.file",
            where=name,
            hint="`grievance plan new` writes one to start from",
        ) from None


def parse_toml(text: str | bytes, source: str) -> Plan:
    """Read a plan as people write it: UTF-8, with or without a byte order mark, LF or CRLF.

    Raises PlanError with a `where` of the form "plan.toml: fields.region.choices".
    """
    if len(text) > limits.MAX_PLAN_SIZE:
        raise PlanError(
            f"is larger than {limits.MAX_PLAN_SIZE // 1024} KiB",
            code="plan.syntax",
            where=source,
            hint="no plan needs as much; `grievance plan new` writes one to start from",
        )
    try:
        words = text if isinstance(text, str) else bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise PlanError(
            "is not UTF-8 text; save it as UTF-8", code="plan.syntax", where=source
        ) from None
    _check_shape(words, source)
    try:
        raw = tomllib.loads(words.removeprefix("\ufeff"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        why = explain(error, words.removeprefix("\ufeff"))
        raise PlanError(
            f"is not TOML: {why}", code="plan.syntax", where=source, hint=_SYNTAX_HINT
        ) from None
    except RecursionError:
        raise PlanError(
            "is nested too deeply", code="plan.syntax", where=source, hint=_SYNTAX_HINT
        ) from None
    except (ValueError, ArithmeticError):
        # An integer of thousands of digits, an exponent beyond Decimal's, or a surrogate.
        raise PlanError(
            "holds a number or a text that cannot be read",
            code="plan.syntax",
            where=source,
            hint=_SYNTAX_HINT,
        ) from None
    return _build(raw, source, json=False)


def _check_shape(words: str, source: str) -> None:
    """Refuse what would keep the TOML parser busy: its time grows as the square of a key's parts.

    Texts over several lines are refused with it, since strings are told from keys by line;
    no text of a plan may hold a line break.
    """
    try:
        check_keys(words)
    except ValueError as error:
        raise PlanError(str(error), code="plan.syntax", where=source) from None


def check_keys(words: str) -> None:
    """Raise ValueError for TOML that holds texts over several lines or keys of many parts."""
    if '"""' in words or "'''" in words:
        raise ValueError(
            "has a text in three quotes; write texts on one line, in one pair of quotes"
        )
    bare = _QUOTED.sub(lambda match: "q" if match[1] else "", words)
    if any(piece.count(".") > _MAX_KEY_PARTS for piece in _BETWEEN_KEYS.split(bare)):
        raise ValueError("has a key of too many parts")


def _by_name(value: object, what: str, source: str) -> dict[str, object]:
    entries: dict[str, object] = {}
    listed: list[object] = value if isinstance(value, list) else [None]
    for entry in listed:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(name, str) or name in entries:
            raise PlanError(
                "must be a list of objects, each with its own name",
                code="plan.syntax",
                where=f"{source}: {what}",
            )
        entries[name] = {key: entry[key] for key in entry if key not in ("name", "kind")}
    return entries


def parse_json(value: object, source: str) -> Plan:
    """Read the JSON form. Strict: `write_json` of the result is `value` again. Raises PlanError."""
    if not isinstance(value, dict):
        raise PlanError("must be an object", code="plan.syntax", where=source)
    version = value.get("version")
    if type(version) is not int or version != VERSION:
        raise PlanError(
            f"is not version {VERSION} of a plan, the one this program reads",
            code="plan.version",
            where=f"{source}: version",
            hint="update grievance",
        )
    raw = {key: value[key] for key in value if key != "version"}
    for what in ("fields", "statistics"):
        raw[what] = _by_name(raw.get(what), what, source)
    plan = _build(raw, source, json=True)
    if write_json(plan) != value:
        raise PlanError(
            "is not written in its one canonical form", code="plan.syntax", where=source
        )
    return plan


def _field_json(name: str, field: Field) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": name,
        "kind": field.kind,
        "question": field.question,
        "help": field.help,
        "required": field.required,
    }
    if isinstance(field, NumberField):
        entry |= {
            "unit": field.unit,
            "minimum": decimal_text(field.minimum),
            "maximum": decimal_text(field.maximum),
            "step": decimal_text(field.step),
            "bands": [decimal_text(edge) for edge in field.bands],
        }
    else:
        entry["choices"] = list(field.choices)
    if isinstance(field, MultiField):
        entry["pick"] = field.pick
    return entry


def _statistic_json(name: str, statistic: Statistic) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": name,
        "kind": statistic.kind,
        "where": {field: list(labels) for field, labels in statistic.where.items()},
        "merge": {
            field: {group: list(labels) for group, labels in groups.items()}
            for field, groups in statistic.merge.items()
        },
        "importance": decimal_text(statistic.importance),
    }
    if isinstance(statistic, CountStatistic):
        entry["count"] = list(statistic.count)
    else:
        entry[statistic.kind] = statistic.number
        entry["by"] = list(statistic.by)
    return entry


def _plain(value: object) -> object:
    return decimal_text(value) if isinstance(value, Fraction) else value


def write_json(plan: Plan) -> dict[str, object]:
    """Write the JSON form of a plan; see `Plan.to_json`."""
    return {
        "version": VERSION,
        "title": plan.title,
        "campaign": plan.campaign,
        "opens": plan.opens.isoformat(),
        "closes": plan.closes.isoformat(),
        "envelope": plan.envelope,
        "shared_trustees": plan.shared_trustees,
        "privacy": {key: _plain(value) for key, value in plan.privacy},
        "fields": [_field_json(name, field) for name, field in plan.fields.items()],
        "statistics": [_statistic_json(name, s) for name, s in plan.statistics.items()],
        "witnesses": dict(plan.witnesses),
        "witness_quorum": plan.witness_quorum,
    }

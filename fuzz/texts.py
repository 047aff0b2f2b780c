"""Targets: what people write and tools export, and what an organisation keeps for itself."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from fuzz.contract import Finding, Target, same
from fuzz.world import as_file, as_json, signing_key, world
from grievance.audit.inspection import Inspection
from grievance.audit.published import check_published
from grievance.backup.owner import statement
from grievance.cli.auditor import _digest
from grievance.cli.worker import _read_answers
from grievance.client import parse_replies, questions
from grievance.client.text import parse_number
from grievance.cost import Cost, parse_fraction
from grievance.crypto import keys
from grievance.crypto.documents import b64decode, b64encode, canonical, parse_canonical
from grievance.crypto.fingerprint import matches, normalise
from grievance.errors import GrievanceError, WireError
from grievance.home import Home
from grievance.names import check_name, check_pool_path, is_name
from grievance.plan import Plan, load_plan
from grievance.planner import read_groups, read_want
from grievance.pool.layout import (
    is_backup_set_id,
    is_release_id,
    is_request_id,
    is_round_id,
    parse_archive_name,
    parse_batch_name,
)
from grievance.pool.rounds import plan_text
from grievance.release import Release
from grievance.release.beside import MadeFrom
from grievance.tables.cells import RowReader
from grievance.tables.mapping import TableMapping, load_mapping
from grievance.tables.table import open_table
from grievance.task import TrustAnchor
from grievance.task.backup import is_day
from grievance.vdaf.check import check_file

# Plans, mappings, tables, answers.


def _plan(data: bytes) -> None:
    text = plan_text(data, "plan.toml")
    plan = load_plan(as_file(data, "plan.toml"))
    if Plan.from_toml(text) != plan:
        raise Finding("text and file are read as different plans")
    if Plan.from_json(plan.to_json()) != plan:
        raise Finding("a plan is read back from its JSON as another plan")


def _plan_json(data: bytes) -> None:
    value = parse_canonical(as_json(data))
    same(canonical(Plan.from_json(value).to_json()), canonical(value))


def _mapping(data: bytes) -> None:
    mapping = load_mapping(as_file(data, "mapping.toml"), world().task.plan)
    RowReader(world().task.plan, mapping)


def _csv(data: bytes) -> None:
    plan = world().task.plan
    _rows(data, TableMapping.from_toml('[fields.problems]\nseparator = "|"\n', plan))


def _groups_csv(data: bytes) -> None:
    read_groups(as_file(data, "groups.csv"))


def _groups_toml(data: bytes) -> None:
    read_groups(as_file(data, "groups.toml"))


def _want(data: bytes) -> None:
    read_want(data.decode("utf-8", "replace"), world().task.plan)


def _rows(data: bytes, mapping: TableMapping) -> None:
    plan = world().task.plan
    if data[:4] == b"PAR1":  # a table of the caller's own: Arrow reads it
        raise WireError("not text")
    table = open_table(as_file(data, "table.csv"), mapping)
    reader = RowReader(plan, mapping, table.kinds)
    table.require(reader.columns, mapping.source)
    for _, cells in table.rows(reader.columns):
        if not isinstance(cells, str):
            with contextlib.suppress(GrievanceError):
                world().task.layout.answers(reader.read(cells).answers)


MAPPED = """\
delimiter = ";"
encoding = "cp1252"
header_rows = 2
person = 1
only = { "Q1" = ["1", "2"] }
[fields.region]
column = "Q1"
other = "Wales"
values = { "1" = "London", "2" = "Wales" }
[fields.problems]
columns = { "overtime" = "Q2", "targets" = "Q3" }
[fields.hours]
column = "Q4"
decimal = ","
round = true
clip = true
"""


def _mapped_csv(data: bytes) -> None:
    _rows(data, TableMapping.from_toml(MAPPED, world().task.plan))


def _replies(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise WireError("not replies")
    plan = world().task.plan
    answers, problems = parse_replies(plan, value)
    if not problems:
        world().task.layout.answers(answers)
    for question in questions(plan):
        with contextlib.suppress(GrievanceError):
            question.parse(next(iter(value.values()), ""))


def _answers(data: bytes) -> None:
    task = world().task
    task.layout.encode(task.layout.answers(_read_answers(as_file(data, "answers.json"))))


# Short texts.


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _fingerprint(data: bytes) -> None:
    text = normalise(_text(data))
    same(normalise(text), text)
    matches(text, bytes(32))
    TrustAnchor.from_texts([text]).check(world().task)


def _names(data: bytes) -> None:
    text = _text(data)
    for known in (is_name, is_round_id, is_release_id, is_backup_set_id, is_request_id):
        known(text)
    parse_archive_name(text)
    parse_batch_name(text)
    is_day(text)
    check_name(text, "the name")
    check_pool_path(text)


def _pool_path(data: bytes) -> None:
    """A path that is taken stays below the folder it is joined to."""
    path = _text(data)
    check_pool_path(path)
    root = Path("/pool")
    if root not in (root / path).parents or ".." in Path(path).parts:
        raise Finding("a path leads out of the pool")


def _receipt(data: bytes) -> None:
    text = _text(data)
    if "\0" not in text:
        same(len(_digest(text)), 32)


def _cost(data: bytes) -> None:
    value = Cost.from_json(parse_canonical(as_json(data)))
    same(canonical(value.to_json()), as_json(data))
    str(value)


def _fraction(data: bytes) -> None:
    text = _text(data)
    same(str(parse_fraction(text)), text)


def _number(data: bytes) -> None:
    for sign in (".", ","):
        number = parse_number(_text(data), sign)
        if number is not None and not number.is_finite():
            raise Finding("a number that is none")


def _base64(data: bytes) -> None:
    text = _text(data)
    same(b64encode(b64decode(text)), text)


def _canonical(data: bytes) -> None:
    same(canonical(parse_canonical(data)), data)


# Published results.


def _release(data: bytes) -> None:
    path = as_file(data, "release.json")
    # No round of a pool fits, but the audit reads as far as that.
    check_published(Inspection(None), path, ())  # type: ignore[arg-type]
    release = Release.load(path, world().task)
    if json.loads(data)["library"] == release.to_json()["library"]:
        same(release.to_bytes(), data)


def _release_value(data: bytes) -> None:
    _release(as_json(data))


def _made_from(data: bytes) -> None:
    same(MadeFrom.parse(data).to_bytes(), data)


# Files of one's own, which come back from a backup or from a damaged disk.


def _key_file(name: str) -> Target:
    def run(data: bytes) -> None:
        getattr(keys, f"read_{name}")(as_file(data, name))

    return Target(f"key-file-{name.replace('_', '-')}", run)


def _home(data: bytes) -> None:
    """Each of the small files of a home holds these bytes."""
    path = as_file(data, "organisation.json")
    for name in ("admissions", "backup"):
        as_file(data, f"{name}.json")
    keys_there = path.parent / "identity.pem"
    if not keys_there.exists():
        keys.write_identity(keys_there, signing_key("north"))
    settings = {"name": "north", "display_name": "North", "pool": str(path.parent)}
    home = Home(path.parent, settings, None)
    steps: Any = (
        lambda: Home.open(path.parent),
        lambda: home.waiting_admissions("tiny-00000001"),
        lambda: statement(home),
    )
    refused = None
    for step in steps:
        try:
            step()
        except GrievanceError as error:
            refused = error
    if refused is not None:
        raise refused


def _known(data: bytes) -> None:
    """The keys that a home has compared."""
    folder = as_file(data, "known.json").parent
    Home(folder, {"name": "north", "display_name": "North", "pool": str(folder)}, None).known()


def _vector(data: bytes) -> None:
    outcome = check_file(as_file(data, "Prio3BlockCountVec_0.json"), "vector")
    if outcome.status != "pass":
        raise WireError(outcome.detail[:200])


TARGETS = [
    Target("plan", _plan, "toml"),
    Target("plan-json", _plan_json, "json"),
    Target("mapping", _mapping, "toml"),
    Target("csv", _csv, "toml"),
    Target("csv-mapped", _mapped_csv, "toml"),
    Target("groups-csv", _groups_csv),
    Target("groups-toml", _groups_toml, "toml"),
    Target("want", _want),
    Target("replies", _replies, "json"),
    Target("answers", _answers, "json"),
    Target("fingerprint", _fingerprint),
    Target("names", _names),
    Target("pool-path", _pool_path),
    Target("receipt", _receipt),
    Target("cost", _cost, "json"),
    Target("fraction", _fraction),
    Target("number", _number),
    Target("base64", _base64),
    Target("canonical-json", _canonical, "json"),
    Target("release", _release),
    Target("made-from", _made_from, "json"),
    Target("release-value", _release_value, "json"),
    *(_key_file(name) for name in ("identity", "hpke_key", "verify_key", "state_key")),
    Target("home", _home, "json"),
    Target("home-known", _known, "json"),
    Target("vdaf-vector", _vector, "json"),
]

"""Parts of a task that have one value, by the plan or yet, are read strictly, by all readers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from grievance.audit.terms import read_terms
from grievance.crypto.documents import canonical
from grievance.errors import TaskError
from grievance.task import parse_task

if TYPE_CHECKING:
    from grievance.testing import Coalition

Reader = Callable[[bytes], object]
READERS: list[Reader] = [parse_task, read_terms]
TICKED = "problems_by_region"


def body_of(coalition: Coalition) -> dict[str, Any]:
    return json.loads(coalition.task.data)  # type: ignore[no-any-return]


@pytest.mark.parametrize("read", READERS)
def test_what_there_is_stands_for_what_this_version_does(
    coalition: Coalition, read: Reader
) -> None:
    body = body_of(coalition)
    assert (body["issuers"], body["translations"]) == ([], {})
    stated = body["privacy"]["statistics"]
    assert {name for name in stated if "ticks" in stated[name]} == {TICKED}
    assert stated[TICKED]["ticks"] == {"a": 32, "t": 64}
    read(coalition.task.data)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("issuers", [{"name": "nurses"}]),
        ("issuers", [[]]),
        ("issuers", {}),
        ("issuers", None),
        ("issuers", ""),
        ("issuers", False),
        ("translations", {"cy": {}}),
        ("translations", []),
        ("translations", None),
        ("translations", 0),
    ],
)
def test_another_value_is_refused_in_plain_words(
    coalition: Coalition, read: Reader, key: str, value: object
) -> None:
    body = body_of(coalition) | {key: value}
    with pytest.raises(TaskError, match=f"task.{key} ") as caught:
        read(canonical(body))
    assert caught.value.code == "task.field"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "ticks",
    [
        {"a": 31, "t": 64},
        {"a": 32, "t": 63},
        {"a": 0, "t": 64},
        {"a": 32, "t": 0},
        {"a": False, "t": 64},
        {"a": 32, "t": True},
        {"a": "32", "t": "64"},
        {"a": 32},
        {"a": 32, "q": 64, "t": 64},
        [32, 64],
        None,
        64,
    ],
)
def test_other_ticks_are_refused(coalition: Coalition, read: Reader, ticks: object) -> None:
    body = body_of(coalition)
    body["privacy"]["statistics"][TICKED]["ticks"] = ticks
    named = rf"task\.privacy\.statistics\.{TICKED}\.ticks" if read is read_terms else "task.privacy"
    with pytest.raises(TaskError, match=named) as caught:
        read(canonical(body))
    assert caught.value.code == "task.field"


@pytest.mark.parametrize("read", READERS)
def test_ticks_stand_where_ticks_are_counted_and_nowhere_else(
    coalition: Coalition, read: Reader
) -> None:
    body = body_of(coalition)
    for name in body["privacy"]["statistics"]:
        changed = copy.deepcopy(body)
        given = changed["privacy"]["statistics"][name]
        if name == TICKED:
            del given["ticks"]
        else:
            given["ticks"] = {"a": 32, "t": 64}
        with pytest.raises(TaskError) as caught:
            read(canonical(changed))
        assert caught.value.code == "task.field"
    for key in ("issuers", "translations"):
        changed = copy.deepcopy(body)
        del changed[key]
        with pytest.raises(TaskError, match=f"lacks {key}"):
            read(canonical(changed))

"""Parts of a task that have only one value yet: issuers, translations.

They are written, signed and read strictly from the start, each with the value that stands for
what this version does. A task that says anything else asks for what this version cannot do,
and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import canonical

if TYPE_CHECKING:
    from grievance.crypto.strict import StrictObject


def later_fields() -> dict[str, Any]:
    """The fields of a task itself that have one value yet: no issuer, no other language."""
    return {"issuers": [], "translations": {}}


def check_later(fields: StrictObject) -> None:
    """Refuse a task with another value in one of these parts. Raises TaskError `task.field`."""
    why = {
        "issuers": "names issuers of tokens, which this version does not know: it must be []",
        "translations": "has translations, which this version does not know: it must be {}",
    }
    for key, value in later_fields().items():
        if canonical(fields.raw(key)) != canonical(value):
            fields.refuse(why[key], key)

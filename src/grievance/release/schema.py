"""The JSON schema of release.json, for readers in any language."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

NAME = "release.schema.json"


def schema_text() -> str:
    """Return the schema as it is shipped, for a file of its own."""
    return files("grievance.release").joinpath(NAME).read_text("utf-8")


def release_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) that every release.json of this version follows.

    Its description has the rules of versions. It says what a file looks like; that the file is
    true is for `Release.load`, which computes it again, and for an audit.
    """
    found: dict[str, Any] = json.loads(schema_text())
    return found

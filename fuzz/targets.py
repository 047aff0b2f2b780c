"""All targets by name. To add one: docs/fuzzing.md."""

from __future__ import annotations

from fuzz import binary, documents, texts

TARGETS = {target.name: target for target in (*documents.TARGETS, *binary.TARGETS, *texts.TARGETS)}

"""A published release.json against the pool: all of it, key by key.

The audit writes down the whole file that the pool calls for (`grievance.audit.expected`) and
compares. Two things are not the pool's to say. `library` names the program that wrote the file.
And the words of `privacy.statement` are that program's: where they are not those of this version,
and another version is named, they are reported as not checked, and the audit does not pass.
"""

from __future__ import annotations

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grievance.audit.expected import FORMAT, expected_release
from grievance.audit.inspection import MALFORMED
from grievance.crypto.documents import canonical, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.releases import AuditedRelease

    Place = tuple[str | int, ...]

FILE_NAME: Final = "release.json"
LIMIT: Final = 64 << 20
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]{0,63}")
_NAMED: Final = 4
_MOST_CHARACTERS: Final = 60
_WORDS: Final[Mapping[str, str]] = {
    "accepted": "it is over another number of reports",
    "accepted_root": "it is over another set of reports",
    "noisy_shares": "it names other noisy shares",
    "waived": "it names other witnesses that were not waited for",
}


def check_published(
    inspection: Inspection, place: str | Path, releases: Sequence[AuditedRelease]
) -> None:
    """Check a release.json that was named, not what stands beside it.

    Nobody signs such a file; that it is not what the pool says is a fault of whoever published it.
    """
    path = Path(place)
    where = "/".join(path.parts[-2:])  # findings travel; where it lies on this machine does not
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        inspection.uncertain("file.read", where, f"cannot be read ({error.strerror})")
        return
    check_published_bytes(inspection, where, data, releases, inspection.differs)


def check_published_bytes(
    inspection: Inspection,
    where: str,
    data: bytes,
    releases: Sequence[AuditedRelease],
    tell: Callable[[str, str, str], None],
) -> None:
    """Check the bytes of a release.json: see the top of this module.

    `tell(rule, where, message)` is called for each thing in which it is not what the pool says.
    """
    try:
        value = parse_canonical(data, LIMIT)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            tell("file.form", where, "it is no release.json")
            return
        inside = hashlib.sha256(canonical(value.get("task"))).hexdigest()
    except MALFORMED:
        tell("file.form", where, "it is no release.json")
        return
    about = (value.get("task_digest"), value.get("round"), value.get("release"))
    found = [r for r in releases if about == _about(r)]
    if not found or inside != value.get("task_digest"):
        tell("release.sum", where, "it is of no release in this pool")
        return
    release = found[0]
    if release.totals is None:
        inspection.waiting("release.sum", where, "its noisy shares are not all here")
        return
    expected = _expected(inspection, where, release, value)
    for problem in _problems(expected, value):
        tell("release.sum", where, problem)


def _about(release: AuditedRelease) -> tuple[str, str, str]:
    task = release.opened.task
    return task.digest.hex(), task.round_id, release.release_id


def _expected(
    inspection: Inspection, where: str, release: AuditedRelease, value: Mapping[str, Any]
) -> dict[str, Any]:
    """What the file must be, given its own words where nobody here can tell."""
    library, privacy = value.get("library"), value.get("privacy")
    named = isinstance(library, str) and _VERSION.fullmatch(library) is not None
    expected = expected_release(
        release,
        release.totals or {},
        library=str(library) if named else "a version",
        suspect=value.get("suspect"),
    )
    words = privacy.get("statement") if isinstance(privacy, dict) else None
    if named and library != own_version() and _is_text(words):
        ours = expected["privacy"]
        if words != ours["statement"]:
            ours["statement"] = words
            message = (
                f"privacy.statement was not checked: the file says that version {library} wrote "
                f"it, and version {own_version()} says it in other words; export the release "
                "again from the pool"
            )
            inspection.uncertain("release.sum", where, message)
    return expected


def own_version() -> str:
    """Return the version of this library, as a release.json names it."""
    try:
        return version("grievance")
    except PackageNotFoundError:
        return "unknown"


def _is_text(words: object) -> bool:
    return isinstance(words, list) and all(isinstance(line, str) for line in words)


def _problems(expected: dict[str, Any], value: dict[str, Any]) -> list[str]:
    """What in a release.json is not what the pool calls for, in words."""
    found: dict[str, None] = {}
    names = [item["name"] for item in expected["statistics"]]
    if _names(value.get("statistics")) != names:
        found["it has other statistics than were approved"] = None
        # Paths would be those of other statistics.
        value = {**value, "statistics": expected["statistics"]}
    rest = []
    for path in differences(value, expected):
        said = _in_words(path, names)
        if said is None:
            rest.append(path)
        else:
            found[said] = None
    if rest:
        listed = ", ".join(spelled(path) for path in rest[:_NAMED])
        more = f", and {len(rest) - _NAMED:,} more" if len(rest) > _NAMED else ""
        found[f"it is not what follows from the task and the noisy shares: {listed}{more}"] = None
    return list(found)


def _names(listed: object) -> list[object] | None:
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        return None
    return [item.get("name") for item in listed]


def _in_words(path: Place, names: Sequence[str]) -> str | None:
    """Say what a difference means, if it is one of those that people ask about."""
    match path:
        case ("statistics", int(at), "parts", int(), "values", *_):
            return f"{names[at]} is not the sum of the noisy shares"
        case ("statistics", int(at), "sigma" | "b"):
            return f"{names[at]} does not say the noise it has"
        case (str(key), *_):
            return _WORDS.get(key)
    return None


def differences(found: object, expected: object, path: Place = ()) -> Iterator[Place]:
    """Yield the place of everything that is other, missing or too much; true is not 1."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if key in found and key in expected:
                yield from differences(found[key], expected[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(found, list) and isinstance(expected, list):
        for place, (one, other) in enumerate(zip(found, expected, strict=False)):
            yield from differences(one, other, (*path, place))
        if len(found) != len(expected):
            yield (*path, min(len(found), len(expected)))
    elif type(found) is not type(expected) or found != expected:
        yield path


def spelled(path: Place) -> str:
    """Write a place as people do: statistics[0].parts[1].sd."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."

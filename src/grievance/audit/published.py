"""A published release.json against the pool: the same statistics, and the sums themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.audit.inspection import MALFORMED
from grievance.crypto.documents import canonical, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.releases import AuditedRelease
    from grievance.plan import StatisticLayout

FILE_NAME = "release.json"
LIMIT = 64 << 20
FORMAT = "grievance/1 release"


def check_published(
    inspection: Inspection, place: str | Path, releases: Sequence[AuditedRelease]
) -> None:
    """Check a release.json, given as the file or as its folder."""
    path = Path(place)
    if path.is_dir():
        path = path / FILE_NAME
    where = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        inspection.fault("file.read", where, f"cannot be read ({error.strerror})")
        return
    check_published_bytes(inspection, where, data, releases)


def check_published_bytes(
    inspection: Inspection, where: str, data: bytes, releases: Sequence[AuditedRelease]
) -> None:
    """Check the bytes of a release.json."""
    try:
        value = parse_canonical(data, LIMIT)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            inspection.fault("file.form", where, "it is no release.json")
            return
        inside = hashlib.sha256(canonical(value.get("task"))).hexdigest()
    except MALFORMED as error:
        inspection.refuse("file.form", where, error)
        return
    about = (value.get("task_digest"), value.get("round"), value.get("release"))
    found = [r for r in releases if about == _about(r)]
    if not found or inside != value.get("task_digest"):
        inspection.fault("release.sum", where, "it is of no release in this pool")
        return
    release = found[0]
    if release.totals is None:
        inspection.waiting("release.sum", where, "its noisy shares are not all here")
        return
    for problem in _problems(release, release.totals, value):
        inspection.fault("release.sum", where, problem)


def _about(release: AuditedRelease) -> tuple[str, str, str]:
    task = release.opened.task
    return task.digest.hex(), task.round_id, release.release_id


def _problems(
    release: AuditedRelease, totals: Mapping[str, list[int]], value: Mapping[str, Any]
) -> list[str]:
    """What in a release.json is not what the pool holds, in words."""
    proposal, found = release.proposal, []
    if value.get("accepted") != proposal.accepted:
        found.append("it is over another number of reports")
    if value.get("accepted_root") != proposal.root.hex():
        found.append("it is over another set of reports")
    if value.get("noisy_shares") != release.digests:
        found.append("it names other noisy shares")
    listed = value.get("statistics")
    items = listed if isinstance(listed, list) else []
    given = {i.get("name"): i for i in items if isinstance(i, dict)}
    expected = {
        name: statistic
        for name, statistic in release.opened.task.layout.statistics.items()
        if (statistic.implied_by or name) in totals
    }
    if list(given) != list(expected) or len(items) != len(given):
        found.append("it has other statistics than were approved")
        return found
    for name, statistic in expected.items():
        sums = _coordinates(statistic, totals)
        if _published(statistic, given[name].get("parts")) != sums:
            found.append(f"{name} is not the sum of the noisy shares")
        task = release.opened.task
        key = "sigma" if task.mechanism == "gaussian" else "b"
        if given[name].get(key) != str(task.allocations[statistic.implied_by or name].scale):
            found.append(f"{name} does not say the noise it has")
    return found


def _coordinates(statistic: StatisticLayout, totals: Mapping[str, list[int]]) -> list[int]:
    """All coordinates of a statistic, released or read off a larger table."""
    if statistic.implied_by is None:
        return totals[statistic.name]
    source = totals[statistic.implied_by]
    return [sum(source[index] for index in summed) for summed in statistic.reads]


def _published(statistic: StatisticLayout, parts: object) -> list[object] | None:
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    if [part.get("name") for part in parts] != [part.name for part in statistic.parts]:
        return None
    values: list[object] = []
    for part in parts:
        listed = part.get("values")
        if not isinstance(listed, list) or not all(type(item) is int for item in listed):
            return None
        values += listed
    return values

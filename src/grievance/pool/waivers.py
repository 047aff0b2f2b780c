"""Waivers: every aggregator's signed word that a release does not wait for certain witnesses.

A witness may be gone, or refuse. Then each aggregator's steward says so, and names those it does
not wait for; what all of them name is waived. Everybody can read how many witnesses saw a release.
Source: docs/formats/release.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, ReleaseError
from grievance.pool.layout import RoundPaths
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store
    from grievance.task import RoundTerms

KIND = "grievance/2 witness waiver"


def sign_waiver(
    task: RoundTerms, release: str, aggregator: str, witnesses: Sequence[str], key: SigningKey
) -> bytes:
    """Write down which witnesses of a round an aggregator does not wait for in one release."""
    body = {
        "task": task.digest.hex(),
        "release": release,
        "aggregator": aggregator,
        "witnesses": sorted(witnesses),
    }
    return sign_document(KIND, body, key)


def parse_waiver(data: bytes, task: RoundTerms, release: str, aggregator: int) -> frozenset[str]:
    """Whom a waiver names. Raises SignatureError, WireError, or ReleaseError `release.waiver`."""
    party = task.aggregators[aggregator]
    document = parse_document(data, kind=KIND, signer=party.identity, limit=SMALL_FILE_SIZE)
    body = StrictObject(
        document.body,
        {"task", "release", "aggregator", "witnesses"},
        where=f"the waiver of {party.name}",
        error=ReleaseError,
        code="release.waiver",
    )
    about = (body.digest("task"), body.text("release"), body.text("aggregator"))
    if about != (task.digest, release, party.name):
        body.refuse("belongs to another release or aggregator")
    names = body.items("witnesses")
    if not names or names != [name for name in sorted(task.plan.witnesses) if name in names]:
        body.refuse("does not list witnesses of the plan, in order")
    return frozenset(names)


def read_waivers(store: Store, task: RoundTerms, release: str) -> dict[str, frozenset[str]]:
    """The waivers of a release that hold, by aggregator."""
    found = {}
    for index, party in enumerate(task.aggregators):
        path = RoundPaths(task.round_id).waiver(release, party.name)
        data = find(store, path, SMALL_FILE_SIZE)
        if data is None:
            continue
        try:
            found[party.name] = parse_waiver(bytes(data), task, release, index)
        except GrievanceError:
            continue
    return found


def waived_by_all(task: RoundTerms, waivers: dict[str, frozenset[str]]) -> frozenset[str]:
    """The witnesses that every aggregator named; nobody until all have spoken."""
    if len(waivers) < len(task.aggregators):
        return frozenset()
    return frozenset.intersection(*waivers.values())


def watched_in_words(quorum: int, witnesses: int, waived: int) -> str:
    """How many witnesses saw what a release costs, of how many its plan wants."""
    if quorum == 0:
        return "no witness outside had to see what it costs"
    if not waived:
        return f"{quorum} of {quorum} witnesses saw what it costs"
    seen = max(0, min(quorum, witnesses - waived))
    return f"{seen} of {quorum} witnesses saw what it costs; the aggregators waived the rest"

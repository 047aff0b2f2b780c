"""Inputs that every target accepts, made from the round of `fuzz.world`: `python -m fuzz.seeds`.

Writes `fuzz/corpus/<target>/seed-<n>`. Other files in those folders are inputs that once broke
a promise; they stay.
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.documents import DOCUMENTS
from fuzz.seeds_binary import bundled, sealed, small
from fuzz.seeds_signed import Seeds, backups, decided, released, rounds
from fuzz.seeds_written import kept, written
from fuzz.world import body_of, signer_of, signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping

CORPUS = Path(__file__).parent / "corpus"


@cache
def seeds() -> Mapping[str, list[bytes]]:
    """Two or three accepted inputs for every target. Differs a little in every process: HPKE."""
    found: Seeds = {**rounds(), **decided(), **released(), **backups()}
    for name in DOCUMENTS:
        owner = signing_key(DOCUMENTS[name][1]).public
        found[f"{name}-body"] = [body_of(d) for d in found[name] if signer_of(d) == owner]
    for name, of in (("task-value", "task"), ("audit-terms", "task"), ("bundle-value", "bundle")):
        found[name] = found[of]
    found["archive-value"] = found["archive-contents"]
    found["release-value"] = found["release"]
    return {**found, **sealed(), **small(), **written(), **kept(), **bundled()}


def corpus(name: str, folder: Path = CORPUS) -> list[bytes]:
    """What lies in the corpus of a target."""
    place = folder / name
    return [path.read_bytes() for path in sorted(place.iterdir())] if place.is_dir() else []


def write(folder: Path = CORPUS) -> int:
    """Write all seeds anew, and return how many bytes they are."""
    total = 0
    for name, inputs in seeds().items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob("seed-*"):
            old.unlink()
        for number, data in enumerate(inputs, start=1):
            (place / f"seed-{number}").write_bytes(data)
            total += len(data)
    for stray in folder.iterdir():
        if stray.name not in seeds():
            shutil.rmtree(stray)
    return total


if __name__ == "__main__":
    sys.stdout.write(f"{write():,} bytes for {len(seeds())} targets\n")

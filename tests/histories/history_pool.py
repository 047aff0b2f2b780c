"""A pool whose every published byte is remembered, and that strangers visit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation import Federation

if TYPE_CHECKING:
    from collections.abc import Sequence


class RememberedPool(Federation):
    """A federation, and what its pool should look like.

    `first` has every file of the pool as its owner first published it, `spoiled` what strangers
    made of some (None: deleted); `tally` counts what happened.
    """

    def __init__(self, folder: Path, relays: Sequence[str]) -> None:
        super().__init__(folder, relays=relays)
        self.first: dict[str, bytes] = {}
        self.spoiled: dict[str, bytes | None] = {}
        self.tally: Counter[str] = Counter()

    # What strangers do to the pool.

    def files(self) -> list[str]:
        """All files of the pool, half-written ones left out."""
        pool = Path(self.pool)
        found = (path for path in pool.rglob("*") if path.is_file())
        return sorted(
            path.relative_to(pool).as_posix() for path in found if not path.name.startswith(".")
        )

    def spoil(self, path: str, data: bytes | None) -> None:
        """Write other bytes over a file, or delete it (None)."""
        if data is None:
            self.file(path).unlink(missing_ok=True)
        else:
            self.file(path).write_bytes(data)
        self.spoiled[path] = data

    def heal(self, path: str) -> None:
        """The right version arrives again."""
        self.file(path).write_bytes(self.first[path])
        del self.spoiled[path]

    def heal_all(self) -> None:
        for path in list(self.spoiled):
            self.heal(path)

    def damaged(self) -> list[str]:
        """Spoilt files that nobody has written again."""
        return [path for path in self.spoiled if self._read(path) != self.first[path]]

    def _read(self, path: str) -> bytes | None:
        return self.file(path).read_bytes() if self.file(path).is_file() else None

    # What is in the pool for ever.

    def scan(self) -> list[str]:
        """Remember new files; every other one must have the bytes it had. Returns the new ones."""
        here, fresh = self.files(), []
        for path in here:
            data = self.file(path).read_bytes()
            if path not in self.first:
                self.first[path] = data
                fresh.append(path)
            elif data == self.first[path]:
                self.tally["healed by its owner"] += self.spoiled.pop(path, data) != data
            else:
                assert path in self.spoiled, f"{path} was published with other bytes"
                assert data == self.spoiled[path], f"{path} was written anew with other bytes"
        gone = set(self.first) - set(here)
        assert gone <= {path for path, data in self.spoiled.items() if data is None}, gone
        proofs = [path for path in fresh if "/evidence/" in path or path.endswith(".fork")]
        assert not proofs, f"honest parties are accused: {proofs}"
        return fresh

    def body(self, path: str) -> dict[str, Any]:
        """What a document said when it was published."""
        body: dict[str, Any] = json.loads(self.first[path])["body"]
        return body

    def events(self, round_id: str) -> list[dict[str, Any]]:
        """Everything the leader ever ordered in a round."""
        found: list[dict[str, Any]] = []
        while (path := f"rounds/{round_id}/order/{len(found) + 1}.json") in self.first:
            found.append(self.body(path)["event"])
        return found

"""A pool that lies: in memory, and to each reader what it likes.

Whoever keeps the shared folder, or a synced copy of it, decides what each organisation sees,
and when. `HostilePool` is that keeper. `reader(name)` is the pool as one organisation meets
it, with the interface of `grievance.pool.store.Store`; everything written through any of
them lands in `files`, the truth, which a test may change as it likes. What a reader is
shown instead is its `Face`:

    pool.show("rounds/x/task.json", other, to="south")     one file, to one reader
    pool.withhold("ledger/", to="south")                   nothing below a prefix
    pool.freeze("south"), pool.freeze("south", older)      the state of now, or of then, for ever
    pool.list_also("rounds/x/releases", names, to="south") names that may not even exist
    pool.distort("south", lie)       every file, as lie(path, look, truth) says

Without `to` every reader is lied to. `Endless`, `Odd` and `Changing` stand in the place of a
file's bytes. Source: docs/design.md, section 7; docs/threats.md, section 4.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.errors import PoolError
from grievance.names import check_pool_path
from grievance.pool.store import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

EVERYBODY = "*"


class Odd(Enum):
    """Something that is there under a file's name and is no file."""

    FOLDER = "a folder"
    LINK = "a symbolic link"
    PIPE = "a pipe"


@dataclass
class Endless:
    """A file that never ends, whatever size it claims. It is handed out by the store's rules:
    nobody gets more than they asked for."""

    claim: int = 1 << 62


@dataclass
class Changing:
    """A file with other bytes at every look; the last ones stay."""

    versions: Sequence[bytes | None]
    looks: int = 0

    def next(self) -> bytes | None:
        self.looks += 1
        return self.versions[min(self.looks, len(self.versions)) - 1]


Content = bytes | Endless | Changing | Odd | None
"""What a reader finds under a path; None is nothing."""


@dataclass
class Face:
    """What one reader is shown: a stale whole, single lies on top, extra names."""

    stale: dict[str, bytes] | None = None
    lies: dict[str, Content] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    names: dict[str, list[str]] = field(default_factory=dict)
    distortion: Callable[[str, int, bytes], Content] | None = None
    looks: Counter[str] = field(default_factory=Counter)


class HostilePool:
    """The truth (`files`), everything ever written (`log`), and one face a reader."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.log: list[tuple[str, str, bytes]] = []
        self.faces: dict[str, Face] = {}
        self.looked: Counter[tuple[str, str]] = Counter()
        self.largest_limit = 0

    @classmethod
    def from_folder(cls, folder: Path) -> HostilePool:
        """Start from a pool on disk."""
        found = (path for path in folder.rglob("*") if path.is_file())
        return cls({path.relative_to(folder).as_posix(): path.read_bytes() for path in found})

    def reader(self, name: str) -> HostileView:
        """The pool as the organisation `name` meets it."""
        return HostileView(self, name)

    # Lies.

    def face(self, to: str = EVERYBODY) -> Face:
        """What this reader is shown."""
        return self.faces.setdefault(to, Face())

    def show(self, path: str, content: Content, *, to: str = EVERYBODY) -> None:
        """Show this under a path, in the place of the truth."""
        self.face(to).lies[path] = content

    def withhold(self, prefix: str, *, to: str = EVERYBODY) -> None:
        """Show nothing under paths that begin so."""
        self.face(to).withheld.add(prefix)

    def freeze(self, to: str, state: dict[str, bytes] | None = None) -> None:
        """Show a reader the state of now, or an older one; of later files only its own."""
        self.face(to).stale = dict(self.files if state is None else state)

    def list_also(self, folder: str, names: Iterable[str], *, to: str = EVERYBODY) -> None:
        """List names in a folder on top of those that are there."""
        self.face(to).names[folder] = list(names)

    def distort(self, to: str, lie: Callable[[str, int, bytes], Content]) -> None:
        """Let `lie` say what a reader finds wherever there is a file."""
        self.face(to).distortion = lie

    def honest(self) -> None:
        """Stop lying to anybody."""
        self.faces.clear()

    # The truth.

    def snapshot(self) -> dict[str, bytes]:
        """All files as they are."""
        return dict(self.files)

    def roll_back(self, state: dict[str, bytes]) -> None:
        """Put the truth itself back to an older state: everybody sees it, later files are gone."""
        self.files = dict(state)

    def seen_by(self, name: str) -> dict[str, bytes]:
        """Every plain file as one reader sees it now."""
        view = self.reader(name)
        paths = set(self.files).union(*(face.lies for face in view.faces()))
        stale = self.face(name).stale
        paths |= set(stale or ())
        found = {path: view.content(path) for path in paths}
        return {path: data for path, data in found.items() if isinstance(data, bytes)}

    def rewritten(self) -> list[str]:
        """Paths under which somebody wrote two different files."""
        first: dict[tuple[str, str], bytes] = {}
        log = self.log
        return sorted({p for who, p, data in log if first.setdefault((who, p), data) != data})

    def write_to(self, folder: Path, reader: str = EVERYBODY) -> Path:
        """Put what one reader sees into a folder, as a sync tool would."""
        for path, data in self.seen_by(reader).items():
            full = folder / path
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_bytes(data)
        return folder


class HostileView:
    """One reader's access: a `Store`."""

    def __init__(self, pool: HostilePool, name: str) -> None:
        self.pool, self.name = pool, name
        self.location = f"hostile://{name}"

    def faces(self) -> list[Face]:
        """What is shown to this reader, its own face first."""
        return [self.pool.faces[n] for n in (self.name, EVERYBODY) if n in self.pool.faces]

    def content(self, path: str) -> Content:
        """What stands under a path for this reader."""
        for face in self.faces():
            if path in face.lies:
                lie = face.lies[path]
                return lie.next() if isinstance(lie, Changing) else lie
            if any(path.startswith(prefix) for prefix in face.withheld):
                return None
            if face.stale is not None:
                return face.stale.get(path)
        truth = self.pool.files.get(path)
        for face in self.faces():
            if truth is not None and face.distortion is not None:
                face.looks[path] += 1
                return face.distortion(path, face.looks[path] - 1, truth)
        return truth

    def names(self, folder: str) -> list[str]:
        check_pool_path(folder)
        found, start = set(), f"{folder}/"
        faces = self.faces()
        whole = next((f.stale for f in faces if f.stale is not None), self.pool.files)
        for path in {*whole, *(path for face in faces for path in face.lies)}:
            if path.startswith(start):
                gone = any(path.startswith(p) for face in faces for p in face.withheld)
                lied = any(path in face.lies for face in faces)
                if lied or not gone:
                    found.add(path[len(start) :].split("/")[0])
        for face in faces:
            found.update(face.names.get(folder, ()))
        return sorted(name for name in found if not name.startswith("."))

    def size(self, path: str) -> int | None:
        check_pool_path(path)
        content = self.content(path)
        if isinstance(content, Endless):
            return content.claim
        return len(content) if isinstance(content, bytes) else None

    def view(self, path: str, limit: int) -> bytes | None:
        check_pool_path(path)
        self.pool.looked[self.name, path] += 1
        self.pool.largest_limit = max(self.pool.largest_limit, limit)
        content = self.content(path)
        if isinstance(content, Odd):
            code = "pool.link" if content is Odd.LINK else "pool.kind"
            raise PoolError(f"{path}: {content.value}", code=code)
        if isinstance(content, Endless) or (content is not None and len(content) > limit):
            raise PoolError(f"{path}: larger than {limit} bytes", code="pool.size")
        return content

    def source(self, path: str, limit: int) -> BytesSource | None:
        data = self.view(path, limit)
        return None if data is None else BytesSource(data)

    def local_path(self, path: str) -> str | None:
        """Nowhere: what is shown to one reader is shown to no other process."""
        check_pool_path(path)
        return None

    def put(self, path: str, data: bytes) -> None:
        check_pool_path(path)
        self.pool.log.append((self.name, path, bytes(data)))
        self.pool.files[path] = bytes(data)
        face = self.pool.faces.get(self.name)
        if face is not None and face.stale is not None:
            face.stale[path] = bytes(data)

    def delete(self, path: str) -> None:
        check_pool_path(path)
        self.pool.files.pop(path, None)

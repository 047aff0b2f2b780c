"""What was seen in a watched round, and which of it is a leak; the words that must not be seen."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from scanner import Leak, Vault

KEY_FILES = {
    "identity.pem": "signing key",
    "mailbox.key": "HPKE key",
    "hpke.key": "HPKE key",
    "rehearse.key": "HPKE key",
    "restore.key": "HPKE key",
    "verify.key": "verify key",
    "state.key": "state key",
}
# With decimals, which no digest has, and which a released mean hits once in 10^8 rounds.
ANSWER = "900041736.125"
REFUSED = "zzyzx-unheard-of-label"
OUT_OF_RANGE = "912345678.625"
PASSPHRASE = "sentinel of the north, seldom spoken"
WRONG_PASSPHRASE = "sentinel that opens nothing at all"
PLAN = """\
witness_quorum = 0
title = "Pressure at work"
campaign = "trial"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"
[privacy]
mechanism = "gaussian"
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 8.0
minimum_reports = 10
hide_below = 0
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.pay]
question = "What are you paid?"
minimum = 900000000
maximum = 900124999
step = 0.125
bands = [900000000, 900040000, 900124999]
[statistics.regions]
count = ["region"]
[statistics.pay_mean]
mean = "pay"
[statistics.pay_spread]
distribution = "pay"
by = ["region"]
"""
TEXT_CHANNELS = ("stdout", "stderr", "log", "exception", "warning")


class Watch:
    """What was seen so far."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.vault = folder, Vault()
        self.leaks: set[Leak] = set()
        self.written: set[str] = set()
        self.opened = 0
        self.counts = dict.fromkeys((*TEXT_CHANNELS, "gone file", "state", "file"), 0)
        self.texts: list[tuple[str, str, bytes]] = []
        self.step = "start"
        self.tampering = False
        self.sums: set[int] = set()
        self.noisy: set[int] = set()
        self._busy = False
        self._known: dict[Path, tuple[int, int]] = {}

    def text(self, channel: str, text: str) -> None:
        """Note text for people or programs; it is searched when all secrets are known."""
        self.counts[channel] += 1
        self.texts.append((channel, self.step, text.encode("utf-8", "surrogateescape")))

    def data(self, channel: str, where: str, data: bytes) -> None:
        """Note bytes that lay somewhere."""
        self.counts[channel] += 1
        self.texts.append((channel, where, data))

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """Audit hook: which files are written, and what is in those that go away."""
        if self._busy or self.tampering:
            return
        if event == "open":
            path, _, flags = args
            self.opened += 1
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if isinstance(path, str | bytes) and writes:
                self.written.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
        elif event in ("os.remove", "os.rename", "os.link", "shutil.move"):
            path = os.path.abspath(os.fsdecode(args[0]))  # type: ignore[arg-type] # noqa: PTH100
            if path in self.written:
                self._read_before_it_goes(path)
                if event != "os.remove":
                    self.written.add(os.path.abspath(os.fsdecode(args[1])))  # type: ignore[arg-type] # noqa: PTH100

    def _read_before_it_goes(self, path: str) -> None:
        self._busy = True
        try:
            with contextlib.suppress(OSError):
                self.data("gone file", path, Path(path).read_bytes())
        finally:
            self._busy = False

    def files(self) -> None:
        """Note every file below the folder that is new or changed since last time."""
        if self.tampering:
            return
        self._busy = True
        try:
            for path in sorted(self.folder.rglob("*")):
                if not path.is_file() or path.is_relative_to(self.folder / "inputs"):
                    continue
                status = path.stat()
                mark = status.st_mtime_ns, status.st_size
                if self._known.get(path) != mark:
                    self._known[path] = mark
                    self.data("file", str(path), path.read_bytes())
        finally:
            self._busy = False

    def state(self, path: Path) -> None:
        """Note a state file with its log, while the connection is still open."""
        for suffix in ("", "-wal", "-shm"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                self._busy = True
                try:
                    self.data("state", str(file), file.read_bytes())
                finally:
                    self._busy = False

    def judge(self) -> None:
        """Search everything noted for every secret."""
        # Noise may be zero: then a number is the same before and after, and is published.
        self.vault.add_elements("un-noised sum", sorted(self.sums - self.noisy))
        searched: dict[bytes, set[tuple[str, str]]] = {}
        for channel, where, data in self.texts:
            if data not in searched:
                searched[data] = self.vault.search(data)
            for kind, form in searched[data]:
                if not self.allowed(channel, where, kind):
                    self.leaks.add(Leak(channel, where, kind, form))

    def allowed(self, channel: str, where: str, kind: str) -> bool:
        """A commitment may lie in pool and state; a key in its own file, unless locked."""
        if channel in TEXT_CHANNELS:
            return False
        path = Path(where)
        if kind == "commitment":
            return path.suffix in (".report", ".reports") or any(
                part in ("pool", "homes", "sealed", "inbox") for part in path.parts
            )
        name = path.name
        if name.startswith("."):  # a key file on its way: .hpke.key.0123456789abcdef
            name = name[1:].rpartition(".")[0]
        inside = path.is_relative_to(self.folder / "homes")
        locked = path.is_relative_to(self.folder / "homes" / "north")
        return inside and not locked and KEY_FILES.get(name) == kind

"""A whole round typed under watch: `python watched_round.py FOLDER [--leaky]`.

Runs alone in a process, because what it hangs itself into cannot be taken off again: an audit
hook on every file that is opened, every logger, every exception the library makes, and the
places where secrets come into being. It writes FOLDER/found.json: what leaked, and how much was
looked at. `--leaky` puts a leak into every channel, to show that each would be noticed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from unittest import mock

from scanner import Leak, Vault

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "cli")]

KEY_FILES = {
    "identity.pem": "signing key",
    "mailbox.key": "HPKE key",
    "hpke.key": "HPKE key",
    "rehearse.key": "HPKE key",
    "restore.key": "HPKE key",
    "verify.key": "verify key",
    "state.key": "state key",
}
ANSWER = "900417362"
REFUSED = "zzyzx-unheard-of-label"
OUT_OF_RANGE = "912345678"
PASSPHRASE = "sentinel of the north, seldom spoken"
WRONG_PASSPHRASE = "sentinel that opens nothing at all"
PLAN = """\
title = "Pressure at work"
campaign = "trial"
opens = 2026-10-01
closes = 2026-12-20
[privacy]
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
maximum = 900999999
step = 1
bands = [900000000, 900400000, 900999999]
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
        """A nonce may lie in the pool and in the state; a key in its own file, unless locked."""
        if channel in TEXT_CHANNELS:
            return False
        path = Path(where)
        if kind == "nonce":
            return path.suffix in (".report", ".reports") or any(
                part in ("pool", "homes", "sealed", "inbox") for part in path.parts
            )
        name = path.name
        if name.startswith("."):  # a key file on its way: .hpke.key.0123456789abcdef
            name = name[1:].rpartition(".")[0]
        inside = path.is_relative_to(self.folder / "homes")
        locked = path.is_relative_to(self.folder / "homes" / "north")
        return inside and not locked and KEY_FILES.get(name) == kind


def record_secrets(watch: Watch) -> None:
    """Hang a recorder into every place where a secret comes into being."""
    from grievance import privacy
    from grievance.aggregator.bench import Bench
    from grievance.backup.split import BackupKey, Piece
    from grievance.crypto import pkcs8
    from grievance.crypto.signing import SigningKeySeed
    from grievance.pipelines import rows
    from grievance.secret import Secret, StateKey, VerifyKey

    seal, noise, releases = (
        importlib.import_module(f"grievance.{name}")
        for name in ("client.seal", "aggregator.noise", "aggregator.releases")
    )
    vault = watch.vault
    kinds = {
        VerifyKey: "verify key",
        StateKey: "state key",
        SigningKeySeed: "signing key",
        BackupKey: "backup key",
        Piece: "piece",
        Secret: "HPKE key",
    }
    make_secret, draw, seal_shares = Secret.__init__, seal.draw, seal.seal_shares
    seal_sum, add_noise, derive = Bench.seal_sum, noise.add_noise, pkcs8.derive
    verify_rows, draw_noise = rows.verify_rows, privacy.draw

    def new_secret(self: Secret, data: bytes) -> None:
        make_secret(self, data)
        vault.add(kinds.get(type(self), type(self).__name__), data)

    def new_draw(task, answers):  # type: ignore[no-untyped-def]
        bits, salt, rand, nonce = draw(task, answers)
        vault.add("salt", salt)
        vault.add("shard randomness", rand)
        vault.add("nonce", nonce)
        if answers:
            vault.add("measurement", bytes(bits))
            vault.add("measurement", "".join(map(str, bits)).encode())
        return bits, salt, rand, nonce

    def new_seal_shares(task, salt, nonce, public_share, input_shares):  # type: ignore[no-untyped-def]
        for share in input_shares:
            vault.add("input share", bytes(share))
        return seal_shares(task, salt, nonce, public_share, input_shares)

    def new_seal_sum(self, seq, total):  # type: ignore[no-untyped-def]
        watch.sums.update(total)
        return seal_sum(self, seq, total)

    def new_add_noise(task, release, aggregator, aggregate, statistics):  # type: ignore[no-untyped-def]
        watch.sums.update(aggregate)
        noisy = add_noise(task, release, aggregator, aggregate, statistics)
        watch.noisy.update(value for values in noisy.values.values() for value in values)
        return noisy

    def new_verify_rows(seat, opened):  # type: ignore[no-untyped-def]
        for share in opened.shares:
            if share is not None:
                vault.add("input share", share)
        verified = verify_rows(seat, opened)
        width = seat.task.vdaf.VERIFIER_SHARE_SIZE
        for row in range(len(opened.shares)):
            share = verified.found.share(row, width)
            if any(share):
                # Its first part is in the public share too; the rest is for aggregators alone.
                known = seat.task.vdaf.decode_verifier_share(share).joint_rand_part
                vault.add("verifier share", share.replace(known, b""))
        watch.sums.update(verified.total)
        return verified

    def new_draw_noise(*given):  # type: ignore[no-untyped-def]
        values = draw_noise(*given)
        if len(values) >= 5:
            for text in (str(list(values)), json.dumps(list(values), separators=(",", ":"))):
                vault.add_text("noise", text)
        return values

    def new_derive(passphrase, salt):  # type: ignore[no-untyped-def]
        key = derive(passphrase, salt)
        vault.add("passphrase key", key)
        return key

    Secret.__init__ = new_secret  # type: ignore[method-assign]
    seal.draw, seal.seal_shares = new_draw, new_seal_shares  # type: ignore[assignment]
    Bench.seal_sum, noise.add_noise = new_seal_sum, new_add_noise  # type: ignore[method-assign]
    pkcs8.derive, pkcs8.SCRYPT_N = new_derive, 16
    rows.verify_rows, privacy.draw = new_verify_rows, new_draw_noise  # type: ignore[assignment]
    releases.add_noise = new_add_noise
    # Fewer blank reports around the real ones: the watch looks at each.
    make_batches = importlib.import_module("grievance.pool.relay").make_batches
    make_batches.__kwdefaults__["pad_to"] = 20
    for text in (ANSWER, REFUSED, OUT_OF_RANGE):
        vault.add_text("answer", text)
    for text in (PASSPHRASE, WRONG_PASSPHRASE):
        vault.add_text("passphrase", text)


def record_channels(watch: Watch) -> None:
    """Listen to logs, warnings, exceptions, state files and every opened file."""
    from grievance.aggregator.state import State
    from grievance.errors import GrievanceError

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            watch.text("log", f"{record.getMessage()} {record.args!r} {vars(record)!r}")

    logging.getLogger().addHandler(Listener())
    logging.getLogger().setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    handle = logging.Logger.handle

    def new_handle(self: logging.Logger, record: logging.LogRecord) -> None:
        watch.text("log", f"{record.getMessage()} {record.args!r}")  # also of those that stop here
        handle(self, record)

    logging.Logger.handle = new_handle  # type: ignore[method-assign]
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *rest, **more: watch.text("warning", f"{message}")
    make_error, close = GrievanceError.__init__, State.close

    def new_error(self, message, **rest):  # type: ignore[no-untyped-def]
        make_error(self, message, **rest)
        watch.text("exception", f"{message} {self!r} {self.hint} {vars(self)!r}")

    def new_close(self: State) -> None:
        watch.state(self.path)
        close(self)

    GrievanceError.__init__, State.close = new_error, new_close  # type: ignore[method-assign]
    sys.unraisablehook = lambda seen: watch.text("exception", f"{seen!r}")
    sys.addaudithook(watch.hook)


def chain_of(error: BaseException) -> str:
    """An exception as it would be printed, with everything it grew out of, hidden or not."""
    parts = ["".join(traceback.format_exception(error))]
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        parts.append(f"{one} {one!r} {one.args!r} {getattr(one, '__notes__', '')}")
        parts.append(
            f"{getattr(one, 'doc', '')}" if not isinstance(one, json.JSONDecodeError) else ""
        )
        waiting += [one.__cause__, one.__context__]
    return "\n".join(parts)


class Typist:
    """Types commands for everybody, and notes what came out and how it ended."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.folder = watch.folder
        self.prints: dict[str, str] = {}

    def __call__(
        self,
        name: str | None,
        *words: str,
        stdin: str = "",
        keyboard: str | None = None,
        passphrase: str | None = None,
        code: int | tuple[int | None, ...] | None = 0,
    ) -> str:
        """Type a command, which must end with `code`; None is a traceback. Returns its stdout."""
        from cli_shell import Terminal

        from grievance.cli import output
        from grievance.cli.app import run

        watch = self.watch
        watch.step = " ".join((name or "-", *words[:2]))
        out, err = io.StringIO(), io.StringIO()
        given = {}
        if name is not None:
            given["GRIEVANCE_HOME"] = str(self.folder / "homes" / name)
            if name == "north":
                given["GRIEVANCE_PASSPHRASE"] = PASSPHRASE if passphrase is None else passphrase
        tell = output.tell

        def new_tell(error, **how):  # type: ignore[no-untyped-def]
            watch.text("exception", chain_of(error))
            tell(error, **how)

        ended: object = 0
        source = io.StringIO(stdin) if keyboard is None else Terminal(keyboard)
        with (
            mock.patch.dict(os.environ, given),
            mock.patch.object(sys, "stdin", source),
            mock.patch.object(output, "tell", new_tell),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                run(words)
            except SystemExit as left:
                ended = left.code
            except BaseException as error:  # noqa: BLE001  # whatever comes is what is looked at
                ended = None
                watch.text("exception", chain_of(error))
        watch.text("stdout", out.getvalue())
        watch.text("stderr", err.getvalue())
        watch.files()
        if ended not in (code if isinstance(code, tuple) else (code,)):
            said = out.getvalue()[-1500:] + err.getvalue()
            raise RuntimeError(f"{watch.step}: ended with {ended}: {said}")
        return out.getvalue()

    def broken(self, owner: object, attribute: str, name: str, *words: str, after: int = 0) -> None:
        """Type a command while one function fails in the middle of its work."""
        real, calls = getattr(owner, attribute), [0]

        def fail(*args: object, **how: object) -> object:
            calls[0] += 1
            if calls[0] > after:
                raise RuntimeError("the machine gave up") from ValueError("a deeper reason")
            return real(*args, **how)

        with mock.patch.object(owner, attribute, fail):
            self(name, *words, code=(None, 0))
        if calls[0] <= after:
            raise RuntimeError(f"{attribute} was not reached by {words}")

    def settle(self) -> None:
        while any(json.loads(self(n, "sync", "--json"))["done"] for n in ("north", "south")):
            pass


def main(folder: Path, *, leaky: bool) -> None:
    """Run the round and write what was found."""
    for name in ("tmp", "cwd", "inputs", "pool", "homes"):
        (folder / name).mkdir(parents=True)
    os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ.pop("GRIEVANCE_PASSPHRASE", None)
    os.chdir(folder / "cwd")
    # Loaded before the hooks: what Python itself opens is not ours.
    for name in ("cli.app", "pipelines.rows", "privacy", "aggregator", "release", "audit"):
        importlib.import_module(f"grievance.{name}")

    # Typer builds its tree of commands for every command that is typed; once is enough here.
    typer = importlib.import_module("typer.main")
    typer.get_command = functools.cache(typer.get_command)
    watch = Watch(folder)
    record_channels(watch)
    record_secrets(watch)
    if leaky:
        import leaks

        leaks.plant(watch)
    import watched_steps

    watched_steps.play(Typist(watch))
    watch.files()
    watch.judge()
    found = {
        "leaks": sorted({(leak.channel, leak.where, leak.kind, leak.form) for leak in watch.leaks}),
        "secrets": watch.vault.counts,
        "looked_at": watch.counts,
        "opened": watch.opened,
        "outside": sorted(
            path
            for path in watch.written
            if not Path(path).is_relative_to(folder) and path != "/dev/null"
        ),
        "modes": {
            str(path.relative_to(folder)): f"{path.stat().st_mode & 0o777:03o}"
            for path in folder.rglob("*")
            if path.name in KEY_FILES or path.name.startswith("state.sqlite")
        },
    }
    (folder / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), leaky="--leaky" in sys.argv)

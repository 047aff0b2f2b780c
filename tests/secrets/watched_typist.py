"""Types the commands of a watched round, and notes what came out and how each ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from unittest import mock

from watch import PASSPHRASE, Watch
from watch_hooks import chain_of


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

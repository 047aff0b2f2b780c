"""Runs commands in forks of a process that has loaded everything, and kills them on request.

Started as a program of its own: a fork of the test process could inherit threads of Arrow. One
JSON request a line on stdin, one JSON answer a line on stdout. Every command is typed through
the real command line; its fork ends, or is killed by a failpoint, without any tidying up.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any


def load() -> None:
    """Import what commands import, and build the tree of commands, so that a fork need not."""
    import opendp.prelude
    import pyarrow.parquet

    import grievance.aggregator
    import grievance.audit
    import grievance.backup
    import grievance.cli.app
    import grievance.release
    from grievance.pool import relay

    assert opendp.prelude
    assert pyarrow.parquet
    grievance.cli.app.tree()
    # Relays pad to 100 reports; a hundred rows instead of a dozen would show nothing more here.
    relay.PAD_TO = 1
    relay.make_batches.__kwdefaults__["pad_to"] = 1


def fill_in(word: str, folder: Path, name: str) -> str:
    """Replace `{round}`, `{digest}`, `{print:NAME}` and `{request}` by what the pool says now."""
    from grievance.backup import pleas
    from grievance.home import Home, read_identity
    from grievance.pool.rounds import read_task
    from grievance.pool.store import open_store

    if "{" not in word:
        return word
    store = open_store(folder / "pool")
    if "{print:" in word:
        other = word.partition("{print:")[2].partition("}")[0]
        return word.replace(f"{{print:{other}}}", read_identity(store, other).fingerprint)
    if word == "{request}":
        return pleas(Home.open(folder / name))[-1].request.request_id
    round_id = store.names("rounds")[0]
    task = read_task(store, round_id)
    digest = task.digest.hex() if task is not None else ""
    return word.replace("{round}", round_id).replace("{digest}", digest)


def type_one(folder: Path, name: str, words: list[str]) -> int:
    """Type one command in `folder`, as the organisation `name`."""
    from grievance.cli.app import run

    os.environ["GRIEVANCE_HOME"] = str(folder / name)
    try:
        run([fill_in(word, folder, name) for word in words])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def arm(request: dict[str, Any], notes: int, gate: int) -> None:
    """Arm, record, or replace what a failpoint does in this fork."""
    from grievance import failpoints

    if request.get("failpoint"):
        os.environ[failpoints.VARIABLE] = request["failpoint"]
    if request.get("record"):
        os.environ[failpoints.VARIABLE] = "record"
        failpoints._reach = lambda label, _: os.write(notes, f"{label}\n".encode()) and None
    if request.get("interrupt"):
        failpoints._fail = lambda _action: os.kill(os.getpid(), signal.SIGINT)
    if request.get("pause"):

        def pause(_action: str) -> None:
            os.write(notes, b"paused\n")
            os.read(gate, 1)

        failpoints._fail = pause
    if request.get("file_size") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"], resource.RLIM_INFINITY))
    if request.get("uid"):
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])


class Child:
    """A fork that types commands, and the pipes to it."""

    def __init__(self, request: dict[str, Any]) -> None:
        # Pipes, since a limit on the size of files must not hit what is said about it.
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        self.notes, notes = os.pipe()
        gate, self.gate = os.pipe()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            gc.disable()
            self._play(request, (out, err, notes, gate))
        for fd in (out, err, notes, gate):
            os.close(fd)

    @staticmethod
    def _play(request: dict[str, Any], ends: tuple[int, int, int, int]) -> None:
        """Be the commands, one after the other, until one fails; does not return."""
        out, err, notes, gate = ends
        code = 0
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
            folder = Path(request["folder"])
            os.chdir(folder)
            signal.alarm(1800)  # a fork that hangs must fail its test, not stop all of them
            arm(request, notes, gate)
            for name, words in request["commands"]:
                code = type_one(folder, name, words)
                if code:
                    sys.stderr.write(f"(exit code {code}: {name}: {' '.join(words)})\n")
                    if not request.get("first_may_fail"):
                        break
                    code = 0
                request["first_may_fail"] = False
        except BaseException:  # noqa: BLE001  # a fork must never return into the server
            traceback.print_exc()
            code = 70
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def end(self) -> dict[str, Any]:
        """Let it go on if it is paused, wait for it, and tell how it ended."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.gate, b"\n")
        os.close(self.gate)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = []
        for fd in (self.out, self.err, self.notes):
            with os.fdopen(fd, "rb") as file:
                said.append(file.read().decode())
        reached = list(Counter(said[2].split()).items())
        return {"code": code, "out": said[0], "err": said[1], "reached": reached}


def warm_up(request: dict[str, Any]) -> dict[str, Any]:
    """Type commands in this process: what they import and compute once, forks inherit."""
    sink = io.TextIOWrapper(io.BytesIO(), write_through=True)
    here = Path.cwd()
    os.chdir(request["folder"])
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        codes = [type_one(Path(request["folder"]), name, words) for name, words in request["here"]]
    os.chdir(here)
    return {"code": max(codes), "out": "", "err": sink.buffer.getvalue().decode(), "reached": []}


def serve() -> None:
    load()
    # Commands get an empty input of their own; ours carries the requests.
    requests, sys.stdin = sys.stdin, Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    print(json.dumps("ready"), flush=True)
    paused: Child | None = None
    for line in requests:
        request = json.loads(line)
        if request.get("here"):
            answer = warm_up(request)
        elif request.get("pause"):
            paused = Child(request)
            reached = os.read(paused.notes, 100) == b"paused\n"
            answer = {"code": 0 if reached else 1, "out": "", "err": "", "reached": []}
        elif request.get("go_on"):
            assert paused is not None
            answer = paused.end()
        else:
            answer = Child(request).end()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()

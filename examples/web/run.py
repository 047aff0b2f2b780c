"""A web form that seals what workers answer, before it is written anywhere.

    python examples/web/run.py [--port N] [--plan PLAN] [--keep DIR]

Opens a rehearsal round, serves its form on this machine until Ctrl-C, and relays what came in.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

sys.path.insert(0, str(Path(__file__).resolve().parent))

from intake import Intake

from grievance.cli.output import emit, errors_to_words
from grievance.cli.stage import Stage
from grievance.task import Task, load_task

NAME = "nurses-network"


class SilentHandler(WSGIRequestHandler):
    """Answers requests and writes no log: whose browser asked when is nobody's business."""

    timeout = 20
    """Seconds that a silent line may hold a thread."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Drop what would be logged, addresses and request lines included."""


class SilentServer(ThreadingMixIn, WSGIServer):
    """The standard library's server, a thread for each request. Not for the open internet."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Drop errors of the line: a traceback would name the address."""


def serve(app: Intake, port: int) -> SilentServer:
    """Return a server on this machine alone; port 0 takes any that is free."""
    server = SilentServer(("127.0.0.1", port), SilentHandler)
    server.set_app(app)
    return server


def open_round(stage: Stage, plan: Path) -> Task:
    """Open a rehearsal round and load it as a worker's device does."""
    stage.title("A rehearsal round: both aggregators are on this machine")
    stage.init(NAME, "Nurses Network")
    stage.type(NAME, "round", "new", str(plan), "--rehearsal", "--yes", quiet=True)
    bundle = stage.folder / "round.json"
    digest = stage.type(NAME, "round", "invite", str(bundle), quiet=True).strip()
    # In life the digest is in the server's settings, copied from the organisations' own sites.
    return load_task(bundle, trust=[digest])


def play(folder: Path, plan: Path, port: int) -> None:
    """Open the round, serve the form until Ctrl-C, pass on what came in."""
    stage = Stage(folder)
    task = open_round(stage, plan)
    inbox = folder / "inbox"
    inbox.mkdir(mode=0o700)
    stage.title("The form is served until Ctrl-C")
    with serve(Intake(task, inbox), port) as server:
        emit(f"http://127.0.0.1:{server.server_port}/")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    if not any(inbox.iterdir()):
        emit("Nobody handed anything in.")
        return
    stage.title("What a timer does at a fixed hour: the inbox is relayed")
    stage.type(NAME, "relay", str(inbox), "--trust", task.digest.hex())


@contextlib.contextmanager
def folder_for(keep: Path | None) -> Iterator[Path]:
    """The folder everything happens in; a temporary one unless it is to be kept."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="grievance-web-") as made:
        yield Path(made)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8765, help="0 takes any (default 8765)")
    parser.add_argument("--plan", type=Path, help="another plan than the demo's")
    parser.add_argument("--keep", type=Path, help="leave everything in this new folder")
    typed = parser.parse_args()
    # A crash must not write this process's memory to the disk; and `kill` ends like Ctrl-C.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = resources.files("grievance.demo").joinpath("plan.toml")
    with errors_to_words(), folder_for(typed.keep) as folder, resources.as_file(demo) as plan:
        play(folder, typed.plan or plan, typed.port)


if __name__ == "__main__":
    main()

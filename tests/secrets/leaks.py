"""Leaks of every kind, put in on purpose: what the watch must notice. Never part of a clean run."""

from __future__ import annotations

import base64
import importlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watch import Watch

EXPECTED = {
    ("stderr", "answer"): "an error that repeats what was answered",
    ("log", "commitment"): "a debug line",
    ("log", "salt"): "a logger that hands nothing on",
    ("state", "un-noised sum"): "a raw sum in a table that was dropped again",
    ("gone file", "input share"): "a temporary file that was deleted again",
    ("file", "verify key"): "a file that lies about",
    ("file", "state key"): "a key file without the passphrase it should have",
    ("stdout", "state key"): "a number in --json",
    ("exception", "piece"): "a reason that an exception hides behind `from None`",
    ("warning", "HPKE key"): "a warning",
    ("stderr", "passphrase"): "a passphrase that is repeated",
    ("exception", "verifier share"): "bytes in an exception that nobody sees",
}


def plant(watch: Watch) -> None:
    """Put all of them in."""
    from grievance.aggregator import batches, rounds
    from grievance.aggregator.bench import Bench
    from grievance.backup import sets
    from grievance.crypto import keys
    from grievance.errors import AnswerError, KeyFileError
    from grievance.plan import Layout

    status = importlib.import_module("grievance.cli.status")
    seal = importlib.import_module("grievance.client.seal")
    quiet = logging.getLogger("quiet")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    draw, seal_shares, seal_sum = seal.draw, seal.seal_shares, Bench.seal_sum
    write_secret, open_piece = keys._write_secret, sets.open_piece
    answers, write_verify, bench = Layout.answers, batches.write_verify_file, rounds._make_card
    read_identity, emit_json = keys.read_identity, status.emit_json
    state_keys: list[bytes] = []

    def leaky_answers(self, given):  # type: ignore[no-untyped-def]
        try:
            return answers(self, given)
        except AnswerError as error:
            error.message += f" (you said {given})"
            raise

    def leaky_draw(task, given):  # type: ignore[no-untyped-def]
        drawn = draw(task, given)
        logging.getLogger("grievance.seal").debug("drew %s", drawn.commitment.hex())
        quiet.debug("salt %r", drawn.openings[0])
        return drawn

    def leaky_shares(task, drawn, public, shares):  # type: ignore[no-untyped-def]
        path = Path(tempfile.mkdtemp()) / "share"
        path.write_bytes(base64.urlsafe_b64encode(b"x" + bytes(shares[0])))
        path.unlink()
        return seal_shares(task, drawn, public, shares)

    def leaky_sum(self, seq, total):  # type: ignore[no-untyped-def]
        data = self.seat.task.vdaf.encode_agg_share(total)
        db = self.state._db
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE debug (sum BLOB)")
        db.execute("INSERT INTO debug VALUES (?)", (data,))
        db.execute("DROP TABLE debug")
        return seal_sum(self, seq, total)

    def leaky_card(home, *args, **how):  # type: ignore[no-untyped-def]
        card = bench(home, *args, **how)
        files = home.round_files(args[0])
        state_keys.append(keys.read_state_key(files.state, home.passphrase).reveal())
        return card

    def leaky_write(path, kind, secret, passphrase):  # type: ignore[no-untyped-def]
        write_secret(path, kind, secret, passphrase)
        if "verify" in kind:
            (watch.folder / "homes" / "south" / "debug.txt").write_text(secret.reveal().hex())
        if "state" in kind and passphrase is not None:
            write_secret(path.with_name("copy.key"), kind, secret, None)
        if "hpke" in kind:
            warnings.warn(f"made {secret.reveal()!r}", stacklevel=2)

    def leaky_piece(one, trustee, mailbox):  # type: ignore[no-untyped-def]
        piece = open_piece(one, trustee, mailbox)
        try:
            raise ValueError(list(piece.reveal()))
        except ValueError:
            try:
                raise KeyFileError("no reason to be seen") from None
            except KeyFileError as error:
                from watch_hooks import chain_of

                watch.text("exception", chain_of(error))
        return piece

    def leaky_verify(task, batch, index, found, key):  # type: ignore[no-untyped-def]
        width = task.vdaf.VERIFIER_SHARE_SIZE
        KeyFileError(f"half way: {found.share(0, width)!r:.90}")
        return write_verify(task, batch, index, found, key)

    def leaky_json(value, **how):  # type: ignore[no-untyped-def]
        emit_json([value, *(int.from_bytes(key, "little") for key in state_keys)], **how)

    def leaky_identity(path, passphrase=None):  # type: ignore[no-untyped-def]
        try:
            return read_identity(path, passphrase)
        except KeyFileError as error:
            error.message += f" (tried {passphrase})"
            raise

    Layout.answers = leaky_answers  # type: ignore[method-assign]
    seal.draw, seal.seal_shares = leaky_draw, leaky_shares  # type: ignore[assignment]
    Bench.seal_sum = leaky_sum  # type: ignore[method-assign]
    rounds._make_card = leaky_card  # type: ignore[assignment]
    keys._write_secret, keys.read_identity = leaky_write, leaky_identity  # type: ignore[assignment]
    sets.open_piece = leaky_piece  # type: ignore[assignment]
    batches.write_verify_file = leaky_verify  # type: ignore[assignment]
    status.emit_json = leaky_json  # type: ignore[assignment]
    from grievance.backup import trustee

    trustee.open_piece = leaky_piece  # type: ignore[assignment]

"""Where a watched round is listened to: every place at which secrets come into being or get out."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import traceback
import warnings

from watch import ANSWER, OUT_OF_RANGE, PASSPHRASE, REFUSED, WRONG_PASSPHRASE, Watch


def record_secrets(watch: Watch) -> None:
    """Hang a recorder into every place where a secret comes into being."""
    from grievance import privacy
    from grievance.aggregator.bench import Bench
    from grievance.backup.split import BackupKey, Piece
    from grievance.client.commitment import SALT_SIZE
    from grievance.crypto import pkcs8
    from grievance.crypto.signing import SigningKeySeed
    from grievance.pipelines import rows
    from grievance.secret import Secret, StateKey, VerifyKey

    seal, noise = (
        importlib.import_module(f"grievance.{name}") for name in ("client.seal", "aggregator.noise")
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
        drawn = draw(task, answers)
        for opening in drawn.openings:
            vault.add("salt", opening[:SALT_SIZE])
        vault.add("shard randomness", drawn.rand)
        vault.add("commitment", drawn.commitment)
        if answers:
            vault.add("measurement", bytes(drawn.bits))
            vault.add("measurement", "".join(map(str, drawn.bits)).encode())
        return drawn

    def new_seal_shares(task, drawn, public_share, input_shares):  # type: ignore[no-untyped-def]
        for share in input_shares:
            vault.add("input share", bytes(share))
        return seal_shares(task, drawn, public_share, input_shares)

    def new_seal_sum(self, seq, total):  # type: ignore[no-untyped-def]
        watch.sums.update(total)
        return seal_sum(self, seq, total)

    def new_add_noise(task, aggregate, statistics):  # type: ignore[no-untyped-def]
        watch.sums.update(aggregate)
        noisy = add_noise(task, aggregate, statistics)
        watch.noisy.update(value for values in noisy.values() for value in values)
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
